"""Routes about what this server never has (autotags, indexes, labelling tasks): they list none (contract sections 2.9, 2.10, 2.13).

Embeddings that came with items are given back; the server computes none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.requests.indexing import IndexingStatusRequest
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, models, slices
from airflow_provider_nucleus.local.store.views import embeddings, slice_contents

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.get("{ds}/list_autotags")
def autotags(call: RouteCall) -> Any:
    """List no autotags."""
    with call.db.read() as cursor:
        datasets.find(cursor, call.params["ds"])
    return []


def _no_autotag(call: RouteCall) -> Any:
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
    raise NotFoundError(f"The autotag {call.params['name']} was not found in dataset {dataset.id}")


@ROUTES.post("dataset/{ds}/autotag/{name}/taggedItems")
def tagged_items(call: RouteCall) -> Any:
    """Say that there is no autotag of this name."""
    return _no_autotag(call)


@ROUTES.get("dataset/{ds}/autotag/{name}/trainingItems")
def training_items(call: RouteCall) -> Any:
    """Say that there is no autotag of this name."""
    return _no_autotag(call)


@ROUTES.get("dataset/{ds}/embeddingIndexes")
def indexes(call: RouteCall) -> Any:
    """List no indexes of embeddings."""
    with call.db.read() as cursor:
        datasets.find(cursor, call.params["ds"])
    return {"embedding_indexes": []}


@ROUTES.post("dataset/{ds}/indexingStatus", body=IndexingStatusRequest)
def indexing_status(call: RouteCall, request: IndexingStatusRequest) -> Any:
    """Return how much of a dataset is indexed: nothing."""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        if request.image:
            counted = {"image_count": datasets.size(cursor, dataset)}
        else:
            run = None if request.model_run_id is None else models.find_run(cursor, request.model_run_id)
            counted = {"object_count": embeddings.object_count(cursor, dataset, run)}
    return {
        "embedding_count": 0,
        **counted,
        "percent_indexed": 0.0,
        "additional_context": "This server indexes nothing.",
    }


@ROUTES.get("dataset/{ds}/embeddings")
def of_dataset(call: RouteCall) -> Any:
    """Return the embeddings that came with the items of a dataset."""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        return embeddings.of_items(cursor, dataset)


@ROUTES.get("slice/{s}/embeddings")
def of_slice(call: RouteCall) -> Any:
    """Return the embeddings that came with the items of a slice."""
    with call.db.read() as cursor:
        found = slices.find(cursor, call.params["s"])
        dataset = datasets.find(cursor, found.dataset_id)
        return embeddings.of_items(cursor, dataset, slice_contents.items_condition(found))


@ROUTES.get("dataset/{ds}/exportScaleTaskInfo")
def tasks_of_dataset(call: RouteCall) -> Any:
    """List no labelling tasks."""
    with call.db.read() as cursor:
        datasets.find(cursor, call.params["ds"])
    return {"exportedScaleTaskInfoRows": []}


@ROUTES.get("slice/{s}/exportScaleTaskInfo")
def tasks_of_slice(call: RouteCall) -> Any:
    """List no labelling tasks."""
    with call.db.read() as cursor:
        slices.find(cursor, call.params["s"])
    return {"exportedScaleTaskInfoRows": []}


@ROUTES.post("slice/{s}/{project}/send_to_labeling")
def send_to_labeling(call: RouteCall) -> Any:
    """Say that there is no labelling project of this name."""
    with call.db.read() as cursor:
        slices.find(cursor, call.params["s"])
    raise NotFoundError(
        f"Labelling project {call.params['project']} does not exist: this server has none. Labels are made in Scale's cloud."
    )


@ROUTES.get("model/{m}/weights")
def weights(call: RouteCall) -> Any:
    """Say that a model has no weights here."""
    with call.db.read() as cursor:
        model = models.find(cursor, call.params["m"])
    return {"modelProjectId": model.id, "present": False, "status": None}


@ROUTES.delete("model/{m}/weights")
def delete_weights(call: RouteCall) -> Any:
    """Delete no weights: there are none."""
    with call.db.read() as cursor:
        models.find(cursor, call.params["m"])
    return {"deleted": False}


@ROUTES.get("model/{m}/weights/download")
def download_weights(call: RouteCall) -> Any:
    """Say that a model has no weights here."""
    with call.db.read() as cursor:
        model = models.find(cursor, call.params["m"])
    raise NotFoundError(f"Model {model.id} has no weights: this server stores none.")


@ROUTES.get("task/{task}/frame/{n}")
def task_frame(call: RouteCall) -> Any:
    """Say that there is no labelling task of this name."""
    raise NotFoundError(f"Labelling task {call.params['task']} does not exist: this server has none.")


def _unknown_autotag(call: RouteCall) -> Any:
    raise NotFoundError(f"Autotag {call.params['tag']} does not exist: this server has none.")


@ROUTES.post("autotag/{tag}")
def update_autotag(call: RouteCall) -> Any:
    """Say that there is no such autotag."""
    return _unknown_autotag(call)


@ROUTES.delete("autotag/{tag}")
def delete_autotag(call: RouteCall) -> Any:
    """Say that there is no such autotag."""
    return _unknown_autotag(call)


@ROUTES.get("autotag/{tag}/refinementMetrics")
def autotag_metrics(call: RouteCall) -> Any:
    """Say that there is no such autotag."""
    return _unknown_autotag(call)
