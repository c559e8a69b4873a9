"""One poll for all deferred tasks of a connection.

A triggerer holds thousands of deferred tasks. If each asked for its own job, the server would answer thousands of requests
every few seconds. So the triggers of one connection in one process subscribe to one poller: it asks for a few jobs one by one,
and for many with one listing, and then only for the jobs that ended or are not in the listing.

The poller decides nothing. It tells each subscriber what a round saw of its jobs, a status or the error met, and the
subscriber applies its own deadline and failure budget (:mod:`airflow_provider_nucleus.client.polling`). A connection that cannot
be read is such an error as well, of all jobs; only one that is wrong in itself ends the poll.

A wait keeps few objects and a round makes none for it: Python's garbage collector walks over everything Airflow has loaded each
time a quarter as much has been added, and holds the event loop up meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

from airflow_provider_nucleus.exceptions import (
    NucleusAuthError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusError,
)
from airflow_provider_nucleus.schema.jobs import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

__all__ = ["JobPoller", "JobReader", "Observation", "Watcher", "shared_poller"]

log = logging.getLogger(__name__)

LIST_FROM = 4
"""From this many watched jobs on, a listing replaces single requests."""

TRUST_LISTING = 20
"""Rounds after which a job that the listing shows as running is looked at by itself; different jobs in different rounds."""

MAX_BACK_OFF = 60.0
"""Longest pause, in seconds, after rounds that failed; a server that asks for more gets more."""

_LISTING_MARGIN = 200
"""Jobs listed beyond the watched ones, for other people's jobs among them."""

_TOLD_AT_ONCE = 20
"""Subscribers woken in one turn of the event loop."""

_CONCURRENCY = 8
"""Single requests under way at a time."""

Observation = JobStatus | NucleusError
"""What one round saw of one job."""


class JobReader(Protocol):
    """Where statuses come from."""

    async def status(self, job_id: str) -> JobStatus:
        """Return the status of one job."""
        ...

    async def running(self, limit: int) -> Mapping[str, JobStatus]:
        """Return those of the newest *limit* jobs that have not ended, by id; jobs in one state may share a status."""
        ...


class Watcher(Protocol):
    """Who waits for jobs."""

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        ...

    @property
    def waiting(self) -> Collection[str]:
        """The jobs still waited for."""
        ...

    def hear(self, seen: Mapping[str, Observation]) -> None:
        """Take note of a round, which may have seen some of the jobs, and others; what it raises ends the wait."""
        ...


@dataclass(slots=True, eq=False)
class _Subscriber:
    """A watcher, when to ask for it next on the event loop's clock, and what its trigger awaits."""

    watcher: Watcher
    due: float
    end: asyncio.Future[None]
    context: contextvars.Context
    """The trigger's: Airflow tells by it whose log a line belongs to."""

    def hear(self, seen: Mapping[str, Observation]) -> None:
        """Tell the watcher of a round, and the trigger if that was the last one."""
        if self.end.done():
            return
        try:
            self.context.run(self.watcher.hear, seen)
        except Exception as error:  # ruff: ignore[blind-except] - it is the trigger's, which raises it
            self.end.set_exception(error)
        else:
            if not self.watcher.waiting:
                self.end.set_result(None)


class JobPoller:
    """Polls the jobs of all subscribers until the last one leaves."""

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[JobReader]]) -> None:
        self._connect = connect
        self._subscribers: set[_Subscriber] = set()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._bad_rounds = 0
        self._listings = 0

    async def watch(self, watcher: Watcher) -> None:
        """Tell *watcher* what each round saw, until it waits for nothing more; raises what it raises, and what ends the poll.

        The first round comes at once, the others after its interval, or earlier by up to half of it when another
        subscriber's round is due.
        """
        loop = asyncio.get_running_loop()
        subscriber = _Subscriber(watcher, loop.time(), loop.create_future(), contextvars.copy_context())
        self._subscribers.add(subscriber)
        self._woken.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="nucleus-job-poller")
            self._task.add_done_callback(self._ended)
        try:
            await subscriber.end
        finally:
            self._subscribers.discard(subscriber)
            if not self._subscribers:
                await self._stop()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Let those who still wait know that the poll is over."""
        if task is not self._task:
            return
        for subscriber in self._subscribers:
            if subscriber.end.done():
                continue
            if task.cancelled():
                subscriber.end.cancel()
            else:
                subscriber.end.set_exception(task.exception() or RuntimeError("the poll of jobs has ended"))

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    @property
    def _wanted(self) -> bool:
        """Whether the running task is still the one that polls: a cancellation can get lost in what it interrupts."""
        return self._task is asyncio.current_task()

    async def _run(self) -> None:
        while asking := await self._due():
            async with contextlib.AsyncExitStack() as stack:
                try:
                    reader = await stack.enter_async_context(self._connect())
                except NucleusConfigError:
                    raise
                except Exception as error:  # ruff: ignore[blind-except] - Airflow, its API and secrets back ends fail in any way
                    await self._tell(asking, dict.fromkeys(_wanted_by(asking), _unread(error)))
                    continue
                await self._rounds(reader)

    async def _rounds(self, reader: JobReader) -> None:
        """Hold rounds until the server refuses a key it took before; returns for the connection to be read anew."""
        taken = False
        while asking := await self._due():
            seen = await self._look(reader, asking)
            if taken and any(isinstance(what, NucleusAuthError) for what in seen.values()):
                # Keys are rotated while tasks wait: nobody hears of it unless the connection has no better one.
                return
            taken = True
            await self._tell(asking, seen)

    async def _due(self) -> list[_Subscriber]:
        """Wait until a subscriber's round is due, and return it with those whose round is soon; none when nobody is left."""
        clock = asyncio.get_running_loop().time
        while self._wanted:
            self._woken.clear()
            now = clock()
            if any(one.due <= now for one in self._subscribers):
                return [one for one in self._subscribers if one.due <= now + one.watcher.interval / 2]
            left = min((one.due for one in self._subscribers), default=now) - now
            # A newcomer does not wait for the pause of the others. Not `wait_for`: before Python 3.12 it swallows a
            # cancellation that comes together with what it waits for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left, 0)):
                    await self._woken.wait()
        return []

    async def _tell(self, asking: Sequence[_Subscriber], seen: dict[str, Observation]) -> None:
        """Hand a round to those whose it is, and say when their next one is due."""
        clock = asyncio.get_running_loop().time
        pause = self._back_off(seen)
        for position, one in enumerate(asking, 1):
            one.hear(seen)
            one.due = clock() + max(one.watcher.interval, pause)
            if not position % _TOLD_AT_ONCE:
                # Thousands woken in one turn of the event loop would hold up everybody else's triggers.
                await asyncio.sleep(0)

    def _back_off(self, seen: dict[str, Observation]) -> float:
        """Return the seconds to leave the server alone for at least, 0 when it is well."""
        errors = [what for what in seen.values() if isinstance(what, NucleusError) and what.retryable]
        self._bad_rounds = self._bad_rounds + 1 if errors else 0
        if not errors:
            return 0.0
        asked = max(getattr(error, "retry_after", None) or 0.0 for error in errors)
        return max(asked, min(MAX_BACK_OFF, 2.0**self._bad_rounds))

    async def _look(self, reader: JobReader, asking: Sequence[_Subscriber]) -> dict[str, Observation]:
        wanted = _wanted_by(asking)
        seen = await self._listed(reader, wanted) if len(wanted) >= LIST_FROM else {}
        left = iter([job_id for job_id in wanted if job_id not in seen])

        async def look_on() -> None:
            for job_id in left:
                try:
                    seen[job_id] = await reader.status(job_id)
                except NucleusError as error:
                    seen[job_id] = error

        # A few that take turns, not a task for each job: thousands would hold up the event loop at once.
        await asyncio.gather(*(look_on() for _ in range(_CONCURRENCY)))
        return seen

    async def _listed(self, reader: JobReader, wanted: Sequence[str]) -> dict[str, Observation]:
        """Return the jobs that the listing shows as still running; the others are looked at one by one.

        A listing that fails is an observation of every job: asking for each of them would not be kinder to the server. What
        it calls the last known status may be old, so each job is looked at by itself once in `TRUST_LISTING` rounds.
        """
        try:
            running = await reader.running(2 * len(wanted) + _LISTING_MARGIN)
        except NucleusError as error:
            return dict.fromkeys(wanted, error)
        self._listings += 1
        return {
            job_id: running[job_id]
            for job_id in wanted
            if job_id in running and (self._listings + crc32(job_id.encode())) % TRUST_LISTING
        }


def _wanted_by(asking: Sequence[_Subscriber]) -> list[str]:
    return sorted({job for subscriber in asking for job in subscriber.watcher.waiting})


def _unread(error: Exception) -> NucleusError:
    """Return what a failure to read the connection is to those who wait; its text may hold secrets, its kind does not."""
    if isinstance(error, NucleusError):
        return error
    log.warning("The Nucleus connection could not be read: %s", type(error).__name__)
    found = NucleusConnectionError(
        f"The Nucleus connection could not be read from Airflow: {type(error).__name__}.",
        hint="Look at the triggerer's log, and at the connection.",
    )
    found.__cause__ = error
    return found


_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, JobPoller]] = (
    weakref.WeakKeyDictionary()
)


def shared_poller(key: str, *, connect: Callable[[], AbstractAsyncContextManager[JobReader]]) -> JobPoller:
    """Return the poller that everyone with the same *key* shares in the running event loop."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    return pollers.setdefault(key, JobPoller(connect))
