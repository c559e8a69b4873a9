"""Match sets and their rows: written by a calculation, read by queries and pages.

Every calculation stays, with what its numbers are counted from; the rows themselves are those of the newest few of each run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.requests.match_options import MatchOptions
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.catalog import kept_counts
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
    "listing",
    "objects_by_type",
    "of_job",
    "publish",
    "remove_match_sets",
    "require",
    "tally",
]


NO_OPTIONS: Final = MatchOptions()
"""The options where nothing was calculated: only equal labels associate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSet:
    """The result of one calculation, or one that is still being made.

    `line` and `place` say which of the kept counts are its own (`kept_counts.py`); 0 until it has ended.
    `current` is true of the one that queries read. `totals` are counts at usual thresholds (`views/match_counts.py`), None where a
    former layout kept none. `requested_by` is the task of Airflow that requested it, None where it did not say.
    """

    number: int
    sets: ComparedSets
    options: MatchOptions
    summary: dict[str, Any]
    job_no: int
    created_at: datetime
    line: int = 0
    place: int = 0
    job_id: str = ""
    current: bool = False
    rows_kept: bool = True
    totals: dict[str, Any] | None = None
    requested_by: dict[str, Any] | None = None

    @property
    def coverage(self) -> dict[str, Any] | None:
        """Items and objects that were compared; None where a former layout did not record them."""
        return self.summary.get("coverage")


def begin(
    cursor: Cursor, sets: ComparedSets, *, dataset_no: int, options: MatchOptions, job_no: int
) -> MatchSet:
    """Start a match set that nobody sees yet; what an interrupted calculation of the same job left is removed."""
    left = cursor.execute(
        "SELECT match_set_no FROM match_sets WHERE job_no = ? AND published_at IS NULL", [job_no]
    ).fetchall()
    _remove(cursor, [number for (number,) in left])
    made = MatchSet(
        number=reserve(cursor, "match_set"),
        sets=sets,
        options=options,
        summary={},
        job_no=job_no,
        created_at=timestamps.now(),
    )
    cursor.execute(
        "INSERT INTO match_sets VALUES (?, ?, ?, ?, ?, false, ?, '{}', ?, NULL, true, NULL, NULL, NULL, NULL)",
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


def require(cursor: Cursor, match_set: MatchSet) -> None:
    """Raise `NotFoundError` if the run or the dataset was deleted since the calculation began."""
    found = cursor.execute("SELECT 1 FROM match_sets WHERE match_set_no = ?", [match_set.number]).fetchone()
    if found is None:
        raise NotFoundError("the model run, its predictions or the dataset were deleted while the job ran.")


def publish(
    cursor: Cursor,
    match_set: MatchSet,
    summary: dict[str, Any],
    *,
    totals: dict[str, Any] | None = None,
    kept: int = 1,
) -> bool:
    """Make a match set the one that readers see, in place of the one before; returns whether it is.

    If a later request was faster its matches stay the ones that readers see. Of all match sets of the run the newest `kept`, at
    least 1, keep their rows. Raises `NotFoundError` if the run or the dataset was deleted meanwhile.
    """
    require(cursor, match_set)
    before = cursor.execute(
        "SELECT match_set_no, job_no FROM match_sets WHERE set_no = ? AND published_at IS NOT NULL",
        [match_set.sets.predictions],
    ).fetchall()
    # The job may have been interrupted after it had come this far, and begun again.
    _remove(cursor, [number for number, job_no in before if job_no == match_set.job_no])
    newest = all(job_no <= match_set.job_no for _, job_no in before)
    if newest:
        cursor.execute(
            "UPDATE match_sets SET current = false WHERE set_no = ? AND current",
            [match_set.sets.predictions],
        )
    cursor.execute(
        "UPDATE match_sets SET current = ?, summary = ?, totals = ?, published_at = ? WHERE match_set_no = ?",
        [
            newest,
            orjson.dumps(summary).decode(),
            None if totals is None else orjson.dumps(totals).decode(),
            timestamps.now(),
            match_set.number,
        ],
    )
    _forget_rows(cursor, match_set.sets.predictions, kept=kept)
    return newest


def _forget_rows(cursor: Cursor, set_no: int, *, kept: int) -> None:
    """Delete the rows of all calculations of a run but the newest `kept`; their counts stay."""
    found = cursor.execute(
        "SELECT match_set_no FROM match_sets WHERE set_no = ? AND published_at IS NOT NULL AND rows_kept "
        "ORDER BY job_no DESC OFFSET ?",
        [set_no, max(kept, 1)],
    ).fetchall()
    for (number,) in found:
        cursor.execute("DELETE FROM matches WHERE match_set_no = ?", [number])
        cursor.execute("UPDATE match_sets SET rows_kept = false WHERE match_set_no = ?", [number])


_MATCH_SET: Final = (
    "SELECT match_set_no, set_no, truth_set_no, options, summary, job_no, c.created_at, job_id, current, rows_kept, totals, "
    "requested_by, line_no, place FROM match_sets c LEFT JOIN jobs j USING (job_no) WHERE published_at IS NOT NULL"
)


def _match_set(row: dict[str, Any]) -> MatchSet:
    return MatchSet(
        number=row["match_set_no"],
        sets=ComparedSets(row["truth_set_no"], row["set_no"]),
        options=MatchOptions.from_wire(orjson.loads(row["options"])),
        summary=orjson.loads(row["summary"]),
        job_no=row["job_no"],
        created_at=row["created_at"],
        line=row["line_no"] or 0,
        place=row["place"] or 0,
        job_id=row["job_id"] or "",
        current=row["current"],
        rows_kept=row["rows_kept"],
        totals=None if row["totals"] is None else orjson.loads(row["totals"]),
        requested_by=None if row["requested_by"] is None else orjson.loads(row["requested_by"]),
    )


def current(cursor: Cursor, set_no: int) -> MatchSet | None:
    """Return the match set of an object set of predictions, or None if nothing was calculated."""
    row = one(cursor, f"{_MATCH_SET} AND set_no = ? AND current", [set_no])
    return None if row is None else _match_set(row)


def of_job(cursor: Cursor, set_no: int, job_id: str) -> MatchSet | None:
    """Return what a job calculated for an object set of predictions, or None: it has not ended, or without matches."""
    row = one(cursor, f"{_MATCH_SET} AND set_no = ? AND job_id = ?", [set_no, job_id])
    return None if row is None else _match_set(row)


def listing(cursor: Cursor, set_no: int, *, limit: int) -> list[MatchSet]:
    """Return the newest calculations of an object set of predictions, newest first."""
    found = rows(cursor, f"{_MATCH_SET} AND set_no = ? ORDER BY job_no DESC LIMIT ?", [set_no, limit])
    return [_match_set(row) for row in found]


def discard(cursor: Cursor, match_set: MatchSet) -> None:
    """Remove a match set that is not to be published."""
    _remove(cursor, [match_set.number])


def remove_match_sets(cursor: Cursor, set_nos: list[int]) -> None:
    """Remove every match set that reads one of these object sets, when those are deleted."""
    found = cursor.execute(
        "SELECT match_set_no FROM match_sets WHERE set_no IN (SELECT unnest(?::INTEGER[])) "
        "OR truth_set_no IN (SELECT unnest(?::INTEGER[]))",
        [set_nos, set_nos],
    ).fetchall()
    _remove(cursor, [number for (number,) in found])


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


def _remove(cursor: Cursor, numbers: list[int]) -> None:
    if not numbers:
        return
    places = kept_counts.places_of(cursor, numbers)
    for table in ("matches", "match_sets"):
        cursor.execute(f"DELETE FROM {table} WHERE match_set_no IN (SELECT unnest(?::BIGINT[]))", [numbers])
    kept_counts.forget(cursor, places)
