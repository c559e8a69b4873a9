"""Waiting for what takes its time, jobs, evaluations and benchmarks: the protocol, written once.

`waiting` is a generator. It yields the call of a look or a `Pause`, is sent what was seen or the error that came instead, and
returns a `WaitOutcome`; `run` and `run_async` drive it. Whether to look again after a look that failed is for `Patience` to
say. The poller of the triggerer, which looks in rounds of its own, and the sensors, whose pokes are rounds of one wait, ask the
same one.

A look that fails in a way that may pass says nothing about what it looked at. The first one begins an outage and a look that is
answered ends it. A look that fails when the outage has lasted `Patience.ride_out` seconds ends the wait, none does before. So an
outage shorter than that is always ridden out, and one that is longer by a pause between two looks never is.

Times are wall clock seconds since the epoch, because they travel between processes.
"""

from __future__ import annotations

import logging
import math
import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeAlias, TypeVar

from airflow_provider_nucleus.client.exchange import Pause
from airflow_provider_nucleus.client.retry import LONGEST_PAUSE, NO_RETRY, is_denied, may_pass
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusError, NucleusNotFoundError
from airflow_provider_nucleus.schema.texts import storable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from airflow_provider_nucleus.client.aio import AsyncNucleusClient
    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.sync import NucleusClient

__all__ = [
    "RIDE_OUT",
    "Patience",
    "StopReason",
    "WaitOutcome",
    "WaitSteps",
    "WaitSubject",
    "given_up",
    "left_running",
    "log_failed_look",
    "log_stall",
    "run",
    "run_async",
    "stall_hint",
    "waiting",
]

T = TypeVar("T")

RIDE_OUT: Final = 600.0
"""Seconds of outage that are ridden out unless the caller says otherwise."""

_MAX_PAUSE: Final = 60.0
"""Longest pause in seconds between two looks that fail, unless looks are further apart anyway."""

_MIN_PAUSE: Final = 0.1
"""Shortest of these: the look at the end of an outage must not come a rounding error too early, again and again."""

_DENIED: Final = 120.0
"""Seconds for which looks may be forbidden in a row, four intervals at least: a few looks, whatever the interval."""

_rng = random.Random()  # ruff: ignore[suspicious-non-cryptographic-random-usage] - jitter


class _Log(Protocol):
    """A logger, Python's or Airflow's."""

    def log(self, level: int, event: str, /, *args: Any) -> Any: ...

    def info(self, event: str, /, *args: Any) -> Any: ...

    def warning(self, event: str, /, *args: Any) -> Any: ...


log: _Log = logging.getLogger(__name__)


class StopReason(StrEnum):
    """Reasons why no further look follows."""

    DEADLINE = "deadline"
    OUTAGE = "outage"
    FATAL = "fatal"
    GONE = "gone"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Patience:
    """The interval of looks, and the limits of a wait. All numbers are seconds; `deadline` is seconds since the epoch.

    - `interval`: between two looks. The pauses begin with `first_pause`, where given, and double up to it.
    - `ride_out`: how long looks may fail in a row in ways that may pass.
    - `timeout`, `deadline`: when to stop waiting, the earlier of both; 0 seconds grant one look.
    - `not_found_grace`: how long something that was never seen may be unknown to the server: it was just started.

    Raises NucleusConfigError unless `ride_out` is a number of seconds, 0 or more.
    """

    interval: float = 5.0
    ride_out: float = RIDE_OUT
    timeout: float | None = None
    deadline: float | None = None
    first_pause: float | None = None
    not_found_grace: float = 60.0

    def __post_init__(self) -> None:
        number = isinstance(self.ride_out, int | float) and not isinstance(self.ride_out, bool)
        if not (number and 0 <= self.ride_out < math.inf):
            raise NucleusConfigError(
                f"ride_out must be a number of seconds, 0 or more, not {self.ride_out!r}.", field="ride_out"
            )

    def decide(
        self,
        error: NucleusError,
        object_id: str,
        failing: dict[str, float],
        *,
        now: float,
        begun: float,
        answered: bool,
    ) -> StopReason | None:
        """Return why a look that failed is the last one at an object, None when another should follow.

        `failing` is since when looks at objects fail in ways that may pass, and is kept here. `begun` is when the wait began,
        `answered` says whether a look at the object was ever answered.
        """
        if may_pass(error) or is_denied(error):
            # A clock that was put back, or that of another machine, must not lengthen the outage by the difference.
            since = failing[object_id] = min(now, failing.get(object_id, now))
            if is_denied(error) and now - since >= min(max(_DENIED, 4 * self.interval), self.ride_out):
                return StopReason.FATAL
            return StopReason.OUTAGE if now - since >= self.ride_out else None
        failing.pop(object_id, None)
        if not isinstance(error, NucleusNotFoundError):
            return StopReason.FATAL
        return StopReason.GONE if answered or now - begun >= self.not_found_grace else None

    def pause_after(self, error: NucleusError, now: float, *, since: float) -> float:
        """Return the seconds until the look after one that failed: more the longer the outage, and what the server asks for."""
        longest = max(min(_MAX_PAUSE, 2 * self.interval + now - since), self.interval)
        # Many tasks wait for the same server; when it comes back they must not all return at once.
        pause = min(_rng.uniform(self.interval, longest), since + self.ride_out - now)
        return max(pause, _MIN_PAUSE, min(getattr(error, "retry_after", None) or 0.0, LONGEST_PAUSE))

    def ends(self, begun: float) -> float:
        """Return when a wait that has `begun` is over."""
        timeout = math.inf if self.timeout is None else begun + self.timeout
        return min(timeout, math.inf if self.deadline is None else self.deadline)


@dataclass(frozen=True, slots=True)
class WaitSubject(Generic[T]):
    """A kind of object that takes its time: its name, the call of a look at one, and how to read what was seen.

    `status` is what the server calls its state, `progress` what the log adds, `stalled` why it does not get on, when the server
    says so.
    """

    name: str
    look: Callable[[str], Call[T]]
    ended: Callable[[T], bool]
    status: Callable[[T], str]
    progress: Callable[[T], str] = lambda _: ""
    stalled: Callable[[T], str | None] = lambda _: None


@dataclass(slots=True)
class WaitOutcome(Generic[T]):
    """The outcome of a wait: the last status of each object, and which have not ended.

    `gone` are objects that the server does not know (any more), with its answer: they have ended. `stop` says why the `open`
    ones are not waited for any longer, None when there are none. `error` is the last failure, if that was the reason, and says
    what was left running. `failing` is since when looks at an object fail in ways that may pass. Handed to another wait, an
    outcome goes on there.
    """

    open: list[str]
    seen: dict[str, T] = field(default_factory=dict)
    gone: dict[str, NucleusNotFoundError] = field(default_factory=dict)
    failing: dict[str, float] = field(default_factory=dict)
    stop: StopReason | None = None
    error: NucleusError | None = None


WaitSteps: TypeAlias = "Generator[Call[T] | Pause, T | NucleusError | None, WaitOutcome[T]]"
"""The generator of a wait: its yields, what it is sent and its return value."""


def waiting(
    subject: WaitSubject[T],
    object_ids: Iterable[str],
    patience: Patience,
    *,
    clock: Callable[[], float],
    earlier: WaitOutcome[T] | None = None,
    stopped: Callable[[], bool] = lambda: False,
    on_change: Callable[[T], object] | None = None,
    log: _Log = log,
    level: int = logging.INFO,
) -> WaitSteps[T]:
    """Wait until objects have ended, by what was seen of them; never raises because one ended badly.

    All are looked at in turn, up to the first look that fails in a way that may pass; the next round begins with that one, so that
    a server that answers some looks of each round is soon seen to answer all. `on_change` is called with every new status, and
    when the reason changes why an object does not get on; a line in the log at `level` says the same, and how many of several are
    to go. The wait ends before its next pause once it is `stopped`. With the outcome of an `earlier` wait for the same objects
    this one goes on with it.
    """
    wait = _Wait(subject, object_ids, patience, begun=clock(), earlier=earlier, log=log)
    outcome = wait.outcome
    ends = patience.ends(wait.begun)
    interval = patience.interval if patience.first_pause is None else patience.first_pause
    while True:
        pause = interval = min(interval, patience.interval)
        for object_id in wait.round():
            seen = yield subject.look(object_id)
            assert seen is not None
            if isinstance(seen, NucleusError):
                delay = wait.failed(object_id, seen, clock())
                if outcome.stop is not None:
                    return outcome
                if delay is not None:
                    pause = delay
                    break
            elif wait.answered(object_id, seen, level) and on_change is not None:
                on_change(seen)
        left = ends - clock()
        if not outcome.open:
            return outcome
        if left <= 0 or stopped():
            outcome.stop = StopReason.DEADLINE if left <= 0 else StopReason.STOPPED
            return outcome  # ruff: ignore[return-in-generator]
        yield Pause(min(pause, left))
        interval *= 2


class _Wait(Generic[T]):
    """The state of one wait, and its decisions after each look."""

    def __init__(
        self,
        subject: WaitSubject[T],
        object_ids: Iterable[str],
        patience: Patience,
        *,
        begun: float,
        earlier: WaitOutcome[T] | None,
        log: _Log,
    ) -> None:
        self.begun = begun
        self.outcome: WaitOutcome[T] = WaitOutcome(list(dict.fromkeys(object_ids)))
        if earlier is not None:
            self.outcome.seen |= earlier.seen
            self.outcome.failing |= earlier.failing
        self._several = len(self.outcome.open) > 1
        self._not_found_yet: set[str] = set()
        self._subject = subject
        self._patience = patience
        self._log = log

    def round(self) -> list[str]:
        """Return the objects to look at, from the one on that could not be looked at last."""
        ids = self.outcome.open
        first = next((at for at, object_id in enumerate(ids) if object_id in self.outcome.failing), 0)
        return ids[first:] + ids[:first]

    def answered(self, object_id: str, seen: T, level: int) -> bool:
        """Take note of what was seen, and return whether it is news."""
        outcome, subject = self.outcome, self._subject
        before = outcome.seen.get(object_id)
        outcome.seen[object_id] = seen
        if outcome.failing.pop(object_id, None) is not None:
            self._log.info("%s %s can be looked at again", subject.name, object_id)
        if subject.ended(seen):
            outcome.open.remove(object_id)
        status, stalled = subject.status(seen), subject.stalled(seen)
        stalled_before = None if before is None else subject.stalled(before)
        if changed := before is None or status != subject.status(before):
            to_go = f" ({len(outcome.open)} to go)" if self._several and object_id not in outcome.open else ""
            progress = subject.progress(seen)
            self._log.log(
                level, "%s %s is %s%s%s", subject.name, object_id, storable(status), progress, to_go
            )
        log_stall(self._log, f"{subject.name} {object_id}", stalled_before, stalled)
        return changed or stalled != stalled_before

    def failed(self, object_id: str, error: NucleusError, now: float) -> float | None:
        """Take note of a look that failed, and return the pause that an outage asks for."""
        outcome, patience, subject = self.outcome, self._patience, self._subject
        passing = may_pass(error) or is_denied(error)
        known = object_id in (outcome.failing if passing else self._not_found_yet)
        reason = patience.decide(
            error, object_id, outcome.failing, now=now, begun=self.begun, answered=object_id in outcome.seen
        )
        if reason is None:
            if not known:
                log_failed_look(self._log, error, patience.ride_out)
            since = outcome.failing.get(object_id)
            if since is None:
                self._not_found_yet.add(object_id)
                return None
            return patience.pause_after(error, now, since=since)
        if reason is StopReason.GONE and isinstance(error, NucleusNotFoundError):
            outcome.open.remove(object_id)
            outcome.gone[object_id] = error
            return None
        outcome.stop, outcome.error = reason, error
        error.add_hint(given_up(error, subject.name, outcome.open, patience.ride_out))
        return None


def run(client: NucleusClient, steps: WaitSteps[T]) -> WaitOutcome[T]:
    """Carry a wait through in this thread."""
    seen: T | NucleusError | None = None
    while True:
        try:
            step = steps.send(seen)
        except StopIteration as finished:
            return finished.value  # type: ignore[no-any-return]
        if isinstance(step, Pause):
            client.sleep(step.seconds)
            seen = None
            continue
        try:
            seen = client.send(step, retry=NO_RETRY)
        except NucleusError as error:
            seen = error


async def run_async(client: AsyncNucleusClient, steps: WaitSteps[T]) -> WaitOutcome[T]:
    """Carry a wait through in the event loop."""
    seen: T | NucleusError | None = None
    while True:
        try:
            step = steps.send(seen)
        except StopIteration as finished:
            return finished.value  # type: ignore[no-any-return]
        if isinstance(step, Pause):
            await client.sleep(step.seconds)
            seen = None
            continue
        try:
            seen = await client.send(step, retry=NO_RETRY)
        except NucleusError as error:
            seen = error


def given_up(error: NucleusError, name: str, object_ids: Sequence[str], ride_out: float) -> str:
    """Return what to add to the error that ended a wait or an upload: why it did, and what was left running."""
    outage = f"Requests failed for longer than ride_out allows ({ride_out:g} s)." if may_pass(error) else ""
    left = left_running(name, object_ids) if object_ids else ""
    return " ".join(filter(None, (outage, left)))


def log_failed_look(log: _Log, error: NucleusError, ride_out: float) -> None:
    """Warn of the first look that failed, and say how long the wait goes on."""
    if may_pass(error):
        log.warning("Waiting goes on, through an outage of %g s at most (ride_out): %s", ride_out, error)
    else:
        log.warning("Waiting goes on: %s", error)


def left_running(name: str, object_ids: Sequence[str]) -> str:
    """Return the sentence that names what was not waited for to its end."""
    if len(object_ids) == 1:
        return f"{name} {object_ids[0]} was left as it is and may still be running."
    more = f" and {len(object_ids) - 5} more" if len(object_ids) > 5 else ""
    return (
        f"{len(object_ids)} {name.lower()}s were left as they are and may still be running: "
        f"{', '.join(object_ids[:5])}{more}."
    )


def log_stall(log: _Log, name: str, before: str | None, now: str | None) -> None:
    """Log a change of the reason why something does not get on: an embedded Nucleus whose disk is full gives one."""
    if now == before:
        return
    if now is None:
        log.info("%s waits no longer", name)
    else:
        log.warning("%s waits, the server says: %s", name, storable(now))


def stall_hint(reasons: Iterable[str | None]) -> str | None:
    """Return what the server says about what does not get on, and what to do; None when it says nothing."""
    reasons_given = dict.fromkeys(reason for reason in reasons if reason)
    if not reasons_given:
        return None
    advice = " ".join(f"{reason.rstrip('. ')}." for reason in reasons_given)
    return f"The server says: {advice} Make room there; a retry goes on."
