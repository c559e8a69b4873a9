"""Routes of predictions (contract section 2.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.requests.models import CopyRunRequest
from airflow_provider_nucleus.local.requests.uploads import ObjectsRequest, UploadAddress
from airflow_provider_nucleus.local.routes.objects import (
    MASK_PARTS,
    start_upload,
    store_now,
    summary,
)
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, items, models
from airflow_provider_nucleus.local.store.catalog.object_sets import SetOwner, find_set
from airflow_provider_nucleus.local.store.views import objects

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.items import Item
    from airflow_provider_nucleus.local.store.catalog.models import ModelRecord, Run
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES", "on_item", "upload"]

ROUTES: Final = RouteTable()


@ROUTES.post(
    "dataset/{ds}/model/{m}/uploadPredictions", body=ObjectsRequest, query=UploadAddress, form=MASK_PARTS
)
def upload_predictions(call: RouteCall, request: ObjectsRequest, address: UploadAddress) -> Any:
    """Upload predictions of a model to its run on a dataset, which is created if needed."""
    runs: list[Run] = []

    def target(cursor: Cursor) -> SetOwner:
        dataset = datasets.find(cursor, call.params["ds"])
        run, place = models.run_target(cursor, models.find(cursor, call.params["m"]), dataset)
        runs[:] = [run]
        return place

    return upload(call, request, address, target, runs)


def upload(
    call: RouteCall,
    request: ObjectsRequest,
    address: UploadAddress,
    target: Callable[[Cursor], SetOwner],
    runs: list[Run],
) -> Any:
    """Upload predictions to a run, at once or as a job; `runs` holds the run once `target` was called."""
    if address.as_job and call.files is None:
        return start_upload(call, request, "uploadPredictions", target)
    stored = store_now(call, request, "run", target)
    answer: dict[str, Any] = {"model_run_id": runs[0].id, **summary(stored, "predictions")}
    dataset = stored.target.dataset
    return answer if dataset is None else {"dataset_id": dataset.id, **answer}


def _place(cursor: Cursor, call: RouteCall) -> tuple[DatasetRecord, int | None]:
    """Return the dataset of the path and the set of the model's run on it, None if there is none."""
    dataset = datasets.find(cursor, call.params["ds"])
    model = models.find(cursor, call.params["m"])
    run = models.run_of(cursor, model, dataset)
    if run is None:
        return dataset, None
    target = SetOwner(role="run", dataset=dataset, model_no=model.number, run_no=run.number)
    return dataset, find_set(cursor, target, dataset.number)


def on_item(cursor: Cursor, set_no: int | None, item: Item) -> Any:
    """Return the predictions of a set on an item, grouped by type."""
    found = [] if set_no is None else objects.objects_of_items(cursor, [set_no], [item.item_no], truth=False)
    return {"annotations": objects.by_type(found)}


@ROUTES.get("dataset/{ds}/model/{m}/iloc/{index}")
def at_index(call: RouteCall) -> Any:
    """Return the predictions on the item at an index."""
    with call.db.read() as cursor:
        dataset, set_no = _place(cursor, call)
        return on_item(cursor, set_no, items.at_index(cursor, dataset, call.params["index"]))


@ROUTES.get("dataset/{ds}/model/{m}/referenceId/{ref*}")
def by_reference(call: RouteCall) -> Any:
    """Return the predictions on the item with a reference id, unencoded in the path."""
    with call.db.read() as cursor:
        dataset, set_no = _place(cursor, call)
        return on_item(cursor, set_no, items.by_reference(cursor, dataset, call.params["ref"]))


@ROUTES.get("dataset/{ds}/model/{m}/loc/{rest*}")
def one_prediction(call: RouteCall) -> Any:
    """Return one prediction by reference id and annotation id, both unencoded in the path."""
    with call.db.read() as cursor:
        dataset, set_no = _place(cursor, call)
        return objects.object_by_path(cursor, dataset, set_no, call.params["rest"], truth=False)


@ROUTES.get("dataset/{ds}/model/{m}/export")
def export(call: RouteCall) -> Any:
    """Return all predictions of a model on a dataset, grouped by type."""
    with call.db.read() as cursor:
        _, set_no = _place(cursor, call)
        return objects.by_type(objects.objects_of_set(cursor, set_no, truth=False))


@ROUTES.post("model/{m}/predictions", body=ObjectsRequest, query=UploadAddress, form=MASK_PARTS)
def upload_run_free(call: RouteCall, request: ObjectsRequest, address: UploadAddress) -> Any:
    """Upload predictions of a model without a run; each names its item."""
    chosen: list[ModelRecord] = []

    def target(cursor: Cursor) -> SetOwner:
        chosen[:] = [models.find(cursor, call.params["m"])]
        return SetOwner(role="model", dataset=None, model_no=chosen[0].number)

    if address.as_job:
        raise BadRequestError("Run-free predictions cannot be uploaded asynchronously.")
    stored = store_now(call, request, "model", target)
    return {"model_id": chosen[0].id, **summary(stored, "predictions")}


def _run_free(cursor: Cursor, call: RouteCall, item_nos: list[int]) -> Any:
    model = models.find(cursor, call.params["m"])
    return {"predictions": objects.run_free_predictions(cursor, model, item_nos)}


@ROUTES.get("model/{m}/predictions/loc/{item}")
def run_free_by_id(call: RouteCall) -> Any:
    """Return the run-free predictions on an item."""
    with call.db.read() as cursor:
        return _run_free(cursor, call, [items.by_id(cursor, None, call.params["item"]).item_no])


@ROUTES.get("model/{m}/predictions/refloc/{ref*}")
def run_free_by_reference(call: RouteCall) -> Any:
    """Return the run-free predictions on all items with a reference id, whatever their dataset."""
    with call.db.read() as cursor:
        found = items.in_any_dataset(cursor, call.params["ref"])
        return _run_free(cursor, call, [item.item_no for item in found])


@ROUTES.get("model/{m}/predictions/iloc/{index}")
def run_free_at_index(call: RouteCall) -> Any:
    """Return the run-free predictions on the model's n-th predicted item, by dataset and insertion."""
    with call.db.read() as cursor:
        model = models.find(cursor, call.params["m"])
        return _run_free(cursor, call, [objects.predicted_item_at(cursor, model, call.params["index"])])


@ROUTES.post("model/{m}/predictions/copyFromRun", body=CopyRunRequest)
def copy_from_run(call: RouteCall, request: CopyRunRequest) -> Any:
    """Copy the boxes, polygons and cuboids of a run into the model's run-free predictions."""
    with call.db.write() as cursor:
        model = models.find(cursor, call.params["m"])
        run = models.find_run(cursor, request.model_run_id)
        if run.model_no != model.number:
            raise BadRequestError(f"Model run {run.id} belongs to model {run.model_id}, not to {model.id}.")
        copied, skipped = models.copy_run(cursor, model, run)
    return {
        "model_id": model.id,
        "model_run_ids": [run.id],
        "predictions_copied": copied,
        "predictions_skipped_unsupported": skipped,
    }
