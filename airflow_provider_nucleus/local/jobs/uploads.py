"""The jobs behind asynchronous uploads: a file of NDJSON, stored chunk by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.blobs import Kept
from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.jobs.chunks import dataset_of, run_chunks
from airflow_provider_nucleus.local.jobs.execution import JobOutcome
from airflow_provider_nucleus.local.jobs.image_fetch import Fetched, fetch_images
from airflow_provider_nucleus.local.store.catalog import scenes
from airflow_provider_nucleus.local.store.catalog.blob_records import record_blobs
from airflow_provider_nucleus.local.store.catalog.object_sets import SetOwner
from airflow_provider_nucleus.local.store.ingest import item_chunks, object_chunks
from airflow_provider_nucleus.local.store.ingest.item_chunks import ItemImage
from airflow_provider_nucleus.local.store.ingest.metadata import merge_metadata
from airflow_provider_nucleus.local.store.ingest.object_rows import strict_json

if TYPE_CHECKING:
    from collections import Counter

    from airflow_provider_nucleus.local.jobs.execution import JobContext
    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.catalog.jobs import JobRecord
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.ingest.object_chunks import RefusedRow

__all__ = ["run_item_upload", "run_metadata_update", "run_object_upload", "run_scene_upload"]


_ECHOED: Final = 10_000
"""Characters of the longest line whose geometry and metadata an error repeats."""


def run_object_upload(context: JobContext) -> JobOutcome:
    """Store annotations or predictions; bad rows become job errors and do not fail the job, unless there are no others."""
    request = context.job.request
    role = request["role"]
    last_taxonomy_error: list[str] = []

    def prepare(cursor: Cursor, data: bytes, first: int) -> int:
        return object_chunks.prepare(cursor, data, role=role, first=first)

    def store(cursor: Cursor, counts: Counter[str]) -> list[str]:
        dataset = dataset_of(cursor, context)
        target = SetOwner(
            role=role, dataset=dataset, model_no=request.get("model_no"), run_no=request.get("run_no")
        )
        _check_run(cursor, target)
        stored = object_chunks.store(cursor, target, update=request["update"])
        for name in (
            "total", "processed", "ignored", "errored", "mask_total", "mask_processed", "mask_ignored", "mask_errored",
        ):  # fmt: skip
            counts[name] += getattr(stored, name)
        if stored.taxonomy_error is not None:
            counts["taxonomy_errors"] += 1
            last_taxonomy_error.append(stored.taxonomy_error)
        return [_object_error(error) for error in stored.errors]

    counts = run_chunks(context, prepare, store, kind="annotation")
    message = _object_message(
        counts, context.job.dataset_id, "annotation" if role == "truth" else "prediction"
    )
    if counts["taxonomy_errors"]:
        text = (
            last_taxonomy_error[-1]
            if last_taxonomy_error
            else "a taxonomy or label does not exist; see the errors."
        )
        return JobOutcome("Errored_Server", message | {"final_error": f"BadRequestError: {text}"})
    rows, refused = (counts[name] + counts[f"mask_{name}"] for name in ("total", "errored"))
    # The contract calls an upload with some bad rows complete.
    return _outcome(message, refused if refused == rows else 0, rows)


def _outcome(message: dict[str, Any], refused: int, rows: int) -> JobOutcome:
    """Return the end of an upload of some rows, of which so many were refused: that is no success."""
    if not refused:
        return JobOutcome("Completed", message)
    some = f"{refused} of {rows} rows were refused; the others are stored"
    every = "the only row was refused" if rows == 1 else f"all {rows} rows were refused"
    text = f"RowError: {every if refused == rows else some}; see the errors."
    return JobOutcome("Errored_Partial", message | {"final_error": text})


def _object_message(counts: Counter[str], dataset_id: str | None, kind: str) -> dict[str, Any]:
    message: dict[str, Any] = {}
    if counts["total"] or not counts["mask_total"]:
        message[f"{kind}_upload"] = {
            **{name: counts[name] for name in ("total", "errored", "ignored", "processed")},
            "datasetId": dataset_id,
            "epoch": 1,
        }
    if counts["mask_total"]:
        message["segmentation_upload"] = {
            "processed": counts["mask_processed"],
            "ignored": counts["mask_ignored"],
            "n_errors": counts["mask_errored"],
        }
    return message


def run_item_upload(context: JobContext) -> JobOutcome:
    """Store items; bad rows, and images that cannot be fetched, become job errors and its partial end."""
    request, services = context.job.request, context.services
    images = {row: ItemImage(**image) for row, image in enumerate(_images(request))}
    fetched: list[Fetched] = []
    unreachable: list[int] = [0]

    def prepare(cursor: Cursor, data: bytes, first: int) -> int:
        rows = item_chunks.prepare_items(cursor, data, first=first)
        _drop(services, fetched)
        item_chunks.refuse_images(cursor, images)
        if services.settings.fetch_images and not images and not dataset_of(cursor, context).use_privacy_mode:
            fetched.extend(fetch_images(cursor, services.blobs, lambda: context.check(cursor)))
            unreachable[0] = sum(entry.problem is not None for entry in fetched)
        return rows

    def store(cursor: Cursor, counts: Counter[str]) -> list[str]:
        dataset = dataset_of(cursor, context)
        record_blobs(
            cursor,
            [
                Kept(entry.token, entry.size, entry.content_type)
                for entry in fetched
                if entry.token is not None
            ],
        )
        services.db.after_commit(fetched.clear)
        kept = images | {
            entry.row: ItemImage(token=entry.token, phash=entry.phash)
            for entry in fetched
            if entry.token is not None
        }
        stored = item_chunks.store_items(cursor, dataset, update=request["update"], images=kept)
        counts["unreachable"] += unreachable[0]
        for name in ("total", "created", "updated", "ignored", "errored"):
            counts[name] += getattr(stored, name)
        return [_item_error(error) for error in stored.errors]

    try:
        counts = run_chunks(context, prepare, store, kind="item")
    except BaseException:
        _drop(services, fetched)
        raise
    message = _item_message(counts, context.job)
    if counts["unreachable"]:
        text = f"ImageError: {counts['unreachable']} images could not be fetched; see the errors."
        return JobOutcome("Errored_Partial", message | {"final_error": text})
    return _outcome(message, counts["errored"], counts["total"])


def _drop(services: Services, fetched: list[Fetched]) -> None:
    """Delete the images of a chunk that was not committed: they have no row, and are fetched again."""
    for entry in fetched:
        if entry.token is not None:
            services.blobs.remove(entry.token)
    fetched.clear()


def _images(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the images that came with the rows; jobs of former versions know only their tokens."""
    return list(request.get("images", [{"token": token} for token in request.get("blobs", [])]))


def _item_message(counts: Counter[str], job: JobRecord) -> dict[str, Any]:
    done = counts["total"] - counts["errored"]
    return {
        "PayloadUrl": f"local://{job.request['token']}",
        "image_upload_step": {"errored": counts["errored"], "pending": 0, "completed": done},
        "started_image_processing": f"Dataset: {job.dataset_id}, Job: {job.id}",
        "ingest_to_reupload_queue": {
            "epoch": 1,
            "datasetId": job.dataset_id,
            "total": counts["total"],
            "processed": done,
        },
        "items": {name: counts[name] for name in ("created", "updated", "ignored", "errored")},
    }


def run_scene_upload(context: JobContext) -> JobOutcome:
    """Store lidar or video scenes, one transaction per chunk; bad scenes become job errors."""
    request = context.job.request
    lines: list[bytes] = []

    def prepare(_: Cursor, data: bytes, __: int) -> int:
        lines[:] = [line for line in data.split(b"\n") if line.strip()]
        return len(lines)

    def store(cursor: Cursor, counts: Counter[str]) -> list[str]:
        dataset = dataset_of(cursor, context)
        problems = []
        for line in lines:
            scene = _exact(line)
            stored = scenes.store_checked(
                cursor, dataset, scene, kind=request["kind"], update=request["update"]
            )
            counts[stored.status] += 1
            if stored.problem is not None:
                name = scene.get("reference_id") if isinstance(scene, dict) else None
                known = name if isinstance(name, str) else None
                problems.append(
                    orjson.dumps({"scene": {"referenceId": known}, "error": stored.problem}).decode()
                )
        return problems

    counts = run_chunks(context, prepare, store, kind="scene")
    found = {name: counts[name] for name in ("created", "updated", "ignored", "errored")}
    return _outcome({"scene_upload": found}, found["errored"], sum(found.values()))


def run_metadata_update(context: JobContext) -> JobOutcome:
    """Merge metadata into items or scenes; bad entries become job errors."""
    level = context.job.request["level"]
    lines: list[bytes] = []

    def prepare(_: Cursor, data: bytes, __: int) -> int:
        lines[:] = data.splitlines()
        return len(lines)

    def store(cursor: Cursor, counts: Counter[str]) -> list[str]:
        dataset = dataset_of(cursor, context)
        found = [merge_metadata(cursor, dataset, _exact(line), level=level) for line in lines]
        problems = [orjson.dumps({"error": problem}).decode() for problem in found if problem is not None]
        counts["errored"] += len(problems)
        counts["processed"] += len(found) - len(problems)
        return problems

    counts = run_chunks(context, prepare, store, kind="metadata")
    found = {name: counts[name] for name in ("processed", "errored")}
    return _outcome({"metadata_update": found}, found["errored"], sum(found.values()))


def _check_run(cursor: Cursor, target: SetOwner) -> None:
    for table, column, value in (
        ("models", "model_no", target.model_no),
        ("model_runs", "run_no", target.run_no),
    ):
        if value is None:
            continue
        if cursor.execute(f"SELECT 1 FROM {table} WHERE {column} = ?", [value]).fetchone() is None:
            raise NotFoundError("the model or model run was deleted while the job ran.")


def _exact(line: bytes) -> Any:
    try:
        return strict_json(line.decode())
    except ValueError:
        return None


def _loaded(line: bytes | str) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _object_error(error: RefusedRow) -> str:
    row = _loaded(error.line)
    if not isinstance(row, dict):
        return _error_line("annotation", {"raw": error.line[:1000]}, error)
    source = {name: row.get(name) for name in ("label", "type", "geometry") if name in row}
    known = {"referenceId": row.get("reference_id"), "annotationId": row.get("annotation_id")}
    if len(error.line) > _ECHOED:
        # Thousands of them are kept and answered with.
        return _error_line("annotation", known, error)
    return _error_line("annotation", source | known | {"metadata": row.get("metadata") or {}}, error)


def _item_error(error: RefusedRow) -> str:
    row = _loaded(error.line)
    source: dict[str, Any] = {"raw": error.line[:1000]}
    if isinstance(row, dict):
        source = {"referenceId": row.get("reference_id"), "imageUrl": row.get("image_url")}
    return _error_line("item", source, error)


def _error_line(kind: str, source: dict[str, Any], error: RefusedRow) -> str:
    try:
        return orjson.dumps({kind: source, "error": error.reason}).decode()
    except orjson.JSONEncodeError:
        # Nested deeper than can be written: the error of a row must not become one of the job.
        return orjson.dumps({kind: {"raw": error.line[:1000]}, "error": error.reason}).decode()
