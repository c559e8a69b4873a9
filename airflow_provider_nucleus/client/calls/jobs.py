"""Routes of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.call import Call, encoded
from airflow_provider_nucleus.client.calls._read import as_is, list_of, text_list
from airflow_provider_nucleus.schema.jobs import Job, JobStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cancel_job", "get_job", "job_errors", "job_status", "list_jobs"]


def list_jobs(
    *,
    dataset_id: str | None = None,
    job_types: Sequence[str] = (),
    from_date: str | None = None,
    to_date: str | None = None,
    limit: int = 50_000,
    show_completed: bool = False,
) -> Call[list[Job]]:
    """List jobs, newest first; completed ones only if asked for. Dates are ISO texts that bound the creation time."""
    body = {
        "dataset_id": dataset_id,
        "job_types": list(job_types),
        "from_date": from_date,
        "to_date": to_date,
        "limit": limit,
        "show_completed": show_completed,
    }
    return Call("POST", "jobs/", list_of(Job.from_wire), "list jobs", body=body)


def job_status(job_id: str) -> Call[JobStatus]:
    """Look at a job."""

    def read(payload: Any) -> JobStatus:
        status = JobStatus.from_wire(payload)
        return status if status.job_id else status.model_copy(update={"job_id": job_id})

    return Call("GET", f"job/{encoded(job_id)}", read, f"look at job {job_id}")


def get_job(job_id: str) -> Call[Job]:
    """Return what a job is: its type and when it was created."""
    return Call("GET", f"job/{encoded(job_id)}/info", Job.from_wire, f"read job {job_id}")


def job_errors(job_id: str) -> Call[list[str]]:
    """Return the latest errors of a job, at most 10,000, one text per row that was refused."""
    return Call("GET", f"job/{encoded(job_id)}/errors", text_list, f"read the errors of job {job_id}")


def cancel_job(job_id: str) -> Call[Any]:
    """Ask for a running job to be cancelled: an extension of the embedded Nucleus, which the cloud answers with 404 or 501."""
    return Call("POST", f"job/{encoded(job_id)}/cancel", as_is, f"cancel job {job_id}", body={})
