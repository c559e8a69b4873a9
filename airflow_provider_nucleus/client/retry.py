"""Retries: whether a request is sent again, and after how many seconds, as a pure function of what happened."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_nucleus.exceptions import NucleusAnswerError, NucleusAPIError

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from airflow_provider_nucleus.exceptions import NucleusError

__all__ = [
    "LONGEST_PAUSE",
    "NO_RETRY",
    "NoAnswer",
    "RetryPolicy",
    "is_certificate_error",
    "is_denied",
    "is_plain_answer",
    "may_pass",
    "retry_after_seconds",
    "retry_delay",
    "ride_out_policy",
    "tls_outcome",
]

TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 507, *range(520, 528), 529, 530})
"""Statuses that may pass: of servers, and of the networks before them (520 to 530: Cloudflare's)."""

LONGEST_PAUSE = 300.0
"""Seconds that a wait, or whoever rides out an outage, pauses at most: one header must not end all looks for good."""

_LONGEST_REQUEST = 86_400.0
"""Seconds, a day: a server that asks for more is not believed."""

_HEADER_LIMIT = 100
"""Characters of a Retry-After that are read as a date."""

FAULT_ATTEMPTS = 8
"""Failures in a row after which a 500 is believed: it may be one bad moment, or a bug that this request meets every time."""

_GROWING = 50
"""Attempts after which delays grow no more."""

_MIN_DELAY = 0.1
"""Shortest delay in seconds of a policy that rides out: its last attempt must not start a rounding error too early."""


_BUSY = frozenset({409, 423})
_FORBIDDEN = 403


class NoAnswer(StrEnum):
    """Reasons for a missing answer."""

    NOT_SENT = "not sent"
    """No connection came about, so the server cannot have seen the request."""
    LOST = "lost"
    """The connection broke or timed out after the request left: the server may have acted on it."""
    HOPELESS = "hopeless"
    """Trying again cannot help, such as a certificate that does not match."""


def tls_outcome(error: BaseException) -> NoAnswer | None:
    """Judge a failure of TLS, wherever it hides in the chain of causes; None if there is none.

    A certificate that is not trusted, and a server that does not speak TLS, stay so. Anything else may pass.
    """
    cause = _tls_cause(error)
    if cause is None:
        return None
    lasting = is_plain_answer(error) or isinstance(cause, ssl.SSLCertVerificationError)
    return NoAnswer.HOPELESS if lasting else NoAnswer.LOST


def is_plain_answer(error: BaseException) -> bool:
    """Return whether TLS was answered by something that is no TLS: a server that speaks plain http, as a rule."""
    return getattr(_tls_cause(error), "reason", None) in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}


def is_certificate_error(error: BaseException) -> bool:
    """Return whether a certificate was refused, wherever that hides in the chain of causes."""
    return isinstance(_tls_cause(error), ssl.SSLCertVerificationError)


def _tls_cause(error: BaseException) -> ssl.SSLError | None:
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        cause = todo.pop()
        if not isinstance(cause, BaseException) or cause in seen:
            continue
        seen.append(cause)
        if isinstance(cause, ssl.SSLError):
            return cause
        # Libraries hand the cause on as an argument or as `reason`.
        todo += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of retrying.

    `attempts` counts requests in all, None is any number; the delay before attempt n is drawn between 0 and `base * 2**(n-1)`
    seconds, at most `cap`; no attempt starts later than `deadline` seconds after the first. With `rides_out` the last one starts
    at the deadline, not up to a delay before it, or when the server asks for it.
    """

    attempts: int | None = 8
    base: float = 1.0
    cap: float = 60.0
    deadline: float = 300.0
    rides_out: bool = False


NO_RETRY = RetryPolicy(attempts=1)


def ride_out_policy(seconds: float) -> RetryPolicy:
    """Return the policy of requests that an outage of so many seconds must not end."""
    return RetryPolicy(attempts=None, deadline=seconds, rides_out=True)


def retry_after_seconds(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Read Retry-After, given in seconds or as an HTTP date; None when absent or senseless.

    `headers` must have lower-case names. A date in the past reads as 0, more than a day as a day.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), _LONGEST_REQUEST)
    if not text or len(text) > _HEADER_LIMIT:
        return None
    try:
        when = parsedate_to_datetime(text)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - (now or datetime.now(UTC))).total_seconds()
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
        return None
    return min(max(0.0, seconds), _LONGEST_REQUEST)


def retry_delay(
    attempt: int,
    outcome: int | NoAnswer,
    headers: Mapping[str, str],
    policy: RetryPolicy,
    rng: random.Random,
    *,
    repeatable: bool = True,
    elapsed: float = 0.0,
    foreign: bool = False,
    now: datetime | None = None,
) -> float | None:
    """Return the seconds to wait before sending the request again, or None to give up.

    `attempt` is the number of requests made so far, `outcome` the status of the last answer or why there was none, `elapsed`
    the seconds since the first request. A request that is not `repeatable` is sent again only if the server certainly did not
    act on it: it was never sent, it was rate limited, or a 503 says when to come back. Retry-After is a lower bound; one
    beyond the deadline means giving up now instead of holding a worker, unless the policy `rides_out`, and so do
    `FAULT_ATTEMPTS` requests that end in a 500. An answer of somebody `foreign`, in place of a Nucleus that answered before, is ridden
    out where repeating is harmless; by other policies it is not repeated.
    """
    if policy.attempts is not None and attempt >= policy.attempts:
        return None
    requested = None
    if isinstance(outcome, NoAnswer):
        if outcome is NoAnswer.HOPELESS or (outcome is NoAnswer.LOST and not repeatable):
            return None
    else:
        passing = outcome in TRANSIENT_STATUSES or (foreign and policy.rides_out)
        if not passing or (outcome == 500 and attempt >= FAULT_ATTEMPTS):
            return None
        requested = retry_after_seconds(headers, now)
        refused = outcome == 429 or (outcome == 503 and requested is not None)
        if not repeatable and not refused:
            return None
    jittered = rng.uniform(0.0, min(policy.cap, policy.base * 2.0 ** (min(attempt, _GROWING) - 1)))
    delay = jittered if requested is None else requested + min(jittered, policy.base)
    if policy.rides_out:
        left = policy.deadline - elapsed
        if left <= 0:
            return None
        return max(min(delay, left), _MIN_DELAY) if requested is None else min(delay, LONGEST_PAUSE)
    return None if elapsed + delay > policy.deadline else delay


def may_pass(error: NucleusError) -> bool:
    """Return whether the next look may well succeed where this one failed.

    An answer that is not a Nucleus' says nothing about what was looked at, nor does an object that is locked, or busy.
    """
    if isinstance(error, NucleusAPIError) and error.status in _BUSY:
        return True
    return error.retryable or isinstance(error, NucleusAnswerError)


def is_denied(error: NucleusError) -> bool:
    """Return whether a look was forbidden: rights come late, and gateways forbid what is too much for them, so a few may pass."""
    return isinstance(error, NucleusAPIError) and error.status == _FORBIDDEN and not may_pass(error)
