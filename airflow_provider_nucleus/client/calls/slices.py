"""Routes of slices: named selections of items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.call import Call, path_segment
from airflow_provider_nucleus.client.calls._read import as_is, list_of, text_member
from airflow_provider_nucleus.client.paging import Page, read_page
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.exports import ExportRow
from airflow_provider_nucleus.schema.items import DatasetItem
from airflow_provider_nucleus.schema.models import Slice, SliceInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MAX_SLICE_ITEMS",
    "append_to_slice",
    "create_slice",
    "delete_slice",
    "list_slices",
    "slice_export_page",
    "slice_info",
    "slice_items_page",
    "slice_predictions_export_page",
    "tag_slice",
]

MAX_SLICE_ITEMS = 10_000
"""Items the API accepts in one request that builds a slice."""


def list_slices() -> Call[list[Slice]]:
    """List the slices this key can see."""
    return Call("GET", "slice/", list_of(Slice.from_wire), "list slices")


def create_slice(dataset_id: str, name: str, *, reference_ids: Sequence[str]) -> Call[str]:
    """Create a slice of at most 10,000 items, possibly none, and return its id."""
    _check_count(reference_ids)
    body: dict[str, Any] = {"name": name}
    body |= {"reference_ids": list(reference_ids)} if reference_ids else {"allow_empty": 1}
    return Call(
        "POST",
        f"dataset/{path_segment(dataset_id)}/create_slice",
        text_member("slice_id"),
        f"create slice {name!r} of dataset {dataset_id}",
        body=body,
        repeatable=False,
    )


def append_to_slice(slice_id: str, dataset_id: str, reference_ids: Sequence[str]) -> Call[dict[str, Any]]:
    """Add at most 10,000 items to a slice; those already in it stay once."""
    _check_count(reference_ids)
    return Call(
        "POST",
        f"slice/{path_segment(slice_id)}/append",
        as_is,
        f"add {len(reference_ids)} items to slice {slice_id}",
        body={"reference_ids": list(reference_ids), "dataset_id": dataset_id},
    )


def _check_count(reference_ids: Sequence[str]) -> None:
    if len(reference_ids) > MAX_SLICE_ITEMS:
        raise NucleusValidationError(
            "reference_ids",
            f"must be at most {MAX_SLICE_ITEMS}, got {len(reference_ids)}; append the rest in parts",
        )


def slice_info(slice_id: str) -> Call[SliceInfo]:
    """Return what a slice is."""
    return Call("GET", f"slice/{path_segment(slice_id)}/info", SliceInfo.from_wire, f"read slice {slice_id}")


def delete_slice(slice_id: str) -> Call[Any]:
    """Delete a slice; its items stay."""
    return Call("DELETE", f"slice/{path_segment(slice_id)}", as_is, f"delete slice {slice_id}", body={})


def tag_slice(slice_id: str, tags: Sequence[str]) -> Call[Any]:
    """Add tags to a slice."""
    body = {"slice_tags": list(tags)}
    return Call("POST", f"slice/{path_segment(slice_id)}/tag", as_is, f"tag slice {slice_id}", body=body)


def slice_items_page(slice_id: str, *, page_size: int = 10_000) -> Call[Page[DatasetItem]]:
    """List the items of a slice, page by page."""
    return Call(
        "POST",
        f"slice/{path_segment(slice_id)}/itemsPage",
        lambda payload: read_page(payload, "items", DatasetItem.from_wire),
        f"list the items of slice {slice_id}",
        body={"pageToken": None, "pageSize": page_size},
    )


def slice_export_page(slice_id: str, *, page_size: int = 10_000) -> Call[Page[ExportRow]]:
    """List the items of a slice with their ground truth, page by page."""
    return Call(
        "POST",
        f"slice/{path_segment(slice_id)}/exportForTrainingPage",
        lambda payload: read_page(payload, "data", ExportRow.from_wire),
        f"export slice {slice_id}",
        body={"pageToken": None, "pageSize": page_size, "chip": False},
    )


def slice_predictions_export_page(
    slice_id: str, model_id: str, *, page_size: int = 10_000
) -> Call[Page[ExportRow]]:
    """List the items of a slice with the predictions of a model, page by page."""

    def read(payload: Any) -> ExportRow:
        return ExportRow.from_wire(payload, predictions=True)

    return Call(
        "POST",
        f"slice/{path_segment(slice_id)}/{path_segment(model_id)}/exportForTrainingPage",
        lambda payload: read_page(payload, "data", read),
        f"export the predictions of model {model_id} on slice {slice_id}",
        body={"pageToken": None, "pageSize": page_size},
    )
