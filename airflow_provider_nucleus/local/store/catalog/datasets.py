"""Datasets: the rows everything else hangs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.exact_json import json_text
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.catalog import slices
from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
from airflow_provider_nucleus.local.store.catalog.object_sets import drop_sets
from airflow_provider_nucleus.local.store.database import count_of, one, rows
from airflow_provider_nucleus.local.store.ids import new_id
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "add_tags", "by_number", "create", "delete", "find", "info", "labels", "listing", "remove_tags", "size", "tags",
]  # fmt: skip


def create(
    cursor: Cursor,
    *,
    name: str,
    is_scene: bool = False,
    use_privacy_mode: bool = False,
    annotation_metadata_schema: dict[str, Any] | None = None,
    item_metadata_schema: dict[str, Any] | None = None,
) -> DatasetRecord:
    """Create a dataset; names need not be unique."""
    schemas = [
        None if schema is None else json_text(schema)
        for schema in (annotation_metadata_schema, item_metadata_schema)
    ]
    number = reserve(cursor, "dataset")
    dataset_id = new_id("ds")
    cursor.execute(
        "INSERT INTO datasets VALUES (?, ?, ?, ?, ?, ?, ?, [], ?)",
        [number, dataset_id, name, is_scene, use_privacy_mode, *schemas, timestamps.now()],
    )
    return DatasetRecord(
        number=number, id=dataset_id, name=name, is_scene=is_scene, use_privacy_mode=use_privacy_mode
    )


_DATASET: Final = (
    "SELECT dataset_no AS number, dataset_id AS id, name, is_scene, use_privacy_mode FROM datasets"
)


def find(cursor: Cursor, dataset_id: str) -> DatasetRecord:
    """Return a dataset; raises `NotFoundError` if there is none with this id."""
    row = one(cursor, f"{_DATASET} WHERE dataset_id = ?", [dataset_id])
    if row is None:
        raise NotFoundError(f"Dataset {dataset_id} does not exist.")
    return DatasetRecord(**row)


def by_number(cursor: Cursor, number: int) -> DatasetRecord:
    """Return the dataset with an internal number; raises `NotFoundError` if it was deleted."""
    row = one(cursor, f"{_DATASET} WHERE dataset_no = ?", [number])
    if row is None:
        raise NotFoundError("the dataset was deleted while the job ran.")
    return DatasetRecord(**row)


def delete(cursor: Cursor, dataset: DatasetRecord) -> None:
    """Delete a dataset with its items, scenes, annotations and predictions."""
    drop_sets(cursor, "dataset_no = ?", [dataset.number])
    slices.delete_of_dataset(cursor, dataset)
    for table in ("items", "scenes", "taxonomies", "tracks", "metadata_kinds", "uploads", "datasets"):
        cursor.execute(f"DELETE FROM {table} WHERE dataset_no = ?", [dataset.number])


def tags(cursor: Cursor, dataset: DatasetRecord) -> list[str]:
    """Return the tags of a dataset."""
    found = cursor.execute("SELECT tags FROM datasets WHERE dataset_no = ?", [dataset.number]).fetchone()
    return list(found[0]) if found else []


def add_tags(cursor: Cursor, dataset: DatasetRecord, given: list[str]) -> list[str]:
    """Add tags, each once, and return all of them."""
    return _set_tags(cursor, dataset, list(dict.fromkeys([*tags(cursor, dataset), *given])))


def remove_tags(cursor: Cursor, dataset: DatasetRecord, given: list[str]) -> list[str]:
    """Remove tags and return those that are left."""
    return _set_tags(cursor, dataset, [tag for tag in tags(cursor, dataset) if tag not in given])


def _set_tags(cursor: Cursor, dataset: DatasetRecord, values: list[str]) -> list[str]:
    cursor.execute("UPDATE datasets SET tags = ? WHERE dataset_no = ?", [values, dataset.number])
    return values


def labels(cursor: Cursor, dataset: DatasetRecord, role: str) -> list[str]:
    """Return the distinct labels of all objects of a role in a dataset, sorted; masks count by their segments."""
    found = cursor.execute(
        """WITH s AS (SELECT set_no FROM object_sets WHERE dataset_no = ? AND role = ?)
        SELECT DISTINCT label FROM (
            SELECT label FROM objects JOIN s USING (set_no)
            UNION ALL SELECT label FROM categories JOIN s USING (set_no) WHERE label IS NOT NULL
            UNION ALL SELECT unnest(labels::JSON::VARCHAR[]) FROM categories JOIN s USING (set_no) WHERE labels IS NOT NULL
            UNION ALL SELECT unnest(json_extract_string(segments, '$[*].label')) FROM masks JOIN s USING (set_no))
        ORDER BY label""",
        [dataset.number, role],
    ).fetchall()
    return [row[0] for row in found]


def listing(cursor: Cursor) -> list[dict[str, Any]]:
    """Return id and name of every dataset, oldest first."""
    return rows(
        cursor,
        "SELECT dataset_id AS id, name, false AS is_public, is_scene FROM datasets ORDER BY dataset_no",
    )


def size(cursor: Cursor, dataset: DatasetRecord) -> int:
    """Return how many items a dataset has."""
    return count_of(cursor, "SELECT count(*) FROM items WHERE dataset_no = ?", [dataset.number])


def info(cursor: Cursor, dataset: DatasetRecord) -> dict[str, Any]:
    """Return the summary of a dataset as `dataset/{ds}/info` shows it."""
    row = one(
        cursor,
        "SELECT annotation_metadata_schema, item_metadata_schema, tags FROM datasets WHERE dataset_no = ?",
        [dataset.number],
    )
    assert row is not None
    found = cursor.execute(
        "SELECT run_id FROM model_runs JOIN object_sets USING (run_no) WHERE role = 'run' AND dataset_no = ? ORDER BY run_no",
        [dataset.number],
    ).fetchall()
    run_ids = [entry[0] for entry in found]
    schemas = {
        field: None if row[field] is None else orjson.Fragment(row[field])
        for field in ("annotation_metadata_schema", "item_metadata_schema")
    }
    return {
        "dataset_id": dataset.id,
        "name": dataset.name,
        "length": size(cursor, dataset),
        "model_run_ids": run_ids,
        "slice_ids": slices.ids_of(cursor, dataset),
        **schemas,
        "tags": row["tags"],
    }
