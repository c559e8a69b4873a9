"""Uploads and reads that ground truth and predictions share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from airflow_provider_nucleus.image_bytes import PNG
from airflow_provider_nucleus.local.blobs import Kept
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.exact_json import parse_json
from airflow_provider_nucleus.local.jobs.custom_indexing import start_custom_indexing
from airflow_provider_nucleus.local.jobs.starting import start_on_upload
from airflow_provider_nucleus.local.pictures import examine
from airflow_provider_nucleus.local.routes.routing import FormParts
from airflow_provider_nucleus.local.store.catalog.blob_records import record_blobs
from airflow_provider_nucleus.local.store.ingest import object_chunks
from airflow_provider_nucleus.local.store.ingest.ndjson import rows_of
from airflow_provider_nucleus.local.store.ingest.object_rows import mark_bad

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.requests.uploads import ObjectsRequest
    from airflow_provider_nucleus.local.store.catalog.object_sets import Role, SetOwner
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.ingest.object_chunks import ChunkResult

__all__ = ["MASK_PARTS", "StoredNow", "start_upload", "store_now", "summary"]


_REASONS_SHOWN: Final = 3
MASK_PARTS: Final = FormParts(json="serialized_request", files="mask")
"""The multipart form of uploads with masks: one file per segmentation, in order."""


@dataclass(frozen=True, slots=True)
class StoredNow:
    """The outcome of a synchronous upload: its rows, where they went, and the job on the embeddings that came with them."""

    rows: ChunkResult
    target: SetOwner
    indexing_job: str | None = None


def store_now(
    call: RouteCall, request: ObjectsRequest, role: Role, find_target: Callable[[Cursor], SetOwner]
) -> StoredNow:
    """Store the objects of a synchronous request, JSON or multipart.

    `find_target` runs inside the transaction; a model run that it creates is kept only if the upload is. Raises `BadRequestError`
    when each row names its own dataset and none could be stored.
    """
    masks = request.segmentations
    with call.services.blobs.keeping() as keep:
        blobs, problems = _keep_masks(call, len(masks), keep)
        for mask in masks:
            if isinstance(mask, dict):
                mask.setdefault("type", "mask")
        # Masks first, so that the i-th file belongs to row i.
        rows = [*masks, *request.annotations]
        return _store(
            call, role, find_target, rows_of(rows), blobs=blobs, problems=problems, update=request.update
        )


def _store(
    call: RouteCall,
    role: Role,
    find_target: Callable[[Cursor], SetOwner],
    data: bytes,
    *,
    blobs: dict[int, Kept],
    problems: list[tuple[int, str]],
    update: bool,
) -> StoredNow:
    with call.db.session() as cursor:
        object_chunks.prepare(cursor, data, role=role, first=0)
        mark_bad(cursor, problems)
        with call.db.write(cursor):
            target = find_target(cursor)
            record_blobs(cursor, blobs.values())
            tokens = {row: blob.token for row, blob in blobs.items()}
            stored = object_chunks.store(cursor, target, update=update, blobs=tokens)
            if target.dataset is None:
                _refuse_all_refused(stored)
            if not stored.embedded:
                return StoredNow(stored, target)
            number = None if target.dataset is None else target.dataset.number
            job = start_custom_indexing(call.services, cursor, dataset_no=number, count=stored.embedded)
            return StoredNow(stored, target, job.id)


def _refuse_all_refused(stored: ChunkResult) -> None:
    """Raise `BadRequestError` when not one of the rows that there are could be stored: in no dataset anything has changed."""
    refused = stored.errored + stored.mask_errored
    if not refused or refused < stored.total + stored.mask_total:
        return
    reasons = [_error_text(error) for error in stored.errors]
    first = "; ".join(dict.fromkeys(reasons[:_REASONS_SHOWN]))
    more = f"; and {len(reasons) - _REASONS_SHOWN} more" if len(reasons) > _REASONS_SHOWN else ""
    raise BadRequestError(f"None of the {refused} predictions was stored: {first}{more}")


def _keep_masks(
    call: RouteCall, count: int, keep: Callable[[BinaryIO], tuple[str, int]]
) -> tuple[dict[int, Kept], list[tuple[int, str]]]:
    """Keep each mask of a multipart request that is one, by its row; of the others return the row and the problem."""
    if call.files is None:
        return {}, []
    files = [part for part in call.files if part.field == MASK_PARTS.files]
    if len(files) != count:
        raise BadRequestError(
            f"{count} segmentations came with {len(files)} masks; send one mask per segmentation, in order."
        )
    found = [examine(part.file, PNG) for part in files]
    kept = {
        row: Kept(*keep(part.file), part.content_type)
        for row, part in enumerate(files)
        if found[row].problem is None
    }
    problems = [
        (row, f"the file of the mask is no PNG: {mask.problem}")
        for row, mask in enumerate(found)
        if mask.problem is not None
    ]
    return kept, problems


def summary(done: StoredNow, kind: str) -> dict[str, Any]:
    """Return the counters of a synchronous answer; masks count as one object each."""
    stored = done.rows
    answer: dict[str, Any] = {
        f"{kind}_processed": stored.processed + stored.mask_processed,
        f"{kind}_ignored": stored.ignored + stored.mask_ignored,
    }
    if stored.errors:
        answer["errors"] = [_error_text(error) for error in stored.errors]
    if done.indexing_job is not None:
        answer["customObjectIndexingJobId"] = done.indexing_job
    return answer


def _error_text(error: object_chunks.RefusedRow) -> str:
    try:
        row = parse_json(error.line, what="row")
    except BadRequestError:
        row = None
    name = row.get("reference_id") or row.get("item_id") if isinstance(row, dict) else None
    return error.reason if name is None or f"id {name} " in error.reason else f"{name}: {error.reason}"


def start_upload(
    call: RouteCall, request: ObjectsRequest, job_type: str, find_target: Callable[[Cursor], SetOwner]
) -> Any:
    """Start the job that stores the rows uploaded for `requestId`."""
    with call.db.write() as cursor:
        target = find_target(cursor)
        if target.dataset is None:
            raise BadRequestError("An asynchronous upload needs a dataset in its route.")
        job = start_on_upload(
            call.services,
            cursor,
            job_type,
            dataset=target.dataset,
            request_id=request.upload_id,
            request={
                "role": target.role,
                "model_no": target.model_no,
                "run_no": target.run_no,
                "update": request.update,
                "trained_slice_id": request.trained_slice_id,
            },
        )
    return job.to_wire()
