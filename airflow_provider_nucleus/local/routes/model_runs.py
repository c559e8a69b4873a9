"""Routes of model runs (contract sections 2.4 to 2.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.jobs.merging import MERGE_JOB
from airflow_provider_nucleus.local.requests.models import (
    CreateRunRequest,
    MergeRunsRequest,
    RunOnDatasetRequest,
)
from airflow_provider_nucleus.local.requests.uploads import ObjectsRequest, UploadAddress
from airflow_provider_nucleus.local.routes.objects import MASK_PARTS
from airflow_provider_nucleus.local.routes.predictions import on_item, upload
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, items, merging, models
from airflow_provider_nucleus.local.store.catalog.object_sets import SetOwner, ensure_set, find_set
from airflow_provider_nucleus.local.store.views import objects

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.models import Run
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.get("model/{m}/modelRun")
def runs_of_model(call: RouteCall) -> Any:
    """List the ids of a model's runs."""
    with call.db.read() as cursor:
        return models.run_ids(cursor, models.find(cursor, call.params["m"]))


@ROUTES.post("model/{m}/modelRun/create", body=CreateRunRequest)
def create_without_dataset(call: RouteCall, request: CreateRunRequest) -> Any:
    """Create a run that is on no dataset yet."""
    with call.db.write() as cursor:
        model = models.find(cursor, call.params["m"])
        run = models.create_run(cursor, model, name=request.name, metadata=request.metadata)
    return {"model_run_id": run.id}


@ROUTES.post("dataset/{ds}/modelRun/create", body=RunOnDatasetRequest)
def create_on_dataset(call: RouteCall, request: RunOnDatasetRequest) -> Any:
    """Create a run of the model with a reference id, on one dataset."""
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        if request.model_id:
            model = models.find(cursor, request.model_id)
        else:
            model = models.find_by_reference(cursor, request.reference_id)
        run = models.create_run(cursor, model, name=request.name, metadata=request.metadata)
        target = SetOwner(role="run", dataset=dataset, model_no=model.number, run_no=run.number)
        ensure_set(cursor, target, dataset.number)
    return {"model_run_id": run.id}


@ROUTES.post("modelRun/merge", body=MergeRunsRequest, status=202)
def merge(call: RouteCall, request: MergeRunsRequest) -> Any:
    """Merge several runs of a model into a new one; a job copies the predictions."""
    ids = request.model_run_ids
    with call.db.write() as cursor:
        merged, numbers = merging.create_merged_run(
            cursor, ids, name=request.name, metadata=request.metadata or {}
        )
        found = [datasets.by_number(cursor, number).id for number in numbers]
        job = call.services.start_job(
            cursor,
            MERGE_JOB,
            dataset_no=numbers[0] if numbers else None,
            request={"model_run_id": merged.id, "sources": ids},
        )
    return {"model_run_id": merged.id, "dataset_ids": found, "job_id": job.id}


@ROUTES.post(
    "dataset/{ds}/modelRun/{r}/uploadPredictions", body=ObjectsRequest, query=UploadAddress, form=MASK_PARTS
)
def upload_to_dataset(call: RouteCall, request: ObjectsRequest, address: UploadAddress) -> Any:
    """Upload predictions of a run on a dataset, which the run then covers."""
    runs: list[Run] = []

    def target(cursor: Cursor) -> SetOwner:
        dataset, run = datasets.find(cursor, call.params["ds"]), models.find_run(cursor, call.params["r"])
        runs[:] = [run]
        return SetOwner(role="run", dataset=dataset, model_no=run.model_no, run_no=run.number)

    return upload(call, request, address, target, runs)


@ROUTES.post("modelRun/{r}/uploadPredictions", body=ObjectsRequest, query=UploadAddress, form=MASK_PARTS)
def upload_anywhere(call: RouteCall, request: ObjectsRequest, address: UploadAddress) -> Any:
    """Upload predictions of a run; each names its item, or its dataset and reference id."""
    runs: list[Run] = []

    def target(cursor: Cursor) -> SetOwner:
        run = models.find_run(cursor, call.params["r"])
        runs[:] = [run]
        return SetOwner(role="run", dataset=None, model_no=run.model_no, run_no=run.number)

    return upload(call, request, address, target, runs)


@ROUTES.post("modelRun/{r}/predict", body=ObjectsRequest, query=UploadAddress, form=MASK_PARTS)
def predict(call: RouteCall, request: ObjectsRequest, address: UploadAddress) -> Any:
    """Upload predictions of a run on its only dataset."""
    runs: list[Run] = []

    def target(cursor: Cursor) -> SetOwner:
        run = models.find_run(cursor, call.params["r"])
        runs[:] = [run]
        dataset = _only_dataset(cursor, run)
        return SetOwner(role="run", dataset=dataset, model_no=run.model_no, run_no=run.number)

    answer = upload(call, request, address, target, runs)
    answer.pop("dataset_id", None)
    return answer


def _only_dataset(cursor: Cursor, run: Run) -> DatasetRecord:
    numbers = models.dataset_numbers(cursor, run)
    if len(numbers) != 1:
        raise BadRequestError(f"Model run {run.id} covers {len(numbers)} datasets; name one in the route.")
    return datasets.by_number(cursor, numbers[0])


@ROUTES.delete("modelRun/{r}")
def delete(call: RouteCall) -> Any:
    """Delete a run with its predictions."""
    with call.db.write() as cursor:
        run = models.find_run(cursor, call.params["r"])
        models.delete_run(cursor, run)
    return {"model_run_id": run.id, "msg": "Model run deleted."}


@ROUTES.get("modelRun/{r}/info")
def info(call: RouteCall) -> Any:
    """Summarise a run."""
    with call.db.read() as cursor:
        run = models.find_run(cursor, call.params["r"])
        return {
            "model_id": run.model_id,
            "name": run.name,
            "status": run.status,
            "metadata": orjson.Fragment(run.metadata),
        }


def _place(cursor: Cursor, call: RouteCall) -> tuple[DatasetRecord, int | None]:
    run = models.find_run(cursor, call.params["r"])
    dataset = _only_dataset(cursor, run)
    target = SetOwner(role="run", dataset=dataset, model_no=run.model_no, run_no=run.number)
    return dataset, find_set(cursor, target, dataset.number)


@ROUTES.get("modelRun/{r}/iloc/{index}")
def at_index(call: RouteCall) -> Any:
    """Return a run's predictions on the item at an index."""
    with call.db.read() as cursor:
        dataset, set_no = _place(cursor, call)
        return on_item(cursor, set_no, items.at_index(cursor, dataset, call.params["index"]))


@ROUTES.get("modelRun/{r}/refloc/{ref*}")
def by_reference(call: RouteCall) -> Any:
    """Return a run's predictions on the item with a reference id."""
    with call.db.read() as cursor:
        dataset, set_no = _place(cursor, call)
        return on_item(cursor, set_no, items.by_reference(cursor, dataset, call.params["ref"]))


@ROUTES.get("modelRun/{r}/loc/{item}")
def by_id(call: RouteCall) -> Any:
    """Return a run's predictions on the item with an item id."""
    with call.db.read() as cursor:
        dataset, set_no = _place(cursor, call)
        return on_item(cursor, set_no, items.by_id(cursor, dataset, call.params["item"]))


@ROUTES.get("modelRun/{r}/prediction/loc/{rest*}")
def one_prediction(call: RouteCall) -> Any:
    """Return one prediction of a run by reference id and annotation id."""
    with call.db.read() as cursor:
        dataset, set_no = _place(cursor, call)
        return objects.object_by_path(cursor, dataset, set_no, call.params["rest"], truth=False)


@ROUTES.get("modelRun/{r}/ungrouped")
def ungrouped(call: RouteCall) -> Any:
    """Return all predictions of a run, grouped by type."""
    with call.db.read() as cursor:
        run = models.find_run(cursor, call.params["r"])
        return objects.by_type(objects.predictions_of_run(cursor, run))
