"""Starting the jobs that read uploaded rows."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.disk.durable import written
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.store.catalog import jobs
from airflow_provider_nucleus.local.store.ingest import signed_uploads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["start_on_bytes", "start_on_upload"]

_ASKED: Final = {"model_no": "model", "run_no": "model run", "role": "target", "kind": "kind of scenes"}
"""What callers know by other words than `request` has."""


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
    Raises `BadRequestError` if nothing has arrived, or if that job does something else with the rows.
    """
    upload = signed_uploads.received(cursor, dataset, request_id)
    if upload is None:
        earlier = jobs.find_by_request(cursor, job_type, dataset_no=dataset.number, request_id=request_id)
        if earlier is not None:
            _check_same(earlier, request)
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


def _check_same(earlier: jobs.JobRecord, request: Mapping[str, Any]) -> None:
    """Raise `BadRequestError` if a call that bears the request id of an earlier job asks for something else."""
    changed = [
        name
        for name, value in request.items()
        if value is not None and earlier.request.get(name) not in {None, value}
    ]
    if changed:
        raise BadRequestError(
            f"The rows of requestId {earlier.request['request_id']} were taken by job {earlier.id}, which was started with another "
            f"{' and '.join(_ASKED.get(name, name) for name in changed)}; nothing was started. Upload the rows anew, under a "
            "requestId of their own."
        )


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
