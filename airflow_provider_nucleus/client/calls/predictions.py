"""Routes of predictions: per dataset and model, per model run, and without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.call import EXPORT_LIMIT, Call, path_segment, path_tail
from airflow_provider_nucleus.client.calls._read import as_is
from airflow_provider_nucleus.client.calls._upload import job_upload, local_masks_upload, rows_upload
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.annotation_table import RUN_FREE_TYPES, read_prediction
from airflow_provider_nucleus.schema.base import require_object
from airflow_provider_nucleus.schema.exports import predictions_by_type
from airflow_provider_nucleus.schema.predictions import AnyPrediction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.client.content import Content
    from airflow_provider_nucleus.schema.jobs import Job
    from airflow_provider_nucleus.schema.models import UploadAnswer

__all__ = [
    "copy_predictions_from_run",
    "item_predictions_by_index",
    "item_predictions_by_reference",
    "model_predictions_by_index",
    "model_predictions_by_item",
    "model_predictions_by_reference",
    "prediction",
    "predictions_export",
    "start_upload_predictions",
    "start_upload_run_predictions",
    "upload_local_prediction_masks",
    "upload_model_predictions",
    "upload_predictions",
    "upload_run_predictions",
]


def _route(dataset_id: str, model_id: str) -> str:
    return f"dataset/{path_segment(dataset_id)}/model/{path_segment(model_id)}"


def _run_route(model_run_id: str, dataset_id: str | None) -> str:
    run = f"modelRun/{path_segment(model_run_id)}/uploadPredictions"
    return run if dataset_id is None else f"dataset/{path_segment(dataset_id)}/{run}"


def upload_predictions(
    dataset_id: str,
    model_id: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    update: bool = False,
    trained_slice_id: str | None = None,
    repeatable: bool | None = None,
) -> Call[UploadAnswer]:
    """Send predictions (wire objects) into the one run of this model on this dataset; at most 5000 rows, 20 with masks.

    `repeatable` defaults to whether every row has an identity, so that storing it twice is storing it once.
    """
    return rows_upload(
        f"{_route(dataset_id, model_id)}/uploadPredictions",
        rows,
        name=f"upload {len(rows)} predictions of model {model_id} to dataset {dataset_id}",
        update=update,
        repeatable=repeatable,
        trained_slice_id=trained_slice_id,
    )


def upload_local_prediction_masks(
    dataset_id: str,
    model_id: str,
    masks: Sequence[Mapping[str, Any]],
    images: Sequence[Content],
    *,
    update: bool = False,
) -> Call[UploadAnswer]:
    """Send at most 10 predicted masks with their PNGs, paired by position."""
    path = f"{_route(dataset_id, model_id)}/uploadPredictions"
    name = f"upload {len(masks)} masks of model {model_id} to dataset {dataset_id}"
    return local_masks_upload(path, masks, images, name=name, update=update)


def start_upload_predictions(
    dataset_id: str,
    model_id: str,
    request_id: str,
    *,
    update: bool = False,
    trained_slice_id: str | None = None,
) -> Call[Job]:
    """Start the job that stores the predictions put under `request_id`."""
    return job_upload(
        f"{_route(dataset_id, model_id)}/uploadPredictions",
        {"requestId": request_id, "update": update, "trained_slice_id": trained_slice_id},
        name=f"start the upload of predictions of model {model_id} to dataset {dataset_id}",
    )


def upload_run_predictions(
    model_run_id: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    dataset_id: str | None = None,
    update: bool = False,
    repeatable: bool | None = None,
) -> Call[UploadAnswer]:
    """Send predictions into a model run; without `dataset_id` each row names its item or its dataset."""
    return rows_upload(
        _run_route(model_run_id, dataset_id),
        rows,
        name=f"upload {len(rows)} predictions to model run {model_run_id}",
        update=update,
        repeatable=repeatable,
    )


def start_upload_run_predictions(
    model_run_id: str,
    request_id: str,
    *,
    dataset_id: str,
    update: bool = False,
    trained_slice_id: str | None = None,
) -> Call[Job]:
    """Start the job that stores the predictions put under `request_id` in a model run."""
    return job_upload(
        _run_route(model_run_id, dataset_id),
        {"requestId": request_id, "update": update, "trained_slice_id": trained_slice_id},
        name=f"start the upload of predictions to model run {model_run_id}",
    )


def upload_model_predictions(
    model_id: str, rows: Sequence[Mapping[str, Any]], *, update: bool = False, repeatable: bool | None = None
) -> Call[UploadAnswer]:
    """Send predictions to a model without a run, as benchmark evaluations read them; boxes, polygons and cuboids only.

    Each row names its item by `item_id`, or by `reference_id` and `dataset_id`.
    """
    for row in rows:
        if row.get("type") not in RUN_FREE_TYPES:
            raise NucleusValidationError(
                "type", f"must be one of {', '.join(RUN_FREE_TYPES)} without a run, got {row.get('type')!r}"
            )
    return rows_upload(
        f"model/{path_segment(model_id)}/predictions",
        rows,
        name=f"upload {len(rows)} predictions of model {model_id}",
        update=update,
        repeatable=repeatable,
    )


def copy_predictions_from_run(model_id: str, model_run_id: str) -> Call[dict[str, Any]]:
    """Copy the predictions of a run to its model, without a run."""
    return Call(
        "POST",
        f"model/{path_segment(model_id)}/predictions/copyFromRun",
        as_is,
        f"copy the predictions of run {model_run_id} to model {model_id}",
        body={"model_run_id": model_run_id},
    )


Grouped = dict[str, list[AnyPrediction]]


def item_predictions_by_index(dataset_id: str, model_id: str, index: int) -> Call[Grouped]:
    """Return the predictions of a model for the item inserted as number `index`, by type."""
    path = f"{_route(dataset_id, model_id)}/iloc/{index:d}"
    return Call("GET", path, _grouped, f"read predictions of model {model_id} for item number {index}")


def item_predictions_by_reference(dataset_id: str, model_id: str, reference_id: str) -> Call[Grouped]:
    """Return the predictions of a model for one item, by type."""
    # This route leaves slashes alone, unlike refloc.
    path = f"{_route(dataset_id, model_id)}/referenceId/{path_tail(reference_id, 'reference_id')}"
    return Call("GET", path, _grouped, f"read predictions of model {model_id} for item {reference_id!r}")


def prediction(dataset_id: str, model_id: str, reference_id: str, annotation_id: str) -> Call[AnyPrediction]:
    """Return one prediction."""
    leaf = f"{path_tail(reference_id, 'reference_id')}/{path_tail(annotation_id, 'annotation_id')}"
    name = f"read prediction {annotation_id!r} of model {model_id} for item {reference_id!r}"
    return Call("GET", f"{_route(dataset_id, model_id)}/loc/{leaf}", read_prediction, name)


def predictions_export(dataset_id: str, model_id: str) -> Call[Grouped]:
    """Return all predictions of a model on a dataset, by type."""
    path = f"{_route(dataset_id, model_id)}/export"
    return Call(
        "GET",
        path,
        predictions_by_type,
        f"export the predictions of model {model_id} on {dataset_id}",
        answer_limit=EXPORT_LIMIT,
    )


def model_predictions_by_item(model_id: str, dataset_item_id: str) -> Call[list[AnyPrediction]]:
    """Return the run-free predictions for one item."""
    return _run_free(model_id, f"loc/{path_segment(dataset_item_id)}", f"item {dataset_item_id}")


def model_predictions_by_reference(model_id: str, reference_id: str) -> Call[list[AnyPrediction]]:
    """Return the run-free predictions for all items with a reference id; several datasets may have one."""
    return _run_free(model_id, f"refloc/{path_tail(reference_id, 'reference_id')}", f"item {reference_id!r}")


def model_predictions_by_index(model_id: str, index: int) -> Call[list[AnyPrediction]]:
    """Return the run-free predictions for the item number `index` that the model has predictions for."""
    return _run_free(model_id, f"iloc/{index:d}", f"item number {index}")


def _run_free(model_id: str, leaf: str, what: str) -> Call[list[AnyPrediction]]:
    path = f"model/{path_segment(model_id)}/predictions/{leaf}"
    return Call("GET", path, _flat, f"read run-free predictions of model {model_id} for {what}")


def _grouped(payload: Any) -> Grouped:
    return predictions_by_type(require_object(payload, "the answer").get("annotations") or {})


def _flat(payload: Any) -> list[AnyPrediction]:
    answer = require_object(payload, "the answer")
    listed = answer.get("predictions")
    if isinstance(listed, list):
        return [read_prediction(each) for each in listed]
    return [each for group in _grouped(answer).values() for each in group]
