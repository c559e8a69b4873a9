"""Routes of items (contract section 2.2)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.blobs import Kept
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.http.paging import row_of_token
from airflow_provider_nucleus.local.jobs.starting import start_on_bytes, start_on_upload
from airflow_provider_nucleus.local.pictures import examine
from airflow_provider_nucleus.local.requests.paging import PageRequest
from airflow_provider_nucleus.local.requests.uploads import AppendRequest, MetadataRequest, UploadAddress
from airflow_provider_nucleus.local.routes.routing import FormParts, RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, items
from airflow_provider_nucleus.local.store.catalog.blob_records import record_blobs
from airflow_provider_nucleus.local.store.catalog.object_sets import SetOwner, find_set
from airflow_provider_nucleus.local.store.ingest import item_chunks
from airflow_provider_nucleus.local.store.ingest.item_chunks import ItemImage
from airflow_provider_nucleus.local.store.ingest.metadata import merge_metadata
from airflow_provider_nucleus.local.store.ingest.ndjson import rows_of
from airflow_provider_nucleus.local.store.views import objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.http.messages import ReceivedFile
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.items import Item
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()
_ALL: Final = 1_000_000_000
_PAGE: Final = 100_000


_IMAGE_PARTS: Final = FormParts(json="items", files="image", field="items")


@ROUTES.post("dataset/{ds}/append", body=AppendRequest, query=UploadAddress, form=_IMAGE_PARTS)
def append(call: RouteCall, request: AppendRequest, address: UploadAddress) -> Any:
    """Append items: rows behind a signed URL, a multipart request with images, or the old synchronous forms."""
    if call.files is not None:
        return _append_files(call, call.files, request.items, as_job=address.as_job)
    if address.as_job:
        return _start(call, request)
    return _store_now(call, request.items, update=request.update)


def _start(call: RouteCall, request: AppendRequest) -> Any:
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        _check_plain(dataset)
        job = start_on_upload(
            call.services,
            cursor,
            "uploadDatasetItems",
            dataset=dataset,
            request_id=request.upload_id,
            request={"update": request.update},
        )
    return job.to_wire()


def _check_plain(dataset: DatasetRecord) -> None:
    if dataset.is_scene:
        raise BadRequestError(f"Dataset {dataset.id} is a scene dataset: append scenes, not items.")


def _append_files(call: RouteCall, files: Sequence[ReceivedFile], rows: list[Any], *, as_job: bool) -> Any:
    if not all(isinstance(row, dict) for row in rows):
        raise BadRequestError("The part 'items' must be a JSON list of objects.")
    images = [part for part in files if part.field == _IMAGE_PARTS.files]
    if len(images) != len(rows):
        raise BadRequestError(
            f"{len(rows)} items came with {len(images)} images; send one image per item, in order."
        )
    with call.db.read() as cursor:
        _check_plain(datasets.find(cursor, call.params["ds"]))
    update = any(row.pop("update", False) is True for row in rows)
    with call.services.blobs.keeping() as keep:
        pictures = [examine(image.file) for image in images]
        blobs = {
            row: Kept(*keep(image.file), image.content_type)
            for row, (image, picture) in enumerate(zip(images, pictures, strict=True))
            if picture.problem is None
        }
        found = {
            row: ItemImage(
                token=blobs[row].token if row in blobs else None,
                phash=picture.phash,
                problem=picture.problem,
            )
            for row, picture in enumerate(pictures)
        }
        if not as_job:
            return _store_now(call, rows, update=update, blobs=blobs.values(), images=found)
        with call.db.write() as cursor:
            dataset = datasets.find(cursor, call.params["ds"])
            record_blobs(cursor, blobs.values())
            request = {
                "update": update,
                "blobs": [blob.token for blob in blobs.values()],
                "images": [asdict(image) for image in found.values()],
            }
            job = start_on_bytes(
                call.services,
                cursor,
                "uploadDatasetItems",
                dataset=dataset,
                data=rows_of(rows),
                request=request,
            )
    return job.to_wire()


def _store_now(
    call: RouteCall,
    rows: list[Any],
    *,
    update: bool,
    blobs: Iterable[Kept] = (),
    images: Mapping[int, ItemImage] | None = None,
) -> Any:
    with call.db.session() as cursor:
        item_chunks.prepare_items(cursor, rows_of(rows), first=0)
        item_chunks.refuse_images(cursor, images or {})
        with call.db.write(cursor):
            dataset = datasets.find(cursor, call.params["ds"])
            _check_plain(dataset)
            record_blobs(cursor, blobs)
            stored = item_chunks.store_items(cursor, dataset, update=update, images=images)
    answer = {
        "dataset_id": dataset.id,
        "new_items": stored.created,
        "updated_items": stored.updated,
        "ignored_items": stored.ignored,
        "upload_errors": stored.errored,
    }
    if stored.errors:
        answer["error_payload"] = [_refused(rows[error.row], error.reason) for error in stored.errors]
    return answer


def _refused(row: Any, reason: str) -> dict[str, Any]:
    return {**(row if isinstance(row, dict) else {"raw": row}), "error": reason}


@ROUTES.get("dataset/{ds}/datasetItems")
def all_items(call: RouteCall) -> Any:
    """Return every item at once."""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        found, _ = items.page(cursor, dataset, after=-1, size=_ALL)
        return {"dataset_items": [item.to_wire() for item in found]}


@ROUTES.post("dataset/{ds}/itemsPage", body=PageRequest, reads=True)
def items_page(call: RouteCall, request: PageRequest) -> Any:
    """Return one page of items."""
    after, size = row_of_token(request.token), request.size_within(_PAGE)
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        found, following = items.page(cursor, dataset, after=after, size=size)
    token = None if following is None else str(following)
    return {"items": [item.to_wire() for item in found], "nextPageToken": token}


def _with_annotations(cursor: Cursor, dataset: DatasetRecord, item: Item) -> Any:
    set_no = find_set(cursor, SetOwner(role="truth", dataset=dataset), dataset.number)
    found = [] if set_no is None else objects.objects_of_items(cursor, [set_no], [item.item_no], truth=True)
    return {"item": item.to_wire(), "annotations": objects.by_type(found)}


@ROUTES.get("dataset/{ds}/iloc/{index}")
def item_at_index(call: RouteCall) -> Any:
    """Return the item at an index with its annotations."""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        return _with_annotations(cursor, dataset, items.at_index(cursor, dataset, call.params["index"]))


@ROUTES.get("dataset/{ds}/refloc/{ref*}")
def item_by_reference(call: RouteCall) -> Any:
    """Return the item with a reference id with its annotations."""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        return _with_annotations(cursor, dataset, items.by_reference(cursor, dataset, call.params["ref"]))


@ROUTES.get("dataset/{ds}/loc/{item}")
def item_by_id(call: RouteCall) -> Any:
    """Return the item with an item id with its annotations."""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        return _with_annotations(cursor, dataset, items.by_id(cursor, dataset, call.params["item"]))


@ROUTES.post("dataset/{ds}/metadata", body=MetadataRequest, query=UploadAddress)
def update_metadata(call: RouteCall, request: MetadataRequest, address: UploadAddress) -> Any:
    """Merge metadata into items or scenes, at once or as a job."""
    level, entries = request.level, request.metadata
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        if address.as_job:
            job = start_on_bytes(
                call.services,
                cursor,
                "metadataUpdate",
                dataset=dataset,
                data=rows_of(entries),
                request={"level": level},
            )
            return job.to_wire()
        found = [merge_metadata(cursor, dataset, entry, level=level) for entry in entries]
    errors = [problem for problem in found if problem is not None]
    answer: dict[str, Any] = {"dataset_id": dataset.id, "updated": len(entries) - len(errors)}
    return answer | {"errors": errors} if errors else answer


@ROUTES.delete("dataset/{ds}/refloc/{ref*}")
def delete_item(call: RouteCall) -> Any:
    """Delete an item with everything on it."""
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        item = items.by_reference(cursor, dataset, call.params["ref"])
        items.delete(cursor, item)
    return {"dataset_id": dataset.id, "reference_id": item.reference_id, "message": "Item deleted."}
