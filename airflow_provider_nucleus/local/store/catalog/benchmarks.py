"""Benchmarks: named sets of items with ground truth, versioned; immutable once they are ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError, NotFoundError
from airflow_provider_nucleus.local.exact_json import json_text, parse_json
from airflow_provider_nucleus.local.requests.exclusion_rules import stored_rules
from airflow_provider_nucleus.local.requests.label_taxonomy import Taxonomy
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.catalog import jobs, label_configs
from airflow_provider_nucleus.local.store.catalog.object_sets import items_with_objects
from airflow_provider_nucleus.local.store.database import count_of, one, rows
from airflow_provider_nucleus.local.store.ids import ITEM, new_id, number_of, numbered
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_nucleus.local.requests.exclusion_rules import ExclusionRule
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "BENCHMARK_JOB", "BUILDING", "DRAFT", "FAILED", "READY", "BenchmarkRecord", "Labels", "add_members", "archive", "by_number", "create",
    "finalize", "find", "item_page", "leave_out", "listing", "remove_items", "require_draft", "require_ready", "set_status", "update",
    "versions_of",
]  # fmt: skip

DRAFT: Final = "draft"
BUILDING: Final = "building"
READY: Final = "ready"
FAILED: Final = "failed"

BENCHMARK_JOB: Final = "buildBenchmark"
"""The type of the jobs that put items into benchmarks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Labels of a benchmark as they are evaluated: a configuration of groups, labels ignored, or neither."""

    config_id: str | None = None
    class_agnostic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRecord:
    """A benchmark as stored; `members` and `datasets` count its items that still exist and where they are from."""

    number: int
    id: str
    name: str
    description: str | None
    metadata: str | None
    status: str
    parent_no: int | None
    parent_id: str | None
    version_major: int
    version_minor: int
    version_label: str | None
    config_id: str | None
    class_agnostic: bool
    exclusion_rules: str
    skipped: int
    created_at: datetime
    members: int
    datasets: int

    def to_wire(self) -> dict[str, Any]:
        """Return the benchmark as clients read it."""
        return {
            "benchmark_id": self.id,
            "name": self.name,
            "description": self.description,
            "metadata": None if self.metadata is None else orjson.Fragment(self.metadata),
            "created_by_user_id": None,
            "created_at": timestamps.to_wire(self.created_at),
            "item_count": self.members,
            "dataset_count": self.datasets,
            "skipped_items_without_ground_truth": self.skipped,
            "status": self.status,
            "parent_benchmark_id": self.parent_id,
            "version_major": self.version_major,
            "version_minor": self.version_minor,
            "version_label": self.version_label,
            "allowed_label_matches_id": self.config_id,
            "class_agnostic": self.class_agnostic,
            "exclusion_rules": orjson.Fragment(self.exclusion_rules),
        }

    @property
    def labels(self) -> Labels:
        """The labels as they are kept."""
        return Labels(config_id=self.config_id, class_agnostic=self.class_agnostic)

    def rules(self) -> tuple[ExclusionRule, ...]:
        """Return the rules that apply to every evaluation on this benchmark."""
        return stored_rules(parse_json(self.exclusion_rules, what="Stored rules"))

    def taxonomy(self, cursor: Cursor) -> Taxonomy:
        """Return how this benchmark has labels evaluated."""
        groups = () if self.config_id is None else label_configs.groups_of(cursor, self.config_id)
        return Taxonomy(groups=groups, class_agnostic=self.class_agnostic)


_BENCHMARK: Final = """SELECT b.benchmark_no AS number, b.benchmark_id AS id, b.name, b.description, b.metadata, b.status,
    b.parent_no, p.benchmark_id AS parent_id, b.version_major, b.version_minor, b.version_label, b.config_id,
    b.class_agnostic, b.exclusion_rules, b.skipped, b.created_at, coalesce(c.members, 0) AS members,
    coalesce(c.datasets, 0) AS datasets
    FROM benchmarks b LEFT JOIN benchmarks p ON p.benchmark_no = b.parent_no
    LEFT JOIN (SELECT benchmark_no, count(*) AS members, count(DISTINCT i.dataset_no) AS datasets
        FROM benchmark_items m JOIN items i USING (item_no) GROUP BY benchmark_no) c ON c.benchmark_no = b.benchmark_no"""


def create(
    cursor: Cursor,
    *,
    name: str,
    status: str,
    description: str | None,
    metadata: dict[str, Any] | None,
    version: tuple[int, int, str | None],
    parent: BenchmarkRecord | None,
    labels: Labels,
    rules: Sequence[ExclusionRule],
) -> BenchmarkRecord:
    """Add a benchmark without items; `version` is major, minor, label."""
    number, benchmark_id = reserve(cursor, "benchmark"), new_id("bm")
    cursor.execute(
        "INSERT INTO benchmarks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, false, ?)",
        [
            number, benchmark_id, name, description, _json(metadata), status, parent.number if parent else None,
            *version, labels.config_id, labels.class_agnostic, _json([rule.to_wire() for rule in rules]),
            timestamps.now(),
        ],
    )  # fmt: skip
    return find(cursor, benchmark_id)


def _json(value: Any) -> str | None:
    return None if value is None else json_text(value)


def find(cursor: Cursor, benchmark_id: str) -> BenchmarkRecord:
    """Return a benchmark; raises `NotFoundError` if there is none with this id, or it was deleted."""
    row = one(cursor, f"{_BENCHMARK} WHERE b.benchmark_id = ? AND NOT b.archived", [benchmark_id])
    if row is None:
        raise NotFoundError(f"Benchmark {benchmark_id} does not exist.")
    return BenchmarkRecord(**row)


def by_number(cursor: Cursor, number: int) -> BenchmarkRecord:
    """Return a benchmark by its internal number, deleted or not."""
    row = one(cursor, f"{_BENCHMARK} WHERE b.benchmark_no = ?", [number])
    assert row is not None, f"benchmark number {number} is referred to and gone"
    return BenchmarkRecord(**row)


def listing(cursor: Cursor) -> list[BenchmarkRecord]:
    """Return all benchmarks, newest first."""
    return [
        BenchmarkRecord(**row)
        for row in rows(cursor, f"{_BENCHMARK} WHERE NOT b.archived ORDER BY b.benchmark_no DESC")
    ]


def versions_of(cursor: Cursor, benchmark: BenchmarkRecord) -> list[int]:
    """Return the numbers of a benchmark's versions: itself, what it comes from and what comes from those, deleted or not."""
    found = cursor.execute(
        """WITH RECURSIVE up AS (
            SELECT benchmark_no, parent_no FROM benchmarks WHERE benchmark_no = ?
            UNION SELECT b.benchmark_no, b.parent_no FROM benchmarks b JOIN up ON b.benchmark_no = up.parent_no),
        down AS (
            SELECT benchmark_no FROM up
            UNION SELECT b.benchmark_no FROM benchmarks b JOIN down ON b.parent_no = down.benchmark_no)
        SELECT benchmark_no FROM down ORDER BY benchmark_no""",
        [benchmark.number],
    ).fetchall()
    return [number for (number,) in found]


def require_draft(benchmark: BenchmarkRecord, what: str) -> None:
    """Raise `ConflictError` unless the benchmark is a draft."""
    if benchmark.status != DRAFT:
        raise ConflictError(
            f"Benchmark {benchmark.id} is {benchmark.status}, not a draft: its {what} cannot change. "
            "Cut a new version with parent_benchmark_id."
        )


def require_ready(benchmark: BenchmarkRecord) -> None:
    """Raise `ConflictError` unless the benchmark can be evaluated."""
    if benchmark.status != READY:
        hint = "finalize it first" if benchmark.status == DRAFT else "wait until it is ready"
        raise ConflictError(
            f"Benchmark {benchmark.id} is {benchmark.status} and cannot be evaluated: {hint}."
        )


def update(cursor: Cursor, benchmark: BenchmarkRecord, values: dict[str, Any]) -> BenchmarkRecord:
    """Set columns; `metadata` and `exclusion_rules` as plain data."""
    for column, value in values.items():
        assert column in {
            "name", "description", "metadata", "config_id", "class_agnostic", "exclusion_rules",
        }  # fmt: skip
        stored = _json(value) if column in {"metadata", "exclusion_rules"} else value
        cursor.execute(
            f"UPDATE benchmarks SET {column} = ? WHERE benchmark_no = ?", [stored, benchmark.number]
        )
    return find(cursor, benchmark.id)


def set_status(cursor: Cursor, benchmark: BenchmarkRecord, status: str) -> None:
    """Record the state of a benchmark."""
    cursor.execute("UPDATE benchmarks SET status = ? WHERE benchmark_no = ?", [status, benchmark.number])


def archive(cursor: Cursor, benchmark: BenchmarkRecord) -> None:
    """Delete a benchmark for clients; its evaluations keep their numbers, its children their items."""
    cursor.execute("UPDATE benchmarks SET archived = true WHERE benchmark_no = ?", [benchmark.number])


def add_members(cursor: Cursor, benchmark: BenchmarkRecord, source: str) -> tuple[int, int]:
    """Add the items of a table or subquery `source` (item_no) that have ground truth and are no members yet.

    Returns how many were added and how many were skipped because they have no ground truth; both are counted once
    per item, and the skipped ones added to the benchmark's count.
    """
    truths = "SELECT set_no FROM object_sets WHERE role = 'truth'"
    annotated = items_with_objects(truths)
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE new_members AS SELECT DISTINCT s.item_no,
            s.item_no IN ({annotated}) AS annotated
        FROM {source} s JOIN items i USING (item_no)
        WHERE s.item_no NOT IN (SELECT item_no FROM benchmark_items WHERE benchmark_no = ?)""",
        [benchmark.number],
    )
    cursor.execute(
        "INSERT INTO benchmark_items SELECT ?, item_no FROM new_members WHERE annotated ORDER BY item_no",
        [benchmark.number],
    )
    cursor.execute(
        """INSERT INTO benchmark_left_out SELECT $benchmark, item_no FROM new_members WHERE NOT annotated
            AND item_no NOT IN (SELECT item_no FROM benchmark_left_out WHERE benchmark_no = $benchmark)""",
        {"benchmark": benchmark.number},
    )
    found = cursor.execute(
        "SELECT count(*) FILTER (annotated), count(*) FILTER (NOT annotated) FROM new_members"
    ).fetchone()
    assert found is not None
    cursor.execute(
        "UPDATE benchmarks SET skipped = skipped + ? WHERE benchmark_no = ?", [found[1], benchmark.number]
    )
    return int(found[0]), int(found[1])


def leave_out(cursor: Cursor, benchmark: BenchmarkRecord, *, parent_no: int) -> None:
    """Take over from a parent which items it left out for want of ground truth."""
    cursor.execute(
        """INSERT INTO benchmark_left_out SELECT $benchmark, item_no FROM benchmark_left_out WHERE benchmark_no = $parent
            AND item_no NOT IN (SELECT item_no FROM benchmark_items WHERE benchmark_no = $benchmark)""",
        {"benchmark": benchmark.number, "parent": parent_no},
    )


def remove_items(cursor: Cursor, benchmark: BenchmarkRecord, item_ids: Sequence[str]) -> int:
    """Remove items; unknown ids are passed over. Returns how many were removed."""
    numbers = [number for name in item_ids if (number := number_of(ITEM, name)) is not None]
    return count_of(
        cursor,
        "DELETE FROM benchmark_items WHERE benchmark_no = ? AND item_no IN (SELECT unnest(?::BIGINT[]))",
        [benchmark.number, numbers],
    )


def item_page(cursor: Cursor, benchmark: BenchmarkRecord, *, limit: int, offset: int) -> list[str]:
    """Return the ids of some members, in order of ingestion."""
    found = cursor.execute(
        "SELECT item_no FROM benchmark_items SEMI JOIN items USING (item_no) WHERE benchmark_no = ? "
        "ORDER BY item_no LIMIT ? OFFSET ?",
        [benchmark.number, limit, offset],
    ).fetchall()
    return [numbered(ITEM, number) for (number,) in found]


def finalize(cursor: Cursor, benchmark: BenchmarkRecord) -> BenchmarkRecord:
    """Freeze a draft; raises `ConflictError` if it is none or items are being added, 400 if it is empty."""
    require_draft(benchmark, "state")
    found = cursor.execute(
        "SELECT job_id FROM jobs WHERE status = ? AND type = ? "
        "AND CAST(json_extract(request, '$.benchmark_no') AS INTEGER) = ?",
        [jobs.RUNNING, BENCHMARK_JOB, benchmark.number],
    ).fetchone()
    if found is not None:
        raise ConflictError(f"Job {found[0]} is adding items to benchmark {benchmark.id}: wait for it.")
    if not benchmark.members:
        raise BadRequestError(
            f"Benchmark {benchmark.id} is empty ({benchmark.skipped} items without ground truth were skipped): add items "
            "that have ground truth."
        )
    set_status(cursor, benchmark, READY)
    return find(cursor, benchmark.id)
