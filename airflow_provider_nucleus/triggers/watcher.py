"""The wait for some jobs, as the poller sees it.

A wait keeps few objects and a round makes none for it: Python's garbage collector walks over everything Airflow has loaded each
time a quarter as much has been added, and holds the event loop up meanwhile. Hence no timer and no coroutine for each either:
the poller has one alarm for all deadlines, and a trigger awaits a plain future.
"""

from __future__ import annotations

import abc
import asyncio
import contextvars
import time
from typing import TYPE_CHECKING

from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.schema.jobs import JobStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Observation", "Watcher"]

_FIRST_ROUND_SECONDS = 30.0
"""Seconds that the first look may take which is granted to a trigger whose deadline has passed, while no triggerer ran perhaps."""

Observation = JobStatus | NucleusError
"""Outcome of one look at one job."""


class Watcher(abc.ABC):
    """Waits for jobs from `begin` until its future `end` is done.

    That is when it waits for nothing more, or as an exception what ended the wait: what `apply` raised, TimeoutError after the
    deadline, or what ended the poll. `interval` is in seconds, `deadline` in seconds since the epoch.
    """

    __slots__ = ("_context", "deadline", "due", "end", "expires", "interval")

    def __init__(self, *, interval: float, deadline: float) -> None:
        self.interval = interval
        self.deadline = deadline
        self.due = 0.0
        """When to look next, on the event loop's clock."""
        self.expires = deadline
        """When waiting is over, in seconds since the epoch: not before a round was held, or could have been."""
        self.end: asyncio.Future[None]
        self._context: contextvars.Context

    @property
    @abc.abstractmethod
    def waiting(self) -> Collection[str]:
        """The jobs still waited for."""

    @abc.abstractmethod
    def apply(self, seen: Mapping[str, Observation]) -> None:
        """Take note of what was seen of some of the jobs, and of others; what it raises ends the wait."""

    def begin(self) -> None:
        """Wait from now on, on behalf of the task that calls this."""
        loop = asyncio.get_running_loop()
        self.due = loop.time()
        self.expires = max(self.deadline, time.time() + _FIRST_ROUND_SECONDS)
        self.end = loop.create_future()
        # It tells Airflow which task's log a line belongs to.
        self._context = contextvars.copy_context()
        if not self.waiting:
            self.end.set_result(None)

    def observe(self, seen: Mapping[str, Observation]) -> None:
        """Take note of what was seen, and end the wait if that was the end."""
        if self.end.done():
            return
        try:
            self._context.run(self.apply, seen)
        except Exception as error:  # ruff: ignore[blind-except] - it is the trigger's, which raises it
            # One error may end thousands of waits: it must not keep a frame of each.
            self.end.set_exception(error.with_traceback(None))
            return
        if not self.waiting:
            self.end.set_result(None)

    def schedule_next(self, due: float) -> None:
        """Take note that a round was held for all jobs, and when the next one is due; the deadline counts from now on."""
        self.due = due
        self.expires = self.deadline
        if time.time() >= self.deadline:
            self.fail(TimeoutError())

    def fail(self, error: BaseException) -> None:
        """End the wait with an error, unless it has ended."""
        if not self.end.done():
            self.end.set_exception(error)
