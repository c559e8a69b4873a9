"""Exports of slices (contract sections 2.9 and 2.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.requests.paging import ExportPageRequest, PageRequest
from airflow_provider_nucleus.local.routes.exporting import all_rows, item_writer, mirrored, one_page
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, models, slices
from airflow_provider_nucleus.local.store.views import comparisons, slice_contents
from airflow_provider_nucleus.local.store.views.exports import Export

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()
_PREDICTION_PAGE: Final = 100_000
_EVERY: Final = 1_000_000_000


@ROUTES.get("slice/{s}/exportForTraining")
def export(call: RouteCall) -> Any:
    """Return every item of a slice with its annotations."""
    return all_rows(call, lambda cursor: _export(call, cursor))


@ROUTES.post("slice/{s}/exportForTrainingPage", body=ExportPageRequest, reads=True)
def export_some(call: RouteCall, request: ExportPageRequest) -> Any:
    """Return one page of the items of a slice with their annotations."""
    with call.db.read() as cursor:
        found = _export(call, cursor, mirrored_images=request.chip)
        return one_page(call, request, cursor, found, listing=("slice", call.params["s"]))


@ROUTES.get("slice/{s}/{m}/exportForTraining")
def export_predictions(call: RouteCall) -> Any:
    """Return every item of a slice with a model's predictions."""
    return all_rows(call, lambda cursor: _export(call, cursor, model_id=call.params["m"]))


@ROUTES.post("slice/{s}/{m}/exportForTrainingPage", body=PageRequest, reads=True)
def export_some_predictions(call: RouteCall, request: PageRequest) -> Any:
    """Return one page of the items of a slice with a model's predictions."""
    with call.db.read() as cursor:
        found = _export(call, cursor, model_id=call.params["m"])
        return one_page(
            call, request, cursor, found, listing=("slice", call.params["s"]), limit=_PREDICTION_PAGE
        )


@ROUTES.get("slice/{s}/exportRawItems")
def export_raw_items(call: RouteCall) -> Any:
    """Return where the bytes of each item of a slice can be fetched."""
    with call.db.read() as cursor:
        found = slices.find(cursor, call.params["s"])
        items, _ = slice_contents.item_page(cursor, found, after=-1, size=_EVERY)
    rows = [
        {
            "id": item.id,
            "ref_id": item.reference_id,
            "metadata": orjson.Fragment(item.metadata),
            "original_url": item.image_url or item.pointcloud_url,
            "scale_url": mirrored(call, item),
        }
        for item in items
    ]
    return {"raw_dataset_items": rows}


@ROUTES.get("slice/{s}/export_raw_json")
def export_raw_json(call: RouteCall) -> Any:
    """Return each object of an object slice with its item."""
    with call.db.read() as cursor:
        found = slices.find(cursor, call.params["s"])
        return slice_contents.objects_with_items(cursor, found)


def _export(
    call: RouteCall, cursor: Cursor, *, model_id: str | None = None, mirrored_images: bool = False
) -> Export:
    found = slices.find(cursor, call.params["s"])
    dataset = datasets.find(cursor, found.dataset_id)
    if model_id is None:
        set_no = comparisons.truth_set(cursor, dataset)
    else:
        set_no = comparisons.prediction_set(cursor, dataset, models.find(cursor, model_id))
    return Export(
        dataset=dataset,
        condition=slice_contents.items_condition(found),
        set_no=set_no,
        truth=model_id is None,
        item_wire=item_writer(call, mirrored_images=mirrored_images),
    )
