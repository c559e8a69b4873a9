"""Embeddings that came with items and objects: kept and given back; nothing is computed from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from airflow_provider_nucleus.local.requests.query.compile import Fragment
from airflow_provider_nucleus.local.store.database import count_of, rows

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.models import Run
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["object_count", "of_items"]


def of_items(
    cursor: Cursor, dataset: DatasetRecord, condition: Fragment | None = None
) -> list[dict[str, Any]]:
    """Return reference id and embedding of every item `i` of a dataset that has one and satisfies a condition."""
    chosen = condition or Fragment("true")
    found = rows(
        cursor,
        "SELECT reference_id, json_extract(embedding_info, '$.embedding_vector')::VARCHAR AS vector FROM items i "
        f"WHERE i.dataset_no = ? AND embedding_info IS NOT NULL AND {chosen.sql} ORDER BY item_no",
        [dataset.number, *chosen.parameters],
    )
    return [
        {"reference_id": row["reference_id"], "embedding_vector": orjson.Fragment(row["vector"])}
        for row in found
    ]


def object_count(cursor: Cursor, dataset: DatasetRecord, run: Run | None) -> int:
    """Return how many objects with a geometry the ground truth of a dataset has, or a run on it."""
    return count_of(
        cursor,
        "SELECT count(*) FROM objects WHERE set_no IN (SELECT set_no FROM object_sets WHERE dataset_no = $dataset "
        "AND (role = 'truth' AND $run IS NULL OR run_no = $run))",
        {"dataset": dataset.number, "run": None if run is None else run.number},
    )
