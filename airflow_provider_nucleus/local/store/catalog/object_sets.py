"""Object sets: whose objects they are, and on which dataset. See `tables.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_nucleus.local.annotation_table import OBJECT_TABLES
from airflow_provider_nucleus.local.store.catalog import matches
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Role", "SetOwner", "drop_sets", "ensure_set", "find_set", "items_with_objects"]

Role = Literal["truth", "run", "model"]
"""Whose objects a set holds: ground truth, a model run's, or a model's without a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOwner:
    """Owner of a set of objects: what an upload goes to.

    `dataset` is None if each row names its own (run-free predictions, runs over several datasets). `run_no` is
    set for role `run`, `model_no` for `run` and `model`.
    """

    role: Role
    dataset: DatasetRecord | None
    model_no: int | None = None
    run_no: int | None = None


def find_set(cursor: Cursor, target: SetOwner, dataset_no: int) -> int | None:
    """Return the number of the target's set on a dataset, or None if nothing was ever uploaded to it."""
    found = cursor.execute(
        "SELECT set_no FROM object_sets WHERE role = ? AND dataset_no = ? "
        "AND (role <> 'run' OR run_no = ?) AND (role <> 'model' OR model_no = ?)",
        [target.role, dataset_no, target.run_no, target.model_no],
    ).fetchone()
    return None if found is None else int(found[0])


def ensure_set(cursor: Cursor, target: SetOwner, dataset_no: int) -> int:
    """Return the number of the target's set on a dataset, creating the set if needed."""
    found = find_set(cursor, target, dataset_no)
    if found is not None:
        return found
    number = reserve(cursor, "object_set")
    cursor.execute(
        "INSERT INTO object_sets VALUES (?, ?, ?, ?, ?)",
        [number, target.role, dataset_no, target.model_no, target.run_no],
    )
    return number


def items_with_objects(sets: str) -> str:
    """Return a query of the items (item_no) that have an object of some sets: a list of numbers or a subquery, without brackets.

    What belongs to a scene is on no item; a null among the items would make every `IN` unknown.
    """
    return " UNION ".join(
        f"SELECT item_no FROM {table} WHERE set_no IN ({sets}) AND item_no IS NOT NULL"
        for table in OBJECT_TABLES
    )


def drop_sets(cursor: Cursor, where: str, parameters: list[object]) -> None:
    """Delete the sets that a condition on `object_sets` selects, with everything in them."""
    found = cursor.execute(f"SELECT set_no FROM object_sets WHERE {where}", parameters).fetchall()
    numbers = [row[0] for row in found]
    matches.remove_match_sets(cursor, numbers)
    for table in (*OBJECT_TABLES, "object_sets"):
        cursor.execute(f"DELETE FROM {table} WHERE set_no IN (SELECT unnest(?::INTEGER[]))", [numbers])
