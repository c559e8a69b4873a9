"""The threads that run jobs."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.errors import ApiError, FullDiskError, MemoryLimitError
from airflow_provider_nucleus.local.jobs.cleanup import delete_input
from airflow_provider_nucleus.local.jobs.execution import (
    JobCancelled,
    JobContext,
    JobInterrupted,
    JobOutcome,
    failure_of,
)
from airflow_provider_nucleus.local.store.catalog import jobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.local.jobs.execution import Runner
    from airflow_provider_nucleus.local.services import Services

__all__ = ["JobPool"]

log = logging.getLogger(__name__)
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_WAITS_FOR_ROOM: Final = "The disk of this Nucleus server is full. The job goes on behind its last committed step once there is room."


class JobPool:
    """A few worker threads over one queue of job ids; the rows in the store are the truth.

    `runners` maps job types to the functions that run them. A job that meets a full disk stays Running and is tried
    again until there is room.
    """

    def __init__(self, runners: Mapping[str, Runner], *, workers: int) -> None:
        self._runners = runners
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"job-{n}", daemon=True) for n in range(workers)
        ]
        self._services: Services | None = None
        self._alarms: dict[str, threading.Event] = {}
        self._waiting: set[str] = set()

    def start(self, services: Services) -> None:
        """Start the threads on the jobs that a former server left unfinished."""
        self._services = services
        with services.db.read() as cursor:
            waiting = jobs.unfinished(cursor)
        for job in waiting:
            log.warning(
                "job %s (%s) was interrupted at step %s: resuming",
                job.id,
                job.type,
                job.state.completed_steps,
            )
            self.submit(job.id)
        for thread in self._threads:
            thread.start()

    def submit(self, job_id: str) -> None:
        """Queue a job whose row is committed."""
        self._queue.put(job_id)

    def wake(self, job_id: str) -> None:
        """Have a job that waits for room look at once whether to go on, because it was cancelled."""
        if (alarm := self._alarms.get(job_id)) is not None:
            alarm.set()

    def remark(self, job_id: str) -> dict[str, str]:
        """Return what the message of a running job says beside what is stored of it."""
        return {"waiting": _WAITS_FOR_ROOM} if job_id in self._waiting else {}

    def stop(self) -> None:
        """Let each worker finish its current step and end; unfinished jobs stay Running in the store."""
        self._stopping.set()
        for alarm in list(self._alarms.values()):
            alarm.set()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _work(self) -> None:
        while (job_id := self._queue.get()) is not None and not self._stopping.is_set():
            try:
                self._run(job_id)
            except JobInterrupted:
                return
            except Exception:
                log.exception("job %s could not be brought to an end", job_id)

    def _run(self, job_id: str) -> None:
        alarm = self._alarms[job_id] = threading.Event()
        pause = _FIRST_PAUSE
        try:
            while True:
                alarm.clear()
                try:
                    return self._try(job_id)
                except FullDiskError:
                    log.warning("job %s waits for room on the disk, %s s at most", job_id, pause)
                    self._wait(job_id, alarm, pause)
                except MemoryLimitError:
                    log.warning("job %s waits for memory, %s s", job_id, pause)
                    if self._stopping.wait(pause):
                        raise JobInterrupted from None
                pause = min(2 * pause, _LONGEST_PAUSE)
        finally:
            del self._alarms[job_id]

    def _wait(self, job_id: str, alarm: threading.Event, pause: float) -> None:
        self._waiting.add(job_id)
        # Stopping is noted before the alarm is set.
        if not self._stopping.is_set():
            alarm.wait(pause)
        self._waiting.discard(job_id)
        if self._stopping.is_set():
            raise JobInterrupted

    def _try(self, job_id: str) -> None:
        """Run a job from its last committed step to its end."""
        services = self._services
        assert services is not None
        with services.db.read() as cursor:
            job = jobs.find(cursor, job_id)
        if job.status != jobs.RUNNING:
            return
        outcome = self._outcome(JobContext(services, job, self._stopping))
        with services.db.write() as cursor:
            jobs.finish(cursor, job, status=outcome.status, message=outcome.message)
        delete_input(services, job)

    def _outcome(self, context: JobContext) -> JobOutcome:
        job = context.job
        try:
            return self._runners[job.type](context)
        except (JobInterrupted, FullDiskError):
            raise
        except JobCancelled:
            return JobOutcome(
                "Cancelled", {"final_error": "Cancelled: stopped on request; what was committed stays."}
            )
        except ApiError as error:
            return JobOutcome("Errored_User", {"final_error": f"{type(error).__name__}: {error}"})
        except Exception as error:
            log.exception("job %s (%s) failed", job.id, job.type)
            return JobOutcome("Errored_Server", {"final_error": failure_of(error)})
