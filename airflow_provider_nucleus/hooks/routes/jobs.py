"""Jobs of the server, as methods of the hook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.client.calls import jobs
from airflow_provider_nucleus.client.cancellation import cancel
from airflow_provider_nucleus.client.jobs import SHOWN_ERRORS, job_failure, wait_for_job
from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.hooks.routes.base import Routes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_nucleus.client.cancellation import Cancellation
    from airflow_provider_nucleus.client.jobs import OnPartial
    from airflow_provider_nucleus.exceptions import NucleusJobError
    from airflow_provider_nucleus.schema.jobs import Job, JobStatus

__all__ = ["JobRoutes"]


class JobRoutes(Routes):
    """Jobs: find, wait for and cancel them."""

    def list_jobs(
        self,
        *,
        dataset_id: str | None = None,
        job_types: Sequence[str] = (),
        from_date: str | None = None,
        to_date: str | None = None,
        show_completed: bool = False,
        limit: int = 50_000,
    ) -> list[Job]:
        """List jobs, newest first; completed ones only if asked for."""
        return self.send(
            jobs.list_jobs(
                dataset_id=dataset_id,
                job_types=job_types,
                from_date=from_date,
                to_date=to_date,
                limit=limit,
                show_completed=show_completed,
            )
        )

    def job_status(self, job_id: str) -> JobStatus:
        """Look at a job."""
        return self.send(jobs.job_status(job_id))

    def get_job(self, job_id: str) -> Job:
        """Return what a job is: its type and when it was created."""
        return self.send(jobs.get_job(job_id))

    def job_errors(self, job_id: str) -> list[str]:
        """Return the latest errors of a job, at most 10,000, one text per row that was refused."""
        return self.send(jobs.job_errors(job_id))

    def job_failure(
        self, job_id: str, status: JobStatus, *, on_partial: OnPartial = "fail"
    ) -> NucleusJobError | None:
        """Return the error that the end of a job deserves, with its first row errors, or None if it succeeded."""
        failure = job_failure(status, on_partial=on_partial, conn_id=self.nucleus_conn_id)
        if failure is None:
            return None
        try:
            errors = self.job_errors(job_id)[:SHOWN_ERRORS]
        except NucleusError as error:
            self.log.warning("The row errors of job %s could not be read: %s", job_id, error)
            return failure
        return job_failure(status, errors=errors, on_partial=on_partial, conn_id=self.nucleus_conn_id)

    def wait_for_job(
        self,
        job_id: str,
        *,
        poll_interval: float = 5.0,
        timeout: float | None = None,
        on_partial: OnPartial = "fail",
        on_change: Callable[[JobStatus], None] | None = None,
    ) -> JobStatus:
        """Wait until a job is over and return its last status; *on_change* is called with every new one.

        Raises NucleusJobFailed or NucleusJobCancelled with the first row errors, or NucleusJobTimeout after *timeout* seconds.
        """
        return wait_for_job(
            self.get_conn(),
            job_id,
            poll_interval=poll_interval,
            timeout=timeout,
            on_partial=on_partial,
            on_change=on_change,
        )

    def cancel_job(self, job_id: str) -> Cancellation:
        """Ask once for a job to be cancelled, and say what that led to."""
        return cancel(self.get_conn(), jobs.cancel_job(job_id))
