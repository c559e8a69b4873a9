"""Routes of items: appending, reading, deleting."""

from __future__ import annotations

import uuid
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.client.call import EXPORT_LIMIT, Call, path_segment
from airflow_provider_nucleus.client.calls._read import as_is, nothing, text_member
from airflow_provider_nucleus.client.content import FilePart, Multipart
from airflow_provider_nucleus.client.paging import Page, read_page
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.base import require_object
from airflow_provider_nucleus.schema.exports import ExportRow, ItemWithAnnotations
from airflow_provider_nucleus.schema.items import DatasetItem
from airflow_provider_nucleus.schema.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.client.content import Content

__all__ = [
    "MAX_FILES_PER_REQUEST",
    "append_local_images",
    "delete_item",
    "export_page",
    "item_by_id",
    "item_by_index",
    "item_by_reference",
    "items_page",
    "list_items",
    "new_request_id",
    "put_signed",
    "signed_url",
    "start_append",
    "update_item_metadata",
]

MAX_FILES_PER_REQUEST = 10
"""Files the API accepts in one multipart request."""


def new_request_id() -> str:
    """Make the id that ties a signed upload to the call that starts its job: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def signed_url(dataset_id: str, request_id: str, *, s3_endpoint: str | None = None) -> Call[str]:
    """Ask where to put a file of rows; asking again for the same id is harmless."""
    return Call(
        "GET",
        f"dataset/{path_segment(dataset_id)}/signedUrl/{path_segment(request_id, 'request_id')}",
        _address,
        f"get an upload address for dataset {dataset_id}",
        params={"s3Endpoint": s3_endpoint} if s3_endpoint else None,
    )


def _address(payload: Any) -> str:
    return str(Address.parse(text_member("signed_url")(payload), "signed_url"))


def put_signed(url: str, content: Content) -> Call[None]:
    """Put a file of rows at a signed address: no credentials, no Content-Type, because the signature covers both."""
    return Call(
        "PUT",
        "",
        nothing,
        "upload rows to the signed address",
        content=content,
        reads_body=False,
        signed_url=url,
    )


def start_append(dataset_id: str, request_id: str, *, update: bool = False) -> Call[Job]:
    """Start the job that appends the items put under `request_id`."""
    return Call(
        "POST",
        f"dataset/{path_segment(dataset_id)}/append",
        Job.from_wire,
        f"start appending items to dataset {dataset_id}",
        body={"requestId": request_id, "update": update},
        params={"async": "1"},
        repeatable=False,
    )


def append_local_images(
    dataset_id: str, items: Sequence[Mapping[str, Any]], images: Sequence[Content], *, update: bool = False
) -> Call[Job]:
    """Append at most 10 images of this machine and start the job that takes them in.

    `items` are wire objects whose `image_url` is the local path; `images[i]` are the bytes of `items[i]`.
    """
    if not 0 < len(items) <= MAX_FILES_PER_REQUEST or len(images) != len(items):
        raise NucleusValidationError(
            "items",
            f"must be 1 to {MAX_FILES_PER_REQUEST}, one image each: {len(items)} items, {len(images)} images",
        )
    form = Multipart(
        name="items",
        value=[{**item, "update": update} for item in items],
        file_name="image",
        files=[
            FilePart(
                path=str(item["image_url"]), content=image, content_type=f"image/{_suffix(item['image_url'])}"
            )
            for item, image in zip(items, images, strict=True)
        ],
    )
    return Call(
        "POST",
        f"dataset/{path_segment(dataset_id)}/append",
        Job.from_wire,
        f"append {len(items)} local images to dataset {dataset_id}",
        params={"async": "1"},
        content=form,
        content_type=form.content_type,
        repeatable=False,
    )


def _suffix(path: str) -> str:
    kind = PureWindowsPath if "\\" in path else PurePosixPath
    return kind(path).suffix.lstrip(".")


def list_items(dataset_id: str) -> Call[list[DatasetItem]]:
    """List all items in one answer; `items_page` reads datasets of any size."""

    def read(payload: Any) -> list[DatasetItem]:
        return [
            DatasetItem.from_wire(each) for each in require_object(payload, "the answer")["dataset_items"]
        ]

    return Call(
        "GET",
        f"dataset/{path_segment(dataset_id)}/datasetItems",
        read,
        f"list the items of dataset {dataset_id}",
        answer_limit=EXPORT_LIMIT,
    )


def items_page(dataset_id: str, *, page_size: int = 10_000) -> Call[Page[DatasetItem]]:
    """List the items in order of insertion, page by page."""
    return Call(
        "POST",
        f"dataset/{path_segment(dataset_id)}/itemsPage",
        lambda payload: read_page(payload, "items", DatasetItem.from_wire),
        f"list the items of dataset {dataset_id}",
        body={"pageToken": None, "pageSize": page_size},
    )


def item_by_index(dataset_id: str, index: int) -> Call[ItemWithAnnotations]:
    """Return the item inserted as number `index`, from 0, with its ground truth."""
    return _item(dataset_id, f"iloc/{index:d}", f"read item number {index} of dataset {dataset_id}")


def item_by_reference(dataset_id: str, reference_id: str) -> Call[ItemWithAnnotations]:
    """Return the item with a reference id, with its ground truth."""
    leaf = f"refloc/{path_segment(reference_id, 'reference_id')}"
    return _item(dataset_id, leaf, f"read item {reference_id!r} of dataset {dataset_id}")


def item_by_id(dataset_id: str, dataset_item_id: str) -> Call[ItemWithAnnotations]:
    """Return the item with an id of the server, with its ground truth."""
    leaf = f"loc/{path_segment(dataset_item_id)}"
    return _item(dataset_id, leaf, f"read item {dataset_item_id} of dataset {dataset_id}")


def _item(dataset_id: str, leaf: str, name: str) -> Call[ItemWithAnnotations]:
    return Call("GET", f"dataset/{path_segment(dataset_id)}/{leaf}", ItemWithAnnotations.from_wire, name)


def delete_item(dataset_id: str, reference_id: str) -> Call[Any]:
    """Delete an item with its annotations and predictions."""
    path = f"dataset/{path_segment(dataset_id)}/refloc/{path_segment(reference_id, 'reference_id')}"
    return Call("DELETE", path, as_is, f"delete item {reference_id!r} of dataset {dataset_id}", body={})


def update_item_metadata(dataset_id: str, metadata: Mapping[str, Mapping[str, Any]]) -> Call[Any]:
    """Merge metadata into items, by reference id; new keys win. At most 500 items a call."""
    entries = []
    for reference_id, members in metadata.items():
        entry: dict[str, Any] = {"reference_id": reference_id, "metadata": dict(members)}
        if "camera_params" in members:
            entry["camera_params"] = members["camera_params"]
        entries.append(entry)
    return Call(
        "POST",
        f"dataset/{path_segment(dataset_id)}/metadata",
        as_is,
        f"update the metadata of {len(entries)} items of dataset {dataset_id}",
        body={"metadata": entries, "level": "item"},
        params={"async": "0"},
    )


def export_page(
    dataset_id: str, *, query: str | None = None, page_size: int = 10_000
) -> Call[Page[ExportRow]]:
    """List the items with all their ground truth, page by page."""
    return Call(
        "POST",
        f"dataset/{path_segment(dataset_id)}/exportForTrainingPage",
        lambda payload: read_page(payload, "data", ExportRow.from_wire),
        f"export dataset {dataset_id}",
        body={
            "pageToken": None,
            "pageSize": page_size,
            "query": query,
            "chip": False,
            "onlyMostRecentTask": True,
        },
    )
