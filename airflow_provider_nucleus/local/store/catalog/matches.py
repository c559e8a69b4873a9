"""Match sets and their rows: written by a calculation, read by queries and pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.requests.match_options import MatchOptions
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
from airflow_provider_nucleus.local.store.database import one, rows
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "NO_OPTIONS",
    "MatchSet",
    "begin",
    "current",
    "discard",
    "insert_rows",
    "is_stale",
    "objects_by_type",
    "publish",
    "remove_match_sets",
    "tally",
]


NO_OPTIONS: Final = MatchOptions()
"""The options where nothing was calculated: only equal labels associate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSet:
    """The result of one calculation, or one that is still being made."""

    number: int
    sets: ComparedSets
    options: MatchOptions
    summary: dict[str, Any]
    job_no: int
    created_at: datetime


def begin(
    cursor: Cursor, sets: ComparedSets, *, dataset_no: int, options: MatchOptions, job_no: int
) -> MatchSet:
    """Start a match set that nobody sees yet; what an interrupted calculation of the same job left is removed."""
    left = cursor.execute(
        "SELECT match_set_no FROM match_sets WHERE job_no = ? AND NOT current", [job_no]
    ).fetchall()
    for (number,) in left:
        _remove(cursor, number)
    made = MatchSet(
        number=reserve(cursor, "match_set"),
        sets=sets,
        options=options,
        summary={},
        job_no=job_no,
        created_at=timestamps.now(),
    )
    cursor.execute(
        "INSERT INTO match_sets VALUES (?, ?, ?, ?, ?, false, ?, '{}', ?)",
        [
            made.number,
            sets.predictions,
            sets.truth,
            dataset_no,
            job_no,
            orjson.dumps(options.to_wire()).decode(),
            made.created_at,
        ],
    )
    return made


def insert_rows(cursor: Cursor, match_set: MatchSet, table: pa.Table) -> None:
    """Append match rows (the columns of `matches` without the first) to a match set."""
    cursor.register("new_matches", table)
    cursor.execute("INSERT INTO matches SELECT ?, * FROM new_matches", [match_set.number])
    cursor.unregister("new_matches")


def publish(cursor: Cursor, match_set: MatchSet, summary: dict[str, Any]) -> bool:
    """Make a match set the one that readers see, in place of the one before; returns whether it is.

    If a later request was faster its matches stay and these are removed. Raises `NotFoundError` if the run or
    the dataset was deleted meanwhile.
    """
    found = cursor.execute("SELECT 1 FROM match_sets WHERE match_set_no = ?", [match_set.number]).fetchone()
    if found is None:
        raise NotFoundError("the model run, its predictions or the dataset were deleted while the job ran.")
    before = cursor.execute(
        "SELECT match_set_no, job_no FROM match_sets WHERE set_no = ? AND current",
        [match_set.sets.predictions],
    ).fetchall()
    if any(job_no > match_set.job_no for _, job_no in before):
        _remove(cursor, match_set.number)
        return False
    for number, _ in before:
        _remove(cursor, number)
    cursor.execute(
        "UPDATE match_sets SET current = true, summary = ? WHERE match_set_no = ?",
        [orjson.dumps(summary).decode(), match_set.number],
    )
    return True


def current(cursor: Cursor, set_no: int) -> MatchSet | None:
    """Return the match set of an object set of predictions, or None if nothing was calculated."""
    row = one(
        cursor,
        "SELECT match_set_no, truth_set_no, options, summary, job_no, created_at FROM match_sets "
        "WHERE set_no = ? AND current",
        [set_no],
    )
    if row is None:
        return None
    return MatchSet(
        number=row["match_set_no"],
        sets=ComparedSets(row["truth_set_no"], set_no),
        options=MatchOptions.from_wire(orjson.loads(row["options"])),
        summary=orjson.loads(row["summary"]),
        job_no=row["job_no"],
        created_at=row["created_at"],
    )


def discard(cursor: Cursor, match_set: MatchSet) -> None:
    """Remove a match set that is not to be published."""
    _remove(cursor, match_set.number)


def remove_match_sets(cursor: Cursor, set_nos: list[int]) -> None:
    """Remove every match set that reads one of these object sets, when those are deleted."""
    found = cursor.execute(
        "SELECT match_set_no FROM match_sets WHERE set_no IN (SELECT unnest(?::INTEGER[])) "
        "OR truth_set_no IN (SELECT unnest(?::INTEGER[]))",
        [set_nos, set_nos],
    ).fetchall()
    for (number,) in found:
        _remove(cursor, number)


def tally(cursor: Cursor, match_set: MatchSet) -> dict[str, int]:
    """Count the rows of a match set by kind, whatever their overlap."""
    found = rows(
        cursor,
        "SELECT count(*) FILTER (kind = 'matched') AS matched, count(*) FILTER (kind = 'false_positive') AS "
        "false_positive, count(*) FILTER (kind = 'false_negative') AS false_negative FROM matches WHERE match_set_no = ?",
        [match_set.number],
    )
    return found[0]


def objects_by_type(cursor: Cursor, sets: ComparedSets) -> dict[str, dict[str, int]]:
    """Count the geometric objects and mask segments of both sides by type."""
    found = rows(
        cursor,
        "SELECT kind, count(*) FILTER (set_no = ?) AS ground_truth, count(*) FILTER (set_no = ?) AS predictions FROM ("
        "SELECT set_no, type AS kind FROM objects UNION ALL "
        "SELECT set_no, 'segmentation' FROM (SELECT set_no, unnest(from_json(segments, '[\"JSON\"]')) FROM masks))"
        " WHERE set_no IN (SELECT unnest(?::INTEGER[])) GROUP BY kind ORDER BY kind",
        [sets.truth, sets.predictions, sets.numbers],
    )
    return {
        row["kind"]: {"ground_truth": row["ground_truth"], "predictions": row["predictions"]} for row in found
    }


def is_stale(cursor: Cursor, match_set: MatchSet, sets: ComparedSets) -> bool:
    """Return whether objects were added or removed since, on either side; changed ones are not noticed.

    `sets` are what would be compared now: ground truth that came after the calculation is a set that it did not know.
    """
    then: dict[str, dict[str, int]] = {}
    for part in ("matched", "not_matched"):
        for kind, sides in match_set.summary.get(part, {}).items():
            known = then.setdefault(kind, dict.fromkeys(sides, 0))
            for side, count in sides.items():
                known[side] += count
    return then != objects_by_type(cursor, sets)


def _remove(cursor: Cursor, number: int) -> None:
    cursor.execute("DELETE FROM matches WHERE match_set_no = ?", [number])
    cursor.execute("DELETE FROM match_sets WHERE match_set_no = ?", [number])
