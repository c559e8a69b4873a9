"""Models and their runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import orjson

from airflow_provider_nucleus.local.annotation_table import STORED_TYPES, sql_list
from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError, NotFoundError
from airflow_provider_nucleus.local.exact_json import json_text
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.catalog.object_sets import SetOwner, drop_sets, ensure_set, find_set
from airflow_provider_nucleus.local.store.database import count_of, one, rows
from airflow_provider_nucleus.local.store.ids import new_id
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "ChangeEntries", "ListColumn", "ModelRecord", "Run", "add_entries", "copy_run", "create", "create_run", "dataset_numbers", "delete",
    "delete_run", "find", "find_by_reference", "find_run", "listing", "remove_entries", "run_ids", "run_of", "run_target",
    "runs_of_dataset",
]  # fmt: skip


ListColumn: TypeAlias = Literal["tags", "trained_slice_ids"]
ChangeEntries: TypeAlias = "Callable[[Cursor, ModelRecord, ListColumn, list[str]], list[str]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """A model; the account knows it by its reference id."""

    number: int
    id: str
    name: str
    reference_id: str
    metadata: str
    tags: list[str]
    trained_slice_ids: list[str]

    def to_wire(self) -> dict[str, Any]:
        """Return the model as reads show it."""
        return {
            "id": self.id,
            "name": self.name,
            "ref_id": self.reference_id,
            "metadata": orjson.Fragment(self.metadata),
            "tags": self.tags,
            "trained_slice_ids": self.trained_slice_ids,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of a model: a named set of its predictions, on one or more datasets."""

    number: int
    id: str
    model_no: int
    model_id: str
    name: str
    metadata: str
    status: str


_MODEL = "SELECT model_no AS number, model_id AS id, name, reference_id, metadata, tags, trained_slice_ids FROM models"
_RUN = (
    "SELECT r.run_no AS number, r.run_id AS id, r.model_no, m.model_id, r.name, r.metadata, r.status "
    "FROM model_runs r JOIN models m USING (model_no)"
)


def create(
    cursor: Cursor,
    *,
    name: str,
    reference_id: str,
    metadata: dict[str, Any] | None = None,
    tags: list[str],
    trained_slice_ids: list[str],
    bundle_name: str | None = None,
) -> ModelRecord:
    """Create a model; raises `ConflictError` if the reference id is taken."""
    taken = one(cursor, f"{_MODEL} WHERE reference_id = ?", [reference_id])
    if taken is not None:
        raise ConflictError(
            f"A model with reference id {reference_id} exists: {taken['id']}. Use it or choose another id."
        )
    number, model_id = reserve(cursor, "model"), new_id("prj")
    cursor.execute(
        "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            number, model_id, name, reference_id, json_text(metadata or {}), tags, trained_slice_ids,
            bundle_name, timestamps.now(),
        ],
    )  # fmt: skip
    return find(cursor, model_id)


def find(cursor: Cursor, model_id: str) -> ModelRecord:
    """Return a model by its id, or by the id of one of its runs."""
    if model_id.startswith("run_"):
        model_id = find_run(cursor, model_id).model_id
    row = one(cursor, f"{_MODEL} WHERE model_id = ?", [model_id])
    if row is None:
        raise NotFoundError(f"Model {model_id} does not exist.")
    return ModelRecord(**row)


def listing(cursor: Cursor) -> list[ModelRecord]:
    """Return all models, oldest first."""
    return [ModelRecord(**row) for row in rows(cursor, f"{_MODEL} ORDER BY model_no")]


def delete(cursor: Cursor, model: ModelRecord) -> None:
    """Delete a model with its runs and predictions."""
    drop_sets(cursor, "model_no = ?", [model.number])
    cursor.execute("DELETE FROM model_runs WHERE model_no = ?", [model.number])
    cursor.execute("DELETE FROM models WHERE model_no = ?", [model.number])


def create_run(
    cursor: Cursor, model: ModelRecord, *, name: str | None, metadata: dict[str, Any] | None = None
) -> Run:
    """Create a run of a model, not yet on any dataset; without a name it has the model's."""
    number, run_id = reserve(cursor, "model_run"), new_id("run")
    cursor.execute(
        "INSERT INTO model_runs VALUES (?, ?, ?, ?, ?, 'Pending', ?)",
        [number, run_id, model.number, name or model.name, json_text(metadata or {}), timestamps.now()],
    )
    return find_run(cursor, run_id)


def find_run(cursor: Cursor, run_id: str) -> Run:
    """Return a run; raises `NotFoundError` if there is none with this id."""
    row = one(cursor, f"{_RUN} WHERE run_id = ?", [run_id])
    if row is None:
        raise NotFoundError(f"Model run {run_id} does not exist.")
    return Run(**row)


def run_of(cursor: Cursor, model: ModelRecord, dataset: DatasetRecord) -> Run | None:
    """Return *the* run of a model on a dataset: its first, or None."""
    row = one(
        cursor,
        f"{_RUN} JOIN object_sets s ON s.run_no = r.run_no AND s.role = 'run' "
        "WHERE r.model_no = ? AND s.dataset_no = ? ORDER BY r.run_no LIMIT 1",
        [model.number, dataset.number],
    )
    return None if row is None else Run(**row)


def run_target(cursor: Cursor, model: ModelRecord, dataset: DatasetRecord) -> tuple[Run, SetOwner]:
    """Return the run of a model on a dataset and where its predictions go, creating both if needed."""
    run = run_of(cursor, model, dataset) or create_run(cursor, model, name=model.name)
    target = SetOwner(role="run", dataset=dataset, model_no=model.number, run_no=run.number)
    ensure_set(cursor, target, dataset.number)
    return run, target


def delete_run(cursor: Cursor, run: Run) -> None:
    """Delete a run with its predictions."""
    drop_sets(cursor, "role = 'run' AND run_no = ?", [run.number])
    cursor.execute("DELETE FROM model_runs WHERE run_no = ?", [run.number])


def find_by_reference(cursor: Cursor, reference_id: str | None) -> ModelRecord:
    """Return a model by its reference id."""
    row = one(cursor, f"{_MODEL} WHERE reference_id = ?", [reference_id])
    if row is None:
        raise NotFoundError(f"A model with reference id {reference_id} does not exist.")
    return ModelRecord(**row)


def add_entries(cursor: Cursor, model: ModelRecord, column: ListColumn, values: list[str]) -> list[str]:
    """Add tags or trained slices, each once, and return all of them."""
    return _set_list(cursor, model, column, list(dict.fromkeys([*_entries(model, column), *values])))


def remove_entries(cursor: Cursor, model: ModelRecord, column: ListColumn, values: list[str]) -> list[str]:
    """Remove tags or trained slices and return those left; raises `BadRequestError` if no tag is among them."""
    old = _entries(model, column)
    new = [entry for entry in old if entry not in values]
    if column == "tags" and new == old:
        raise BadRequestError("Deleted 0 tags from model. The specified tag(s) were not found.")
    return _set_list(cursor, model, column, new)


def _entries(model: ModelRecord, column: ListColumn) -> list[str]:
    return model.tags if column == "tags" else model.trained_slice_ids


def _set_list(cursor: Cursor, model: ModelRecord, column: ListColumn, values: list[str]) -> list[str]:
    cursor.execute(f"UPDATE models SET {column} = ? WHERE model_no = ?", [values, model.number])
    return values


def run_ids(cursor: Cursor, model: ModelRecord) -> list[str]:
    """Return the ids of a model's runs, oldest first."""
    found = cursor.execute(
        "SELECT run_id FROM model_runs WHERE model_no = ? ORDER BY run_no", [model.number]
    ).fetchall()
    return [row[0] for row in found]


def dataset_numbers(cursor: Cursor, run: Run) -> list[int]:
    """Return the numbers of the datasets a run covers."""
    found = cursor.execute(
        "SELECT dataset_no FROM object_sets WHERE role = 'run' AND run_no = ? ORDER BY dataset_no",
        [run.number],
    ).fetchall()
    return [row[0] for row in found]


def copy_run(cursor: Cursor, model: ModelRecord, run: Run) -> tuple[int, int]:
    """Copy a run's objects of the types that models take without a run to the model's run-free sets; return (copied, skipped).

    Objects that the run-free set already has by item, annotation id and task id stay as they are.
    """
    copied = skipped = 0
    for dataset_no in dataset_numbers(cursor, run):
        here = SetOwner(role="run", dataset=None, model_no=model.number, run_no=run.number)
        source = find_set(cursor, here, dataset_no)
        destination = ensure_set(
            cursor, SetOwner(role="model", dataset=None, model_no=model.number), dataset_no
        )
        usable = f"type IN {sql_list(kind.name for kind in STORED_TYPES if kind.run_free)}"
        counts = one(
            cursor,
            f"""SELECT (SELECT count(*) FROM objects WHERE set_no = $s AND {usable}) AS usable,
                (SELECT count(*) FROM objects WHERE set_no = $s AND NOT {usable}) +
                (SELECT count(*) FROM categories WHERE set_no = $s) +
                (SELECT count(*) FROM masks WHERE set_no = $s) AS other""",
            {"s": source},
        )
        assert counts is not None
        skipped += counts["other"]
        first = reserve(cursor, "object", count=max(counts["usable"], 1))
        copied += count_of(
            cursor,
            f"""INSERT INTO objects SELECT $first + row_number() OVER (ORDER BY object_no) - 1, $d,
                o.* EXCLUDE (object_no, set_no)
            FROM (SELECT * FROM objects WHERE set_no = $s AND {usable}) o ANTI JOIN
                (SELECT * FROM objects WHERE set_no = $d) e ON e.item_no = o.item_no
                AND e.annotation_id = o.annotation_id AND e.task_id IS NOT DISTINCT FROM o.task_id""",
            {"s": source, "d": destination, "first": first},
        )
    return copied, skipped


def runs_of_dataset(cursor: Cursor, dataset: DatasetRecord) -> list[str]:
    """Return the ids of the runs that cover a dataset, oldest first."""
    found = cursor.execute(
        "SELECT r.run_id FROM model_runs r JOIN object_sets s USING (run_no) "
        "WHERE s.role = 'run' AND s.dataset_no = ? ORDER BY run_no",
        [dataset.number],
    ).fetchall()
    return [row[0] for row in found]
