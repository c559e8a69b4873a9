"""Routes of jobs (contract section 2.7), and one of our own: cancelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.requests.paging import JobsRequest
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import jobs

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.post("jobs/", body=JobsRequest, reads=True)
def listing(call: RouteCall, request: JobsRequest) -> Any:
    """List jobs, newest first."""
    with call.db.read() as cursor:
        found = jobs.listing(
            cursor,
            dataset_id=request.dataset_id,
            job_types=request.job_types,
            since=request.from_date,
            until=request.to_date,
            limit=request.limit,
            show_completed=request.show_completed,
        )
    return [job.to_wire() for job in found]


@ROUTES.get("job/{job}")
def status(call: RouteCall) -> Any:
    """Return how far a job is."""
    with call.db.read() as cursor:
        job = jobs.find(cursor, call.params["job"])
    remark = call.services.pool.remark(job.id) if job.status == jobs.RUNNING else {}
    return job.status_to_wire() | {"message": job.message | remark}


@ROUTES.get("job/{job}/info")
def info(call: RouteCall) -> Any:
    """Return a job as listings show it."""
    with call.db.read() as cursor:
        return jobs.find(cursor, call.params["job"]).to_wire()


@ROUTES.get("job/{job}/errors")
def errors(call: RouteCall) -> Any:
    """Return the latest row errors of a job."""
    with call.db.read() as cursor:
        return jobs.errors(cursor, jobs.find(cursor, call.params["job"]))


@ROUTES.post("job/{job}/cancel")
def cancel(call: RouteCall) -> Any:
    """Stop a job before its next chunk (an extension: Scale's cloud has no such route)."""
    with call.db.write() as cursor:
        job = jobs.find(cursor, call.params["job"])
        call.services.cancel_job(cursor, job)
    return {"job_id": job.id, "message": "The job stops before its next chunk; what it has stored stays."}
