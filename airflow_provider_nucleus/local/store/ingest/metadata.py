"""Merging metadata into items and scenes: new keys win, others stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.exact_json import json_text
from airflow_provider_nucleus.local.store.geometry_rules import is_number
from airflow_provider_nucleus.local.store.ingest.object_rows import strict_json

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["merge_metadata"]


def merge_metadata(cursor: Cursor, dataset: DatasetRecord, entry: Any, *, level: str) -> str | None:
    """Merge one `{"reference_id", "metadata"}` entry into an item or scene; return what is wrong with it, or None."""
    if not isinstance(entry, dict) or not isinstance(entry.get("reference_id"), str):
        return "an entry needs a reference_id and a metadata object"
    name, fresh = entry["reference_id"], entry.get("metadata")
    if not isinstance(fresh, dict):
        return f"the metadata of {name} must be an object"
    table, key = ("items", "item_no") if level == "item" else ("scenes", "scene_no")
    found = cursor.execute(
        f"SELECT {key}, metadata FROM {table} WHERE dataset_no = ? AND reference_id = ?",
        [dataset.number, name],
    ).fetchone()
    if found is None:
        return f"{level.capitalize()} with id {name} doesn't exist in dataset {dataset.id}."
    if level == "item" and (problem := _kind_problem(cursor, dataset, fresh)) is not None:
        return f"{name}: {problem}"
    if level == "item" and entry.get("camera_params") is not None:
        fresh = {**fresh, "camera_params": entry["camera_params"]}
    merged = {**strict_json(found[1] or "{}"), **fresh}
    try:
        text = json_text(merged)
    except BadRequestError as error:
        return f"{name}: {error}"
    cursor.execute(f"UPDATE {table} SET metadata = ? WHERE {key} = ?", [text, found[0]])
    return None


def _kind_problem(cursor: Cursor, dataset: DatasetRecord, metadata: dict[str, Any]) -> str | None:
    """Return which value breaks the type its key has in the dataset; record the types of new keys."""
    kinds = {
        key: "number" if is_number(value) else "string" for key, value in metadata.items() if _has_kind(value)
    }
    sql = "SELECT key, kind FROM metadata_kinds WHERE dataset_no = ? AND key IN (SELECT unnest(?::VARCHAR[]))"
    known = dict(cursor.execute(sql, [dataset.number, list(kinds)]).fetchall())
    for key, kind in kinds.items():
        if known.get(key, kind) != kind:
            return f"metadata.{key} is a {known[key]} in this dataset, got a {kind}"
    for key in kinds.keys() - known.keys():
        cursor.execute("INSERT INTO metadata_kinds VALUES (?, ?, ?)", [dataset.number, key, kinds[key]])
    return None


def _has_kind(value: Any) -> bool:
    return is_number(value) or isinstance(value, str)
