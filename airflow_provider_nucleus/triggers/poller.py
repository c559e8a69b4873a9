"""One poll for all deferred tasks of a connection.

A triggerer holds thousands of deferred tasks. If each asked for its own job, the server would answer thousands of requests
every few seconds. So the triggers of one connection in one process subscribe to one poller: it asks for a few jobs one by one,
and for many with one listing, and then only for the jobs that ended or are not in the listing.

The poller decides nothing. It passes on to each watcher what was seen of its jobs, a status or the error met, as soon as it was
seen, and the watcher asks its own `Patience` (`airflow_provider_nucleus.client.waiting`). A connection that
cannot be read is such an error as well, of all jobs; only one that is wrong in itself ends the poll.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
import weakref
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

from airflow_provider_nucleus.exceptions import (
    NucleusAuthError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusError,
)
from airflow_provider_nucleus.triggers.backoff import RoundBackoff, due_together, next_due

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.triggers.watcher import Observation, Watcher

__all__ = ["JobPoller", "JobReader", "shared_poller"]

log = logging.getLogger(__name__)

LIST_FROM = 4
"""From this many watched jobs on, a listing replaces single requests."""

TRUST_LISTING = 20
"""Rounds after which a job that the listing shows as running is looked at by itself; different jobs in different rounds."""

_LISTING_MARGIN = 200
"""Jobs listed beyond the watched ones, for other people's jobs among them."""

_NOTIFIED_AT_ONCE = 20
"""Watchers notified in one turn of the event loop."""

_CONCURRENCY = 8
"""Single requests under way at a time."""


class JobReader(Protocol):
    """The source of statuses."""

    async def status(self, job_id: str) -> JobStatus:
        """Return the status of one job."""
        ...

    async def running(self, limit: int) -> Mapping[str, JobStatus]:
        """Return those of the newest *limit* jobs that have not ended, by id; jobs in one state may share a status."""
        ...


class JobPoller:
    """Polls the jobs of all watchers until the last one leaves."""

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[JobReader]]) -> None:
        self._connect = connect
        self._watchers: set[Watcher] = set()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._backoff = RoundBackoff(random.Random())  # ruff: ignore[suspicious-non-cryptographic-random-usage] - jitter
        self._listings = 0

    def join(self, watcher: Watcher) -> None:
        """Pass on to *watcher* what is seen of its jobs from now on; await its `end`, then `leave`.

        The first round comes at once, the others after the watcher's interval, or earlier by up to half of it when another
        watcher's round is due.
        """
        watcher.begin()
        self._watchers.add(watcher)
        self._woken.set()
        self._set_alarm(watcher.expires)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="nucleus-job-poller")
            self._task.add_done_callback(self._ended)

    async def leave(self, watcher: Watcher) -> None:
        """Pass nothing on to the watcher any more; the poll ends with the last one."""
        self._watchers.discard(watcher)
        if self._watchers:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    def _ended(self, task: asyncio.Task[None]) -> None:
        """End the waits that are left when the poll is over."""
        if task is not self._task:
            return
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        for watcher in self._watchers:
            if isinstance(error, asyncio.CancelledError):
                watcher.end.cancel()
            else:
                watcher.fail(error or RuntimeError("the poll of jobs has ended"))

    def _set_alarm(self, expires: float) -> None:
        """Ring at a time, in seconds since the epoch, if no earlier ring is due."""
        loop = asyncio.get_running_loop()
        when = loop.time() + expires - time.time()
        if self._alarm is None or when < self._alarm.when():
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = loop.call_at(when, self._ring)

    def _ring(self) -> None:
        """End the waits whose time is over, and wait for the next."""
        self._alarm = None
        for watcher in self._watchers:
            if watcher.expires <= time.time():
                watcher.fail(TimeoutError())
        left = [one.expires for one in self._watchers if not one.end.done()]
        if left:
            self._set_alarm(min(left))

    @property
    def _wanted(self) -> bool:
        """True if the running task is still the one that polls: a cancellation can get lost in what it interrupts."""
        return self._task is asyncio.current_task()

    async def _run(self) -> None:
        while due := await self._due_watchers():
            async with contextlib.AsyncExitStack() as stack:
                try:
                    reader = await stack.enter_async_context(self._connect())
                except NucleusConfigError:
                    raise
                except Exception as error:  # ruff: ignore[blind-except] - Airflow, its API and secrets back ends fail in any way
                    unread = _unread(error)
                    await self._notify(due, dict.fromkeys(_wanted_by(due), unread))
                    self._finish(due, [unread])
                    continue
                await self._rounds(reader)

    async def _rounds(self, reader: JobReader) -> None:
        """Hold rounds until the server refuses a key it took before; returns for the connection to be read anew."""
        taken = False
        while due := await self._due_watchers():
            errors = await self._look(reader, due, taken=taken)
            if errors is None:
                return
            taken = taken or not any(isinstance(error, NucleusAuthError) for error in errors)
            self._finish(due, errors)

    async def _due_watchers(self) -> list[Watcher]:
        """Wait until rounds are due, and return their watchers; none when no watcher is left."""
        clock = asyncio.get_running_loop().time
        while self._wanted:
            self._woken.clear()
            now = clock()
            open_ones = [one for one in self._watchers if not one.end.done()]
            if now >= self._backoff.until and (due := due_together(open_ones, now)):
                return due
            left = max(next_due(open_ones, now), self._backoff.until) - now
            # A watcher that joins does not wait for the interval of the others. Not `wait_for`: before Python 3.12 it swallows a
            # cancellation that comes together with what it waits for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left, 0)):
                    await self._woken.wait()
        return []

    def _finish(self, due: Sequence[Watcher], errors: Sequence[NucleusError]) -> None:
        """Schedule the next round of watchers whose round was held."""
        now = asyncio.get_running_loop().time()
        self._backoff.record(errors, now)
        for one in due:
            one.schedule_next(now + one.interval)
        self._set_alarm(min(one.expires for one in due))

    async def _look(
        self, reader: JobReader, due: Sequence[Watcher], *, taken: bool
    ) -> list[NucleusError] | None:
        """Hold one round and return the errors it met; None, and no watcher is notified, when a key that was `taken` is refused.

        Keys are rotated while tasks wait: that is an error only if the connection has no better one.
        """
        wanted = _wanted_by(due)
        listed = await self._listed(reader, wanted) if len(wanted) >= LIST_FROM else {}
        errors = [what for what in listed.values() if isinstance(what, NucleusError)]
        refused = taken and any(isinstance(error, NucleusAuthError) for error in errors)
        if refused:
            return None
        await self._notify(due, listed)
        left = iter([job_id for job_id in wanted if job_id not in listed])
        watchers_by_job = _watchers_by_job(due)

        async def look_on() -> None:
            nonlocal refused
            for job_id in left:
                seen: Observation
                try:
                    seen = await reader.status(job_id)
                except NucleusError as error:
                    seen = error
                    errors.append(error)
                    refused |= taken and isinstance(error, NucleusAuthError)
                if refused:
                    return
                for one in watchers_by_job.get(job_id, ()):
                    one.observe({job_id: seen})

        # A few that take turns, not a task for each job: thousands would hold up the event loop at once.
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_CONCURRENCY):
                    group.create_task(look_on())
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        return None if refused else errors

    async def _notify(self, due: Sequence[Watcher], seen: Mapping[str, Observation]) -> None:
        if not seen:
            return
        for position, one in enumerate(due, 1):
            one.observe(seen)
            if not position % _NOTIFIED_AT_ONCE:
                # Thousands notified in one turn of the event loop would hold up all other triggers.
                await asyncio.sleep(0)

    async def _listed(self, reader: JobReader, wanted: Sequence[str]) -> dict[str, Observation]:
        """Return the jobs that the listing shows as still running; the others are looked at one by one.

        A listing that fails is an observation of every job: a look at each of them would not be kinder to the server. What
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


def _wanted_by(due: Sequence[Watcher]) -> list[str]:
    return sorted({job for one in due for job in one.waiting})


def _watchers_by_job(due: Sequence[Watcher]) -> dict[str, list[Watcher]]:
    """Return the watchers of each job."""
    found: dict[str, list[Watcher]] = {}
    for one in due:
        for job_id in one.waiting:
            found.setdefault(job_id, []).append(one)
    return found


def _unread(error: Exception) -> NucleusError:
    """Return a failure to read the connection as an observation; its text may hold secrets, its kind does not."""
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
