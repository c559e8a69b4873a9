"""Slices sampled by the server (contract section 2.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError, NotImplementedRoute
from airflow_provider_nucleus.local.requests.query.compile import EVERYTHING
from airflow_provider_nucleus.local.requests.slices import BuildSliceRequest
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, slice_members, slices
from airflow_provider_nucleus.local.store.views import slice_contents

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.post("dataset/{ds}/build_slice", body=BuildSliceRequest, errors=(NotImplementedRoute,))
def build(call: RouteCall, request: BuildSliceRequest) -> Any:
    """Make a slice of items drawn at random, from the whole dataset or from another slice."""
    _require_supported(request)
    name = request.name
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        if slices.listing(cursor, dataset=dataset, name=name):
            raise ConflictError(
                f"Dataset {dataset.id} has a slice named {name!r} already: choose another name."
            )
        condition = _condition(cursor, dataset, request.filters.slice_id)
        members = slice_members.sample(cursor, dataset, condition, size=request.sample_size)
        made = slices.create(cursor, dataset, name=name, members=members)
    return {"sliceId": made.id, "slice_id": made.id, "sample_size": len(members.rows)}


def _require_supported(request: BuildSliceRequest) -> None:
    if request.sample_method == "Uniqueness":
        raise NotImplementedRoute(
            "sampleMethod Uniqueness needs embeddings, which the embedded Nucleus has not; use Random."
        )
    if request.filters.autotag is not None:
        raise NotImplementedRoute("The embedded Nucleus has no autotags to filter by.")


def _condition(cursor: Cursor, dataset: DatasetRecord, slice_id: str | None) -> Fragment:
    if slice_id is None:
        return EVERYTHING
    found = slices.find(cursor, slice_id)
    if found.dataset_no != dataset.number:
        raise BadRequestError(f"Slice {found.id} belongs to dataset {found.dataset_id}, not {dataset.id}.")
    return slice_contents.items_condition(found)
