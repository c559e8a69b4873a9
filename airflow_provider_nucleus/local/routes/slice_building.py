"""Slices sampled by the server (contract section 2.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError, NotImplementedRoute
from airflow_provider_nucleus.local.requests.query.compile import EVERYTHING
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, slice_members, slices
from airflow_provider_nucleus.local.store.views import slice_contents

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import Call
    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.catalog.dataset import Dataset
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()
_SAMPLE_LIMIT: Final = 100_000


@ROUTES.post("dataset/{ds}/build_slice")
def build(call: Call) -> Any:
    """Make a slice of items drawn at random, from the whole dataset or from another slice."""
    body = call.json()
    name, size = body.get("name"), body.get("sampleSize")
    if not isinstance(name, str) or not name:
        raise BadRequestError("A slice needs a name: a non-empty string.")
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= _SAMPLE_LIMIT:
        raise BadRequestError(f"sampleSize must be a whole number from 1 to {_SAMPLE_LIMIT}.")
    _check_method(body.get("sampleMethod"))
    filters = body.get("filters") or {}
    if not isinstance(filters, dict):
        raise BadRequestError("filters must be an object.")
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        if slices.listing(cursor, dataset=dataset, name=name):
            raise ConflictError(
                f"Dataset {dataset.id} has a slice named {name!r} already: choose another name."
            )
        members = slice_members.sample(cursor, dataset, _condition(cursor, dataset, filters), size=size)
        made = slices.create(cursor, dataset, name=name, members=members)
    return {"sliceId": made.id, "slice_id": made.id, "sample_size": len(members.rows)}


def _check_method(method: Any) -> None:
    if method == "Uniqueness":
        raise NotImplementedRoute(
            "sampleMethod Uniqueness needs embeddings, which the embedded Nucleus has not; use Random."
        )
    if method != "Random":
        raise BadRequestError("sampleMethod must be Random or Uniqueness.")


def _condition(cursor: Cursor, dataset: Dataset, filters: dict[str, Any]) -> Fragment:
    if filters.get("autotag") is not None:
        raise NotImplementedRoute("The embedded Nucleus has no autotags to filter by.")
    if filters.get("sliceId") is None:
        return EVERYTHING
    found = slices.find(cursor, str(filters["sliceId"]))
    if found.dataset_no != dataset.number:
        raise BadRequestError(f"Slice {found.id} belongs to dataset {found.dataset_id}, not {dataset.id}.")
    return slice_contents.items_condition(found)
