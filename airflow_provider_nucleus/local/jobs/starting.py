"""Starting the jobs that read uploaded rows."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.local.disk.durable import written
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.store.catalog import jobs
from airflow_provider_nucleus.local.store.ingest import signed_uploads

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["start_on_bytes", "start_on_upload"]


def start_on_upload(
    services: Services,
    cursor: Cursor,
    job_type: str,
    *,
    dataset: DatasetRecord,
    request_id: str,
    request: dict[str, Any],
) -> jobs.JobRecord:
    """Start a job on the rows that were PUT for a request id.

    A client that repeats the call after a lost answer gets the job it has already started, not a second one.
    Raises `BadRequestError` if nothing has arrived.
    """
    upload = signed_uploads.received(cursor, dataset, request_id)
    if upload is None:
        earlier = jobs.find_by_request(cursor, job_type, dataset_no=dataset.number, request_id=request_id)
        if earlier is not None:
            return earlier
        raise BadRequestError(
            f"Nothing was uploaded for requestId {request_id} in dataset {dataset.id}: "
            "ask for a signed URL, PUT the rows to it, then start the job."
        )
    job = services.start_job(
        cursor,
        job_type,
        dataset_no=dataset.number,
        request={**request, "request_id": request_id, "token": upload.file},
        total_steps=upload.lines,
    )
    signed_uploads.assign(cursor, upload, job.number)
    return job


def start_on_bytes(
    services: Services,
    cursor: Cursor,
    job_type: str,
    *,
    dataset: DatasetRecord,
    data: bytes,
    request: dict[str, Any],
) -> jobs.JobRecord:
    """Start a job on rows that came with the request itself."""
    token = secrets.token_urlsafe(32)
    path = signed_uploads.spool_path(services.folder.spool, token)
    services.db.after_undo(lambda: path.unlink(missing_ok=True))
    with written(path) as file:
        file.write(data)
    lines = data.count(b"\n")
    return services.start_job(
        cursor, job_type, dataset_no=dataset.number, request={**request, "token": token}, total_steps=lines
    )
