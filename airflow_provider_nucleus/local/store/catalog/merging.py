"""Merging the runs of a model into a new run that holds the predictions of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.store.catalog import models
from airflow_provider_nucleus.local.store.catalog.object_sets import SetOwner, ensure_set, find_set
from airflow_provider_nucleus.local.store.database import count_of
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.local.store.catalog.models import Run
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Merged", "create_merged_run", "merge_run"]

# Where a table allows one object per place: the columns of the place.
_SINGLE: Final = {"categories": ("item_no", "scene_no", "taxonomy_name", "type"), "masks": ("item_no",)}


@dataclass(frozen=True, slots=True)
class Merged:
    """Contribution of one run to a merge."""

    copied: int
    ignored: int
    rewritten: int


def create_merged_run(
    cursor: Cursor, ids: Sequence[str], *, name: str | None, metadata: dict[str, Any]
) -> tuple[Run, list[int]]:
    """Create the run that others of its model are merged into; return it and the numbers of the datasets it will cover.

    Raises `BadRequestError` for runs of different models.
    """
    runs = [models.find_run(cursor, run_id) for run_id in ids]
    model = models.find(cursor, runs[0].model_id)
    if any(run.model_no != model.number for run in runs):
        raise BadRequestError("Runs of different models cannot be merged.")
    metadata = {**metadata, "merged_from_model_run_ids": list(ids)}
    merged = models.create_run(cursor, model, name=name, metadata=metadata)
    numbers = sorted({number for run in runs for number in models.dataset_numbers(cursor, run)})
    for number in numbers:
        place = SetOwner(role="run", dataset=None, model_no=model.number, run_no=merged.number)
        ensure_set(cursor, place, number)
    return merged, numbers


def merge_run(cursor: Cursor, source: Run, destination: Run) -> Merged:
    """Copy the predictions of one run into another of the same model; the source stays as it is.

    An annotation id that the destination already has on the item gets the source's run id appended. Categories and masks,
    of which a place holds one, are left out where there is one already.
    """
    copied = ignored = rewritten = 0
    for dataset_no in models.dataset_numbers(cursor, source):
        here, there = (
            SetOwner(role="run", dataset=None, model_no=run.model_no, run_no=run.number)
            for run in (source, destination)
        )
        origin, goal = find_set(cursor, here, dataset_no), ensure_set(cursor, there, dataset_no)
        assert origin is not None
        count, clashes = _copy_objects(cursor, origin, goal, source.id)
        copied, rewritten = copied + count, rewritten + clashes
        for table, place in _SINGLE.items():
            count, total = _copy_singles(cursor, table, place, origin, goal)
            copied, ignored = copied + count, ignored + total - count
    return Merged(copied, ignored, rewritten)


def _copy_objects(cursor: Cursor, origin: int, goal: int, suffix: str) -> tuple[int, int]:
    found = cursor.execute(
        """SELECT count(*), count(e.object_no) FROM (SELECT * FROM objects WHERE set_no = $origin) o
        LEFT JOIN (SELECT * FROM objects WHERE set_no = $goal) e ON e.item_no = o.item_no
            AND e.annotation_id = o.annotation_id AND e.task_id IS NOT DISTINCT FROM o.task_id""",
        {"origin": origin, "goal": goal},
    ).fetchone()
    total, clashes = found or (0, 0)
    if total:
        cursor.execute(
            """INSERT INTO objects SELECT $first + row_number() OVER (ORDER BY o.object_no) - 1, $goal,
                o.* EXCLUDE (object_no, set_no)
                    REPLACE (o.annotation_id || CASE WHEN e.object_no IS NULL THEN '' ELSE $suffix END AS annotation_id)
            FROM (SELECT * FROM objects WHERE set_no = $origin) o
            LEFT JOIN (SELECT * FROM objects WHERE set_no = $goal) e ON e.item_no = o.item_no
                AND e.annotation_id = o.annotation_id AND e.task_id IS NOT DISTINCT FROM o.task_id""",
            {
                "origin": origin,
                "goal": goal,
                "suffix": f"-{suffix}",
                "first": reserve(cursor, "object", count=total),
            },
        )
    return total, clashes


def _copy_singles(
    cursor: Cursor, table: str, place: tuple[str, ...], origin: int, goal: int
) -> tuple[int, int]:
    """Copy what has no counterpart; return (copied, all)."""
    total = count_of(cursor, f"SELECT count(*) FROM {table} WHERE set_no = ?", [origin])
    if not total:
        return 0, 0
    same = " AND ".join(f"e.{column} IS NOT DISTINCT FROM o.{column}" for column in place)
    copied = count_of(
        cursor,
        f"""INSERT INTO {table} SELECT $first + row_number() OVER (ORDER BY o.object_no) - 1, $goal,
            o.* EXCLUDE (object_no, set_no) FROM (SELECT * FROM {table} WHERE set_no = $origin) o
        ANTI JOIN (SELECT * FROM {table} WHERE set_no = $goal) e ON {same}""",
        {"origin": origin, "goal": goal, "first": reserve(cursor, "object", count=total)},
    )
    return copied, total
