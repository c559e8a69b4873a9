"""Slices: named subsets of a dataset, of items, of objects or of scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.database import one, rows
from airflow_provider_nucleus.local.store.ids import new_id
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.slice_members import Members
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "SliceRecord", "add_members", "add_tags", "create", "delete", "delete_of_dataset", "find",
    "ids_of", "listing",
]  # fmt: skip

_SLICE: Final = (
    "SELECT slice_no AS number, slice_id AS id, s.dataset_no, dataset_id, s.name, type, description, s.tags, "
    "s.created_at FROM slices s JOIN datasets d USING (dataset_no)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRecord:
    """A slice; `type` says what its members are."""

    number: int
    id: str
    dataset_no: int
    dataset_id: str
    name: str
    type: str
    description: str | None
    tags: list[str]
    created_at: datetime

    def to_wire(self) -> dict[str, Any]:
        """Return the slice as listings show it."""
        return {
            "id": self.id,
            "name": self.name,
            "dataset_id": self.dataset_id,
            "type": self.type,
            "created_at": timestamps.to_wire(self.created_at),
            "pending_job_count": 0,
        }

    def info_to_wire(self) -> dict[str, Any]:
        """Return the slice as `slice/{s}/info` shows it."""
        return {**self.to_wire(), "slice_id": self.id, "description": self.description, "tags": self.tags}


def create(cursor: Cursor, dataset: DatasetRecord, *, name: str, members: Members) -> SliceRecord:
    """Create a slice of a dataset with its first members; names need not be unique."""
    number, slice_id = reserve(cursor, "slice"), new_id("slc")
    cursor.execute(
        "INSERT INTO slices VALUES (?, ?, ?, ?, ?, NULL, [], ?)",
        [number, slice_id, dataset.number, name, members.type, timestamps.now()],
    )
    made = find(cursor, slice_id)
    add_members(cursor, made, members)
    return made


def find(cursor: Cursor, slice_id: str) -> SliceRecord:
    """Return a slice; raises `NotFoundError` if there is none with this id."""
    row = one(cursor, f"{_SLICE} WHERE slice_id = ?", [slice_id])
    if row is None:
        raise NotFoundError(f"Slice {slice_id} does not exist.")
    return SliceRecord(**row)


def listing(
    cursor: Cursor, *, dataset: DatasetRecord | None = None, name: str | None = None, kind: str | None = None
) -> list[SliceRecord]:
    """Return slices, oldest first: of one dataset, name or type if given."""
    found = rows(
        cursor,
        f"{_SLICE} WHERE (? IS NULL OR s.dataset_no = ?) AND (? IS NULL OR s.name = ?) AND (? IS NULL OR type = ?) "
        "ORDER BY slice_no",
        [value for given in (dataset and dataset.number, name, kind) for value in (given, given)],
    )
    return [SliceRecord(**row) for row in found]


def ids_of(cursor: Cursor, dataset: DatasetRecord) -> list[str]:
    """Return the ids of a dataset's slices, oldest first."""
    found = cursor.execute(
        "SELECT slice_id FROM slices WHERE dataset_no = ? ORDER BY slice_no", [dataset.number]
    ).fetchall()
    return [slice_id for (slice_id,) in found]


def add_members(cursor: Cursor, target: SliceRecord, members: Members) -> list[int]:
    """Append the members that a slice does not have yet, in the order given; returns the positions of those added."""
    column = members.column
    found = cursor.execute(
        f"SELECT {column} FROM slice_items WHERE slice_no = ? AND {column} IN (SELECT unnest(?::BIGINT[]))",
        [target.number, members.numbers],
    ).fetchall()
    present = {number for (number,) in found}
    fresh = [position for position, number in enumerate(members.numbers) if number not in present]
    if fresh:
        first = reserve(cursor, "slice_member", count=len(fresh))
        chosen = [members.rows[position] for position in fresh]
        cursor.execute(
            "INSERT INTO slice_items SELECT ?, ? + unnest(range(?::BIGINT)), unnest(?::BIGINT[]), unnest(?::BIGINT[]), "
            "unnest(?::BIGINT[])",
            [target.number, first, len(chosen), *(list(column) for column in zip(*chosen, strict=True))],
        )
    return fresh


def add_tags(cursor: Cursor, target: SliceRecord, tags: list[str]) -> list[str]:
    """Add tags, each once, and return all of them."""
    together = list(dict.fromkeys([*target.tags, *tags]))
    cursor.execute("UPDATE slices SET tags = ? WHERE slice_no = ?", [together, target.number])
    return together


def delete(cursor: Cursor, target: SliceRecord) -> None:
    """Delete a slice; its members stay in the dataset."""
    for table in ("slice_items", "slices"):
        cursor.execute(f"DELETE FROM {table} WHERE slice_no = ?", [target.number])


def delete_of_dataset(cursor: Cursor, dataset: DatasetRecord) -> None:
    """Delete every slice of a dataset, when the dataset is deleted."""
    cursor.execute(
        "DELETE FROM slice_items WHERE slice_no IN (SELECT slice_no FROM slices WHERE dataset_no = ?)",
        [dataset.number],
    )
    cursor.execute("DELETE FROM slices WHERE dataset_no = ?", [dataset.number])
