"""Routes of models (contract section 2.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.requests.fields import strings
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import models

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import Call

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.get("models/")
def listing(call: Call) -> Any:
    """List all models."""
    with call.db.read() as cursor:
        return {"models": [model.to_wire() for model in models.listing(cursor)]}


@ROUTES.post("models/add")
def add(call: Call) -> Any:
    """Create a model; its reference id must be new."""
    fields = ("name", "reference_id", "metadata", "trained_slice_ids", "bundle_name", "tags")
    with call.db.write() as cursor:
        model = models.create(cursor, **call.fields(*fields, needed=("name", "reference_id")))
    return {"model_id": model.id}


@ROUTES.get("model/{m}")
def read(call: Call) -> Any:
    """Return a model by its id or by that of one of its runs."""
    with call.db.read() as cursor:
        return models.find(cursor, call.params["m"]).to_wire()


@ROUTES.delete("model/{m}")
def delete(call: Call) -> Any:
    """Delete a model with its runs and predictions."""
    with call.db.write() as cursor:
        models.delete(cursor, models.find(cursor, call.params["m"]))
    return {"msg": "Model deletion running in an async job"}


@ROUTES.post("model/{m}/tag")
def add_tags(call: Call) -> Any:
    """Add tags to a model."""
    return _change(call, "tags", add=True)


@ROUTES.delete("model/{m}/tag")
def remove_tags(call: Call) -> Any:
    """Remove tags from a model; none of them being there is an error."""
    return _change(call, "tags", add=False)


@ROUTES.post("model/{m}/trainedSliceId")
def add_trained_slices(call: Call) -> Any:
    """Record slices a model was trained on."""
    return _change(call, "trained_slice_ids", add=True)


@ROUTES.delete("model/{m}/trainedSliceId")
def remove_trained_slices(call: Call) -> Any:
    """Forget slices a model was trained on."""
    return _change(call, "trained_slice_ids", add=False)


def _change(call: Call, column: str, *, add: bool) -> Any:
    values = strings(call.json(), column)
    with call.db.write() as cursor:
        model = models.find(cursor, call.params["m"])
        old = model.tags if column == "tags" else model.trained_slice_ids
        new = list(dict.fromkeys([*old, *values])) if add else [entry for entry in old if entry not in values]
        if column == "tags" and not add and new == old:
            raise BadRequestError("Deleted 0 tags from model. The specified tag(s) were not found.")
        models.set_list(cursor, model, column, new)
    return {"model_id": model.id, column: new}
