"""Routes that select items and objects by query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from airflow_provider_nucleus.client.call import Call, path_segment
from airflow_provider_nucleus.client.paging import Page, read_page
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.annotation_table import read_annotation, read_prediction
from airflow_provider_nucleus.schema.base import require_object
from airflow_provider_nucleus.schema.items import DatasetItem
from airflow_provider_nucleus.schema.matches import EvaluationMatch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "PatchMode",
    "query_ground_truth_page",
    "query_items_page",
    "query_matches_page",
    "query_objects_page",
    "query_predicted_page",
]

PatchMode: TypeAlias = Literal[
    "iou", "false_positive", "false_negative", "predictions_only", "ground_truth_only"
]

_READERS: dict[str, Callable[[Any], Any]] = {
    "iou": EvaluationMatch.from_wire,
    "false_positive": EvaluationMatch.from_wire,
    "false_negative": EvaluationMatch.from_wire,
    "predictions_only": read_prediction,
    "ground_truth_only": read_annotation,
}


def query_items_page(
    dataset_id: str, query: str, *, page_size: int = 10_000, model_run_id: str | None = None
) -> Call[Page[DatasetItem]]:
    """List the items a query selects, page by page; NucleusRequestError if it is malformed.

    *model_run_id* is the run that `predictions.` is about where a dataset has several; only the embedded Nucleus reads it.
    """
    run = {} if model_run_id is None else {"model_run_id": model_run_id}
    return Call(
        "POST",
        f"dataset/{path_segment(dataset_id)}/queryItemsPage",
        lambda payload: read_page(payload, "items", DatasetItem.from_wire),
        f"query the items of dataset {dataset_id}",
        body={"pageToken": None, "pageSize": page_size, "query": query} | run,
    )


def query_ground_truth_page(
    dataset_id: str, query: str = "", *, page_size: int = 10_000
) -> Call[Page[dict[str, Any]]]:
    """List the ground truth on the items a query selects, page by page, as the server gives it."""
    return _objects_page(
        f"query the ground truth of dataset {dataset_id}",
        _as_given,
        dataset_id,
        query,
        mode="ground_truth_only",
        page_size=page_size,
    )


def query_predicted_page(
    dataset_id: str, query: str = "", *, model_run_id: str, page_size: int = 10_000
) -> Call[Page[dict[str, Any]]]:
    """List the predictions of a model run on the items a query selects, page by page, as the server gives them: with their ids."""
    return _objects_page(
        f"query the predictions of run {model_run_id}",
        _as_given,
        dataset_id,
        query,
        mode="predictions_only",
        model_run_id=model_run_id,
        page_size=page_size,
    )


def _as_given(payload: object) -> dict[str, Any]:
    return dict(require_object(payload, "an object"))


def query_objects_page(
    dataset_id: str,
    query: str,
    *,
    mode: PatchMode,
    model_run_id: str | None = None,
    page_size: int = 10_000,
) -> Call[Page[Any]]:
    """List matches, predictions or annotations, by `mode`, page by page.

    The query selects items; every object of the kind on them is returned. Matches and predictions need a model run.
    """
    if model_run_id is None and mode != "ground_truth_only":
        raise NucleusValidationError("model_run_id", f"is missing, and mode {mode!r} needs it")
    return _objects_page(
        f"query the objects of dataset {dataset_id} ({mode})",
        _READERS[mode],
        dataset_id,
        query,
        mode=mode,
        model_run_id=model_run_id,
        page_size=page_size,
    )


def _objects_page(
    name: str,
    reader: Callable[[Any], Any],
    dataset_id: str,
    query: str,
    *,
    mode: PatchMode,
    model_run_id: str | None = None,
    page_size: int,
) -> Call[Page[Any]]:
    return Call(
        "POST",
        f"dataset/{path_segment(dataset_id)}/queryObjectsPage",
        lambda payload: read_page(payload, "items", reader),
        name,
        body={
            "pageToken": None,
            "pageSize": page_size,
            "query": query,
            "patch_mode": mode,
            "model_run_id": model_run_id,
        },
    )


def query_matches_page(
    dataset_id: str,
    model_run_id: str,
    *,
    mode: Literal["iou", "false_positive", "false_negative"] = "iou",
    query: str = "",
    page_size: int = 10_000,
) -> Call[Page[EvaluationMatch]]:
    """List the matches of a model run, page by page: pairs (`iou`) or the unmatched of one side."""
    return query_objects_page(dataset_id, query, mode=mode, model_run_id=model_run_id, page_size=page_size)
