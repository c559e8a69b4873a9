"""When to look again, and when to stop looking: pure decisions about anything that takes its time.

A poll is a question that may be answered, or may fail without that meaning anything for what it asks about: a job does not end
because a look at it failed. Failures in a row are counted against a budget; one answer clears the count. Deadlines are wall
clock seconds since the epoch, because they travel between processes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusError,
    NucleusNotFoundError,
)

if TYPE_CHECKING:
    import random

__all__ = [
    "Done",
    "GiveUp",
    "PollDecision",
    "PollPolicy",
    "PollState",
    "StopReason",
    "Wait",
    "decide",
    "may_pass",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """How to poll.

    `interval` is the seconds between looks; after failures it doubles up to `max_interval`. More than `failure_budget` failures
    in a row end the waiting, and so does `deadline` (seconds since the epoch; None: never).
    """

    interval: float = 5.0
    max_interval: float = 60.0
    failure_budget: int = 5
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class PollState:
    """What is remembered between looks: whether one was ever answered, and how many failed since."""

    answered: bool = False
    failures: int = 0


_ANSWERED = PollState(answered=True)


class StopReason(StrEnum):
    """Why waiting ended without an answer."""

    DEADLINE = "deadline"
    FAILURES = "failures"
    FATAL = "fatal"


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again after this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The last look showed the end."""

    value: T


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop looking; what was looked at goes on without us. `error` is the last failure, if that was the reason."""

    reason: StopReason
    error: NucleusError | None = None


PollDecision: TypeAlias = Wait | Done[T] | GiveUp


def may_pass(error: NucleusError) -> bool:
    """Whether the next look may well succeed where this one failed; a page that some portal answers with passes as well."""
    return error.retryable or isinstance(error, NucleusAnswerError)


def decide(
    state: PollState,
    seen: T | NucleusError,
    policy: PollPolicy,
    *,
    terminal: bool,
    now: float,
    rng: random.Random,
) -> tuple[PollState, PollDecision[T]]:
    """Decide after a look: `seen` is the answer, or the error that came instead; `terminal` says that the answer is final.

    A final answer counts even after the deadline. Errors that retrying cannot cure end the waiting at once, except that an
    object nobody has seen yet may take a moment to be found.
    """
    if not isinstance(seen, NucleusError):
        state = _ANSWERED
        if terminal:
            return state, Done(seen)
        return state, _wait(policy, policy.interval, now)
    state = replace(state, failures=state.failures + 1)
    unseen = isinstance(seen, NucleusNotFoundError) and not state.answered
    if not (unseen or may_pass(seen)):
        return state, GiveUp(StopReason.FATAL, seen)
    if state.failures > policy.failure_budget:
        return state, GiveUp(StopReason.FAILURES, seen)
    ceiling = min(policy.max_interval, policy.interval * 2.0**state.failures)
    asked = getattr(seen, "retry_after", None) or 0.0
    # Many tasks wait for the same server; when it comes back they must not all return at once.
    return state, _wait(policy, max(asked, rng.uniform(policy.interval, max(policy.interval, ceiling))), now)


def _wait(policy: PollPolicy, seconds: float, now: float) -> Wait | GiveUp:
    if policy.deadline is None:
        return Wait(seconds)
    left = policy.deadline - now
    return Wait(min(seconds, left)) if left > 0 else GiveUp(StopReason.DEADLINE)
