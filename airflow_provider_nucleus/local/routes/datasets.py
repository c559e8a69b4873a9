"""Routes of datasets (contract section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.routes.registry import RouteTable
from airflow_provider_nucleus.local.store import datasets

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.wire import Call

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.get("dataset/details")
def details(call: Call) -> Any:
    """List all datasets with their names."""
    with call.db.read() as cursor:
        return datasets.listing(cursor)


@ROUTES.post("dataset/create")
def create(call: Call) -> Any:
    """Create a dataset."""
    fields = ("name", "is_scene", "use_privacy_mode", "annotation_metadata_schema", "item_metadata_schema")
    with call.db.write() as cursor:
        dataset = datasets.create(cursor, **call.fields(*fields, needed=("name",)))
    return {"dataset_id": dataset.id}


@ROUTES.get("dataset/{ds}/info")
def info(call: Call) -> Any:
    """Summarise a dataset."""
    with call.db.read() as cursor:
        return datasets.info(cursor, datasets.find(cursor, call.params["ds"]))
