"""Routes of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.call import LOOK_LIMIT, Call, path_segment
from airflow_provider_nucleus.client.calls._read import as_is, list_of, text_list
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.jobs import Job, JobStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cancel_job", "get_job", "job_errors", "job_status", "list_jobs", "running_jobs"]


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


def running_jobs(*, limit: int) -> Call[dict[str, JobStatus]]:
    """Return those of the newest *limit* jobs that have not ended, by id.

    Made for polls of thousands of jobs: jobs in the same state share one status, which names no job. An entry that cannot be
    read is left out: it is of somebody's job, and must not blind those who wait for another.
    """
    call = list_jobs(limit=limit, show_completed=True)
    return Call(
        call.method, call.path, _running, "list running jobs", body=call.body, answer_limit=8 * LOOK_LIMIT
    )


def _running(payload: Any) -> dict[str, JobStatus]:
    shared: dict[tuple[str, str], JobStatus] = {}
    found: dict[str, JobStatus] = {}
    for entry in list_of(as_is)(payload):
        try:
            job_id, status, job_type = _shortly(entry)
        except NucleusValidationError:
            continue
        key = (status, job_type)
        if key not in shared:
            shared[key] = JobStatus(status=status, job_type=job_type)
        if not shared[key].state.terminal:
            found[job_id] = shared[key]
    return found


def _shortly(entry: Any) -> tuple[str, str, str]:
    """Return id, last known status and type of a listed job; text is taken as it is, anything else is read as a Job."""
    if isinstance(entry, dict):
        short = (entry.get("job_id"), entry.get("job_last_known_status"), entry.get("job_type"))
        if all(type(value) is str for value in short):
            return short  # type: ignore[return-value]
    job = Job.from_wire(entry)
    return job.job_id, job.job_last_known_status, job.job_type


def job_status(job_id: str) -> Call[JobStatus]:
    """Look at a job."""

    def read(payload: Any) -> JobStatus:
        status = JobStatus.from_wire(payload)
        return status if status.job_id else status.model_copy(update={"job_id": job_id})

    return Call("GET", f"job/{path_segment(job_id)}", read, f"look at job {job_id}", answer_limit=LOOK_LIMIT)


def get_job(job_id: str) -> Call[Job]:
    """Return what a job is: its type and when it was created."""
    return Call("GET", f"job/{path_segment(job_id)}/info", Job.from_wire, f"read job {job_id}")


def job_errors(job_id: str) -> Call[list[str]]:
    """Return the latest errors of a job, at most 10,000, one text per row that was refused."""
    return Call("GET", f"job/{path_segment(job_id)}/errors", text_list, f"read the errors of job {job_id}")


def cancel_job(job_id: str) -> Call[Any]:
    """Ask for a running job to be cancelled: an extension of the embedded Nucleus, which the cloud answers with 404 or 501."""
    return Call("POST", f"job/{path_segment(job_id)}/cancel", as_is, f"cancel job {job_id}", body={})
