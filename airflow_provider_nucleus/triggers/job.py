"""Waiting for jobs of the server in the triggerer.

Rules that must not be relaxed: nothing here blocks the event loop; the arguments are plain JSON and hold no secret, because
Airflow stores and prints them; exactly one event is sent; the deadline is a wall-clock time, because the trigger may move to
another process; looks that fail in ways that may pass end the wait only after `ride_out` seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_nucleus.client.job_outcome import gone
from airflow_provider_nucleus.client.retry import NO_RETRY, is_denied, may_pass
from airflow_provider_nucleus.client.waiting import (
    RIDE_OUT,
    Patience,
    StopReason,
    given_up,
    log_failed_look,
    log_stall,
)
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusError
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.triggers.events import WaitEvent
from airflow_provider_nucleus.triggers.poller import shared_poller
from airflow_provider_nucleus.triggers.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from airflow_provider_nucleus.client.cancellation import Cancellation
    from airflow_provider_nucleus.hooks.nucleus import AsyncNucleus
    from airflow_provider_nucleus.triggers.events import EventStatus
    from airflow_provider_nucleus.triggers.poller import JobReader
    from airflow_provider_nucleus.triggers.watcher import Observation

__all__ = ["NucleusJobTrigger"]

log = logging.getLogger(__name__)

_KILL_SECONDS = 20.0
"""Airflow grants `on_kill` thirty."""


class NucleusJobTrigger(BaseTrigger):
    """Waits until all of some jobs are terminal, and sends one `WaitEvent`.

    :param nucleus_conn_id: the Nucleus connection to use
    :param job_ids: the jobs to wait for
    :param deadline: when to stop waiting, in seconds since the epoch
    :param poll_interval: seconds between two looks
    :param ride_out: seconds for which looks may fail in a row before the wait ends as `unreachable`; an outage counts anew
        when the trigger moves to another process
    :param cancel_on_kill: whether to cancel the jobs when a user marks or clears the deferred task (Airflow 3.3)
    :param resume_payload: JSON that the task gets back with the event
    """

    kind: ClassVar[str] = "jobs"
    """The kind of object that is waited for: triggers of one kind and connection share their looks."""
    subject: ClassVar[str] = "Job"
    """Its name in messages, singular."""

    def __init__(
        self,
        *,
        nucleus_conn_id: str,
        job_ids: Sequence[str],
        deadline: float,
        poll_interval: float = 10.0,
        ride_out: float = RIDE_OUT,
        cancel_on_kill: bool = True,
        resume_payload: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nucleus_conn_id = nucleus_conn_id
        self.job_ids = list(job_ids)
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.ride_out = ride_out
        self.cancel_on_kill = cancel_on_kill
        self.resume_payload = dict(resume_payload or {})

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make this trigger again in another process."""
        kind = type(self)
        return (
            f"{kind.__module__}.{kind.__qualname__}",
            {
                "nucleus_conn_id": self.nucleus_conn_id,
                "job_ids": self.job_ids,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "ride_out": self.ride_out,
                "cancel_on_kill": self.cancel_on_kill,
                "resume_payload": self.resume_payload,
            },
        )

    def check_serializable(self) -> None:
        """Raise NucleusConfigError unless the arguments survive their way to the triggerer unchanged.

        To be called before a job is started: afterwards it would be too late.
        """
        _, arguments = self.serialize()
        try:
            travelled = json.loads(json.dumps(arguments, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise NucleusConfigError(
                f"The task cannot be deferred, its arguments are not JSON: {error}."
            ) from error
        if travelled != arguments:
            raise NucleusConfigError(
                "The task cannot be deferred: its arguments change on the way through JSON."
            )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then send one event."""
        event = await self._wait()
        yield TriggerEvent(event.to_payload())  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Cancel the jobs when a user kills the deferred task, and say in the log what became of each."""
        if not self.cancel_on_kill:
            self.log.warning("The task was killed; left running: %s", ", ".join(self.job_ids))
            return
        try:
            async with (
                asyncio.timeout(_KILL_SECONDS),
                NucleusHook(self.nucleus_conn_id).get_async_client() as client,
            ):
                await asyncio.gather(*(self._cancel(client, job_id) for job_id in self.job_ids))
        except (NucleusError, TimeoutError) as error:
            self.log.warning("%ss %s may still be running: %r", self.subject, ", ".join(self.job_ids), error)
        except Exception as error:  # ruff: ignore[blind-except] - Airflow, its API and secrets back ends fail in any way
            # Not its text, which may hold secrets.
            self.log.warning(
                "%ss %s may still be running: %s",
                self.subject,
                ", ".join(self.job_ids),
                type(error).__name__,
            )

    @staticmethod
    async def request_cancellation(client: AsyncNucleus, job_id: str) -> Cancellation:
        """Request the cancellation of what is waited for, once."""
        return await client.cancel_job(job_id)

    @staticmethod
    def reader(nucleus_conn_id: str) -> AbstractAsyncContextManager[JobReader]:
        """Connect for looking at what is waited for."""
        return _reader(nucleus_conn_id)

    async def _cancel(self, client: AsyncNucleus, job_id: str) -> None:
        try:
            outcome = await self.request_cancellation(client, job_id)
        except NucleusError as error:
            name = f"{self.subject.lower()} {job_id}"
            self.log.warning("Could not cancel %s, it may still be running: %s", name, error)
        else:
            self.log.info("%s %s %s", self.subject, job_id, outcome)

    async def _wait(self) -> WaitEvent:
        """Look until all jobs have ended or the deadline has passed, once at least."""
        wait = _JobWatcher(self.job_ids, self.poll_interval, self.ride_out, self.deadline, self.subject)
        poller = shared_poller(
            f"{self.kind} of {self.nucleus_conn_id}", connect=partial(self.reader, self.nucleus_conn_id)
        )
        poller.join(wait)
        try:
            await wait.end
        except TimeoutError:
            message = f"The deadline passed while waiting for {wait.open}."
            return wait.event("timeout", self.resume_payload, message)
        except NucleusError as error:
            advice = given_up(error, self.subject, wait.waiting, self.ride_out)
            return wait.event("unreachable", self.resume_payload, f"{error} {advice}")
        finally:
            await poller.leave(wait)
        return wait.event("finished", self.resume_payload)


@lru_cache(maxsize=64)
def _patience(ride_out: float) -> Patience:
    """Return the patience that all waits with the same `ride_out` share; rounds and deadlines are the poller's."""
    return Patience(ride_out=ride_out)


class _JobWatcher(Watcher):
    """The jobs of one trigger: what was seen of them, and since when looks at them fail."""

    __slots__ = ("_begun", "_failing", "_last", "_not_found_yet", "_patience", "_subject")

    def __init__(
        self, job_ids: Sequence[str], interval: float, ride_out: float, deadline: float, subject: str
    ) -> None:
        super().__init__(interval=interval, deadline=deadline)
        self._begun = time.time()
        self._patience = _patience(ride_out)
        self._failing: dict[str, float] = {}
        self._not_found_yet: set[str] = set()
        self._subject = subject
        self._last: dict[str, JobStatus | None] = dict.fromkeys(job_ids)

    @property
    def waiting(self) -> list[str]:
        """The jobs that have not ended."""
        return [job_id for job_id, last in self._last.items() if last is None or not last.state.terminal]

    @property
    def open(self) -> str:
        """The jobs that have not ended, for messages."""
        return ", ".join(self.waiting)

    def apply(self, seen: Mapping[str, Observation]) -> None:
        """Take note of what was seen; raises what ends the wait before the jobs have ended."""
        for job_id in self.waiting:
            if job_id in seen:
                self._note(job_id, seen[job_id])

    def _note(self, job_id: str, seen: Observation) -> None:
        """Take note of a look; raises the error that came instead of an answer when no further look should follow.

        A job that the server no longer knows has ended, for what a job that cannot be found means is the task's to say; the
        others are waited for.
        """
        before, name = self._last[job_id], f"{self._subject} {job_id}"
        if isinstance(seen, JobStatus):
            if self._failing.pop(job_id, None) is not None:
                log.info("%s can be looked at again", name)
            if before is None or before.status != seen.status:
                log.info("%s is %s", name, seen.status)
            if before is None or not before.waiting or seen.message is not None or seen.state.terminal:
                self._last[job_id] = seen
                log_stall(log, name, None if before is None else before.waiting, seen.waiting)
            # Else it is from a listing, which knows no reasons: the one that was given holds until a look at the job itself.
            return
        passing = may_pass(seen) or is_denied(seen)
        known = job_id in (self._failing if passing else self._not_found_yet)
        reason = self._patience.decide(
            seen, job_id, self._failing, now=time.time(), begun=self._begun, answered=before is not None
        )
        if reason is StopReason.GONE:
            log.warning("%s is gone: %s", name, seen)
            self._last[job_id] = gone(job_id)
        elif reason is not None:
            raise seen
        elif not known:
            log_failed_look(log, seen, self._patience.ride_out)
            if not passing:
                self._not_found_yet.add(job_id)

    def event(self, status: EventStatus, resume_payload: dict[str, Any], message: str = "") -> WaitEvent:
        """Return the event that tells the task."""
        jobs = {
            job_id: {} if last is None else last.model_dump(mode="json") | {"job_id": job_id}
            for job_id, last in self._last.items()
        }
        return WaitEvent(status, jobs, resume_payload, message)


class _ClientReader:
    """Reads statuses of jobs."""

    def __init__(self, client: AsyncNucleus) -> None:
        self._client = client

    async def status(self, job_id: str) -> JobStatus:
        return await self._client.job_status(job_id)

    async def running(self, limit: int) -> dict[str, JobStatus]:
        return await self._client.running_jobs(limit=limit)


@contextlib.asynccontextmanager
async def _reader(nucleus_conn_id: str) -> AsyncGenerator[_ClientReader]:
    # One look each: the watchers decide about repeating it.
    async with NucleusHook(nucleus_conn_id).get_async_client(retry=NO_RETRY) as client:
        yield _ClientReader(client)
