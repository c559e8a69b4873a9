"""Routes of models (contract section 2.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.requests.datasets import TagsRequest
from airflow_provider_nucleus.local.requests.models import (
    CreateModelRequest,
    TrainedSlicesRequest,
)
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import models

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.get("models/")
def listing(call: RouteCall) -> Any:
    """List all models."""
    with call.db.read() as cursor:
        return {"models": [model.to_wire() for model in models.listing(cursor)]}


@ROUTES.post("models/add", body=CreateModelRequest)
def add(call: RouteCall, request: CreateModelRequest) -> Any:
    """Create a model; its reference id must be new."""
    with call.db.write() as cursor:
        model = models.create(
            cursor,
            name=request.name,
            reference_id=request.reference_id,
            metadata=request.metadata,
            tags=request.tags,
            trained_slice_ids=request.trained_slice_ids,
            bundle_name=request.bundle_name,
        )
    return {"model_id": model.id}


@ROUTES.get("model/{m}")
def read(call: RouteCall) -> Any:
    """Return a model by its id or by that of one of its runs."""
    with call.db.read() as cursor:
        return models.find(cursor, call.params["m"]).to_wire()


@ROUTES.delete("model/{m}")
def delete(call: RouteCall) -> Any:
    """Delete a model with its runs and predictions."""
    with call.db.write() as cursor:
        models.delete(cursor, models.find(cursor, call.params["m"]))
    return {"msg": "Model deletion running in an async job"}


@ROUTES.post("model/{m}/tag", body=TagsRequest)
def add_tags(call: RouteCall, request: TagsRequest) -> Any:
    """Add tags to a model."""
    return _change(call, "tags", models.add_entries, request.tags)


@ROUTES.delete("model/{m}/tag", body=TagsRequest)
def remove_tags(call: RouteCall, request: TagsRequest) -> Any:
    """Remove tags from a model; none of them being there is an error."""
    return _change(call, "tags", models.remove_entries, request.tags)


@ROUTES.post("model/{m}/trainedSliceId", body=TrainedSlicesRequest)
def add_trained_slices(call: RouteCall, request: TrainedSlicesRequest) -> Any:
    """Record slices a model was trained on."""
    return _change(call, "trained_slice_ids", models.add_entries, request.trained_slice_ids)


@ROUTES.delete("model/{m}/trainedSliceId", body=TrainedSlicesRequest)
def remove_trained_slices(call: RouteCall, request: TrainedSlicesRequest) -> Any:
    """Remove slices from those a model was trained on."""
    return _change(call, "trained_slice_ids", models.remove_entries, request.trained_slice_ids)


def _change(
    call: RouteCall, column: models.ListColumn, change: models.ChangeEntries, values: list[str]
) -> Any:
    with call.db.write() as cursor:
        model = models.find(cursor, call.params["m"])
        return {"model_id": model.id, column: change(cursor, model, column, values)}
