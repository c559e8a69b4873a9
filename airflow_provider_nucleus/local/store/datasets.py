"""Datasets: the rows everything else hangs on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from airflow_provider_nucleus.local.errors import BadRequestError, NotFoundError
from airflow_provider_nucleus.local.store.counters import reserve
from airflow_provider_nucleus.local.store.database import one, rows
from airflow_provider_nucleus.local.store.ids import new_id

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Dataset", "create", "find", "info", "listing", "size"]

_SCHEMA_TYPES = frozenset({"category", "number", "text", "json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What routes need to know of a dataset before they touch its items."""

    number: int
    id: str
    name: str
    is_scene: bool
    use_privacy_mode: bool


def create(
    cursor: Cursor,
    *,
    name: Any,
    is_scene: Any = False,
    use_privacy_mode: Any = False,
    annotation_metadata_schema: Any = None,
    item_metadata_schema: Any = None,
) -> Dataset:
    """Create a dataset; names need not be unique.

    Raises :class:`BadRequestError` for a missing name or a metadata schema that is not one.
    """
    if not isinstance(name, str) or not name:
        raise BadRequestError("A dataset needs a name: a non-empty string.")
    for flag, value in (("is_scene", is_scene), ("use_privacy_mode", use_privacy_mode)):
        if not isinstance(value, bool):
            raise BadRequestError(f"{flag} must be true or false.")
    schemas = [
        _schema(annotation_metadata_schema, "annotation_metadata_schema"),
        _schema(item_metadata_schema, "item_metadata_schema"),
    ]
    number = reserve(cursor, "dataset")
    dataset_id = new_id("ds")
    cursor.execute(
        "INSERT INTO datasets VALUES (?, ?, ?, ?, ?, ?, ?, [], ?)",
        [
            number,
            dataset_id,
            name,
            is_scene,
            use_privacy_mode,
            *schemas,
            datetime.now(UTC).replace(tzinfo=None),
        ],
    )
    return Dataset(
        number=number, id=dataset_id, name=name, is_scene=is_scene, use_privacy_mode=use_privacy_mode
    )


def _schema(value: Any, field: str) -> str | None:
    if value is None:
        return None
    good = isinstance(value, dict) and all(
        isinstance(entry, dict) and entry.get("type") in _SCHEMA_TYPES for entry in value.values()
    )
    if not good:
        raise BadRequestError(
            f"{field} must map each field to an object with a type of {sorted(_SCHEMA_TYPES)}."
        )
    return orjson.dumps(value).decode()


def find(cursor: Cursor, dataset_id: str) -> Dataset:
    """Return a dataset; raises :class:`NotFoundError` if there is none with this id."""
    row = one(
        cursor,
        "SELECT dataset_no AS number, dataset_id AS id, name, is_scene, use_privacy_mode FROM datasets WHERE dataset_id = ?",
        [dataset_id],
    )
    if row is None:
        raise NotFoundError(f"Dataset {dataset_id} does not exist.")
    return Dataset(**row)


def listing(cursor: Cursor) -> list[dict[str, Any]]:
    """Return id and name of every dataset, oldest first."""
    return rows(
        cursor,
        "SELECT dataset_id AS id, name, false AS is_public, is_scene FROM datasets ORDER BY dataset_no",
    )


def size(cursor: Cursor, dataset: Dataset) -> int:
    """Return how many items a dataset has."""
    found = cursor.execute("SELECT count(*) FROM items WHERE dataset_no = ?", [dataset.number]).fetchone()
    return int(found[0]) if found else 0


def info(cursor: Cursor, dataset: Dataset) -> dict[str, Any]:
    """Return the summary of a dataset as ``dataset/{ds}/info`` shows it."""
    row = one(
        cursor,
        "SELECT annotation_metadata_schema, item_metadata_schema, tags FROM datasets WHERE dataset_no = ?",
        [dataset.number],
    )
    assert row is not None
    schemas = {
        field: None if row[field] is None else orjson.loads(row[field])
        for field in ("annotation_metadata_schema", "item_metadata_schema")
    }
    return {
        "dataset_id": dataset.id,
        "name": dataset.name,
        "length": size(cursor, dataset),
        "model_run_ids": [],
        "slice_ids": [],
        **schemas,
        "tags": row["tags"],
    }
