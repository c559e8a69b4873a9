"""The threads that run jobs."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.errors import ApiError
from airflow_provider_nucleus.local.jobs.running import JobCancelled, JobContext, JobInterrupted, Outcome
from airflow_provider_nucleus.local.store import jobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.local.jobs.running import Runner
    from airflow_provider_nucleus.local.services import Services

__all__ = ["JobPool"]

_LOG = logging.getLogger(__name__)


class JobPool:
    """A few worker threads over one queue of job ids; the rows in the store are the truth.

    ``runners`` maps job types to the functions that run them.
    """

    def __init__(self, runners: Mapping[str, Runner], *, workers: int) -> None:
        self._runners = runners
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"job-{n}", daemon=True) for n in range(workers)
        ]
        self._services: Services | None = None

    def start(self, services: Services) -> None:
        """Start the threads on the jobs that a former server left unfinished."""
        self._services = services
        with services.db.read() as cursor:
            waiting = jobs.unfinished(cursor)
        for job in waiting:
            _LOG.warning(
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

    def stop(self) -> None:
        """Let each worker finish its current step and end; unfinished jobs stay Running in the store."""
        self._stopping.set()
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
            except Exception:  # ruff: ignore[blind-except] - a worker outlives any job
                _LOG.exception("job %s could not be brought to an end", job_id)

    def _run(self, job_id: str) -> None:
        services = self._services
        assert services is not None
        with services.db.read() as cursor:
            job = jobs.find(cursor, job_id)
        if job.status != jobs.RUNNING:
            return
        outcome = self._outcome(JobContext(services, job, self._stopping))
        with services.db.write() as cursor:
            jobs.finish(cursor, job, status=outcome.status, message=outcome.message)
        services.forget_input(job)

    def _outcome(self, context: JobContext) -> Outcome:
        job = context.job
        try:
            return self._runners[job.type](context)
        except JobInterrupted:
            raise
        except JobCancelled:
            return Outcome(
                "Cancelled", {"final_error": "Cancelled: stopped on request; what was committed stays."}
            )
        except ApiError as error:
            return Outcome("Errored_User", {"final_error": f"{type(error).__name__}: {error}"})
        except Exception as error:  # ruff: ignore[blind-except] - whatever it was, the job has ended and says so
            _LOG.exception("job %s (%s) failed", job.id, job.type)
            return Outcome("Errored_Server", {"final_error": f"{type(error).__name__}: {error}"})
