"""Comparisons: the predictions of a model run on a dataset, beside the dataset's ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.annotation_table import OBJECT_TABLES
from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.requests.query.compile import QueriedObjects
from airflow_provider_nucleus.local.store.catalog import models
from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
from airflow_provider_nucleus.local.store.catalog.object_sets import SetOwner, find_set

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.models import ModelRecord, Run
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["RunOnDataset", "datasets_of", "of_model", "of_run", "prediction_set", "query_scope", "truth_set"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOnDataset:
    """A run and a dataset it has predictions on."""

    dataset: DatasetRecord
    run: Run
    sets: ComparedSets

    @property
    def scope(self) -> QueriedObjects:
        """The objects a query is about when this run is selected."""
        return QueriedObjects(truth=self.sets.truth, predictions=self.sets.predictions)


def of_model(cursor: Cursor, dataset: DatasetRecord, model: ModelRecord) -> RunOnDataset:
    """Return the comparison of a model's run; raises `NotFoundError` if there is none on the dataset.

    A run that is there and holds no predictions is a model that found nothing, and has missed everything.
    """
    run = models.run_of(cursor, model, dataset)
    found = None if run is None else _comparison(cursor, dataset, run)
    if found is not None and _has_objects(cursor, found.sets.predictions):
        return found
    elsewhere = _elsewhere(cursor, dataset, model)
    if found is None or elsewhere:
        raise NotFoundError(
            f"Model {model.id} has no predictions on dataset {dataset.id}. Upload predictions before metrics are "
            f"calculated or read.{elsewhere}"
        )
    return found


def _elsewhere(cursor: Cursor, dataset: DatasetRecord, model: ModelRecord) -> str:
    """Return a sentence on predictions that are stored without a run, which metrics do not read."""
    target = SetOwner(role="model", dataset=dataset, model_no=model.number)
    found = find_set(cursor, target, dataset.number)
    if found is None or not _has_objects(cursor, found):
        return ""
    return (
        f" The model has predictions on it that belong to no run (POST model/{model.id}/predictions): evaluations on benchmarks "
        "read those, metrics do not. Upload them with dataset.upload_predictions as well, or evaluate the model on a benchmark."
    )


def of_run(cursor: Cursor, dataset: DatasetRecord, run_id: str) -> RunOnDataset:
    """Return the comparison of a run (or of a model's run, by the model's id); raises `NotFoundError`."""
    if not run_id.startswith("run_"):
        return of_model(cursor, dataset, models.find(cursor, run_id))
    run = models.find_run(cursor, run_id)
    found = _comparison(cursor, dataset, run)
    if found is None:
        raise NotFoundError(f"Model run {run_id} has no predictions on dataset {dataset.id}.")
    return found


def datasets_of(cursor: Cursor, run: Run) -> list[int]:
    """Return the numbers of the datasets a run is on, in order of its first upload to them."""
    found = cursor.execute(
        "SELECT dataset_no FROM object_sets WHERE role = 'run' AND run_no = ? ORDER BY set_no",
        [run.number],
    ).fetchall()
    return [dataset_no for (dataset_no,) in found]


def truth_set(cursor: Cursor, dataset: DatasetRecord) -> int | None:
    """Return the set of a dataset's ground truth, None if nothing was ever annotated."""
    return find_set(cursor, SetOwner(role="truth", dataset=dataset), dataset.number)


def prediction_set(cursor: Cursor, dataset: DatasetRecord, model: ModelRecord) -> int | None:
    """Return the set of a model's run on a dataset, None if it has predicted nothing there."""
    run = models.run_of(cursor, model, dataset)
    found = None if run is None else _comparison(cursor, dataset, run)
    return None if found is None else found.sets.predictions


def query_scope(cursor: Cursor, dataset: DatasetRecord, run_id: str | None) -> QueriedObjects:
    """Return what a query sees: the given run, else the dataset's only run with predictions, else no run."""
    if run_id is not None:
        return of_run(cursor, dataset, run_id).scope
    runs = models.runs_of_dataset(cursor, dataset)
    if len(runs) == 1:
        found = _comparison(cursor, dataset, models.find_run(cursor, runs[0]))
        if found is not None:
            return found.scope
    return QueriedObjects(truth=truth_set(cursor, dataset), predictions=None)


def _comparison(cursor: Cursor, dataset: DatasetRecord, run: Run) -> RunOnDataset | None:
    target = SetOwner(role="run", dataset=dataset, model_no=run.model_no, run_no=run.number)
    predictions = find_set(cursor, target, dataset.number)
    if predictions is None:
        return None
    return RunOnDataset(dataset=dataset, run=run, sets=ComparedSets(truth_set(cursor, dataset), predictions))


def _has_objects(cursor: Cursor, set_no: int) -> bool:
    return any(
        cursor.execute(f"SELECT 1 FROM {table} WHERE set_no = ? LIMIT 1", [set_no]).fetchone()
        for table in OBJECT_TABLES
    )
