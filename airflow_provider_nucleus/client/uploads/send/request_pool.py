"""Pool of parallel requests, as many at once as the server allows.

The requests of one chunk run in threads; whether to go on, slow down, repeat or give up is decided in one place. Trouble is
logged when it begins and when it ends, not for every request.
"""

from __future__ import annotations

import random
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from airflow_provider_nucleus.client.retry import NO_RETRY, NoAnswer, may_pass, retry_delay, ride_out_policy
from airflow_provider_nucleus.client.waiting import given_up
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusAPIError,
    NucleusConnectionError,
    NucleusError,
    NucleusUploadError,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.sync import NucleusClient

__all__ = ["RequestPool"]

T = TypeVar("T")
Work = TypeVar("Work")

_QUIET = 2
"""Rounds of `current` successes before one more request is risked."""


@dataclass(slots=True)
class ConcurrencyLimit:
    """Additive increase, multiplicative decrease between 1 and `maximum` requests at once."""

    maximum: int
    current: int = 0
    _successes: int = 0

    def __post_init__(self) -> None:
        self.current = self.current or self.maximum

    def on_success(self) -> None:
        """Count a success; after a while allow one more request at once."""
        self._successes += 1
        if self.current < self.maximum and self._successes >= _QUIET * self.current:
            self.current += 1
            self._successes = 0

    def on_throttle(self) -> None:
        """Halve the limit: the server asked to slow down."""
        self.current = max(1, self.current // 2)
        self._successes = 0


class RequestPool(Generic[Work, T]):
    """Pool that sends the calls made of work items, several at once; it keeps its limit from one run to the next."""

    def __init__(
        self,
        client: NucleusClient,
        call_for: Callable[[Work], Call[T]],
        *,
        concurrency: int,
        ride_out: float,
        stopped: Callable[[], bool],
        log: logging.Logger,
    ) -> None:
        self._client = client
        self._call_for = call_for
        self._limit = ConcurrencyLimit(concurrency)
        self._ride_out = ride_out
        self._policy = ride_out_policy(ride_out)
        self._stopped = stopped
        self._log = log
        self._rng = random.Random()  # ruff: ignore[suspicious-non-cryptographic-random-usage] - jitter
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="nucleus-upload")
        self._failures = 0
        self._failing_since = 0.0
        self._answered = False

    def run(self, work: Iterable[Work]) -> Iterator[tuple[Work, T]]:
        """Yield each work item with its answer, in the order of the answers.

        Raises the error of the first request that fails when `ride_out` seconds of failures are over, or at once when repeating
        cannot help; requests in flight are answered before it is raised.
        """
        source = iter(work)
        retries: deque[Work] = deque()
        in_flight: dict[Future[T], Work] = {}
        pause = 0.0
        fatal: BaseException | None = None
        while True:
            if self._stopped() and fatal is None:
                fatal = NucleusUploadError("The upload was stopped.", hint="A retry sends what is missing.")
            while fatal is None and not pause and len(in_flight) < self._limit.current:
                work_item = retries.popleft() if retries else next(source, None)
                if work_item is None:
                    break
                in_flight[self._pool.submit(self._send, work_item)] = work_item
            if not in_flight:
                if fatal is not None:
                    raise fatal
                if not pause:
                    return
                self._client.sleep(pause)
                pause = 0.0
                continue
            done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
            for future in done:
                work_item = in_flight.pop(future)
                error = future.exception()
                if error is None:
                    self._succeeded()
                    yield work_item, future.result()
                    continue
                delay = self._delay(error) if isinstance(error, NucleusError) else None
                if delay is None:
                    fatal = fatal or error
                else:
                    retries.append(work_item)
                    pause = max(pause, delay)

    def close(self) -> None:
        """End the threads; requests in flight are waited for."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _send(self, work_item: Work) -> T:
        return self._client.send(self._call_for(work_item), retry=NO_RETRY)

    def _succeeded(self) -> None:
        self._answered = True
        if self._failures:
            self._log.info(
                "Nucleus answers again after %d failed requests; up to %d requests at once",
                self._failures,
                self._limit.current,
            )
            self._failures = 0
        self._limit.on_success()

    def _delay(self, error: NucleusError) -> float | None:
        """Return the seconds to pause before repeating, None when repeating is over."""
        now = self._client.clock()
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        outcome, headers = _outcome(error)
        if outcome is None:
            return None
        slow_down = outcome == 429 or (outcome == 503 and bool(headers))
        if slow_down:
            self._limit.on_throttle()
        elapsed = now - self._failing_since
        delay = retry_delay(
            self._failures,
            outcome,
            headers,
            self._policy,
            self._rng,
            elapsed=elapsed,
            foreign=self._answered and isinstance(error, NucleusAnswerError),
        )
        if delay is None and elapsed >= self._ride_out and may_pass(error):
            error.add_hint(given_up(error, "Job", [], self._ride_out))
        if delay is not None and self._failures == 1:
            self._log.warning(
                "%s Going on in %.1f s with up to %d requests at once", error, delay, self._limit.current
            )
        return delay


def _outcome(error: NucleusError) -> tuple[int | NoAnswer | None, dict[str, str]]:
    if isinstance(error, NucleusConnectionError):
        return NoAnswer.LOST if error.retryable else NoAnswer.HOPELESS, {}
    if isinstance(error, NucleusAPIError):
        headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
        # A success whose body was cut off is repeated like a lost connection: the rows have identities.
        return (NoAnswer.LOST if 200 <= error.status < 300 else error.status), headers
    return None, {}
