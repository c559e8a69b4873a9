"""Routes of datasets (contract section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.jobs.cleanup import sweep_blobs
from airflow_provider_nucleus.local.requests.datasets import CreateDatasetRequest, TagsRequest
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.get("dataset/details")
def details(call: RouteCall) -> Any:
    """List all datasets with their names."""
    with call.db.read() as cursor:
        return datasets.listing(cursor)


@ROUTES.post("dataset/create", body=CreateDatasetRequest)
def create(call: RouteCall, request: CreateDatasetRequest) -> Any:
    """Create a dataset."""
    with call.db.write() as cursor:
        dataset = datasets.create(
            cursor,
            name=request.name,
            is_scene=request.is_scene,
            use_privacy_mode=request.use_privacy_mode,
            annotation_metadata_schema=request.annotation_metadata_schema,
            item_metadata_schema=request.item_metadata_schema,
        )
    return {"dataset_id": dataset.id}


@ROUTES.get("dataset/{ds}/info")
def info(call: RouteCall) -> Any:
    """Summarise a dataset."""
    with call.db.read() as cursor:
        return datasets.info(cursor, datasets.find(cursor, call.params["ds"]))


@ROUTES.get("dataset/")
def ids(call: RouteCall) -> Any:
    """List the ids of all datasets (deprecated by `dataset/details`)."""
    with call.db.read() as cursor:
        return [entry["id"] for entry in datasets.listing(cursor)]


@ROUTES.delete("dataset/{ds}")
def delete(call: RouteCall) -> Any:
    """Delete a dataset with everything in it."""
    with call.db.write() as cursor:
        datasets.delete(cursor, datasets.find(cursor, call.params["ds"]))
    sweep_blobs(call.services)
    return {"message": "Beginning dataset deletion..."}


def _read(call: RouteCall) -> DatasetRecord:
    with call.db.read() as cursor:
        return datasets.find(cursor, call.params["ds"])


@ROUTES.get("dataset/{ds}/name")
def name(call: RouteCall) -> Any:
    """Return the name of a dataset."""
    return {"name": _read(call).name}


@ROUTES.get("dataset/{ds}/is_scene")
def is_scene(call: RouteCall) -> Any:
    """Say whether a dataset holds scenes."""
    return {"is_scene": _read(call).is_scene}


@ROUTES.get("dataset/{ds}/use_privacy_mode")
def use_privacy_mode(call: RouteCall) -> Any:
    """Say whether a dataset is in privacy mode."""
    return {"use_privacy_mode": _read(call).use_privacy_mode}


@ROUTES.get("dataset/{ds}/size")
def size(call: RouteCall) -> Any:
    """Count the items of a dataset."""
    with call.db.read() as cursor:
        return {"count": datasets.size(cursor, datasets.find(cursor, call.params["ds"]))}


@ROUTES.get("dataset/{ds}/model_runs")
def model_runs(call: RouteCall) -> Any:
    """List the ids of the runs on a dataset."""
    with call.db.read() as cursor:
        return datasets.info(cursor, datasets.find(cursor, call.params["ds"]))["model_run_ids"]


@ROUTES.get("dataset/{ds}/labelSchema")
def label_schema(call: RouteCall) -> Any:
    """List the labels in use."""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        return {
            "gt_labels": datasets.labels(cursor, dataset, "truth"),
            "prediction_labels": datasets.labels(cursor, dataset, "run"),
        }


@ROUTES.get("dataset/{ds}/class_labels")
def class_labels(call: RouteCall) -> Any:
    """List the labels of the ground truth."""
    with call.db.read() as cursor:
        return {"data": datasets.labels(cursor, datasets.find(cursor, call.params["ds"]), "truth")}


@ROUTES.get("dataset/{ds}/tags")
def tags(call: RouteCall) -> Any:
    """List the tags of a dataset."""
    with call.db.read() as cursor:
        return {"tags": datasets.tags(cursor, datasets.find(cursor, call.params["ds"]))}


@ROUTES.post("dataset/{ds}/tags", body=TagsRequest)
def add_tags(call: RouteCall, request: TagsRequest) -> Any:
    """Add tags; those that are there already stay."""
    with call.db.write() as cursor:
        return {"tags": datasets.add_tags(cursor, datasets.find(cursor, call.params["ds"]), request.tags)}


@ROUTES.delete("dataset/{ds}/tags", body=TagsRequest)
def remove_tags(call: RouteCall, request: TagsRequest) -> Any:
    """Remove tags; those that are not there are no error."""
    with call.db.write() as cursor:
        return {"tags": datasets.remove_tags(cursor, datasets.find(cursor, call.params["ds"]), request.tags)}
