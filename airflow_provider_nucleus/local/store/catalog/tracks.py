"""Tracks: the objects of a dataset that are one thing over time, by the name they share, and metadata of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.exact_json import json_text
from airflow_provider_nucleus.local.store.database import one, rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["delete", "listing", "merge"]

_TABLES: Final = ("objects", "categories")
_SETS: Final = "set_no IN (SELECT set_no FROM object_sets WHERE dataset_no = $dataset)"
_NAMED: Final = " UNION ".join((
    *(
        f"SELECT track_reference_id AS name FROM {table} WHERE track_reference_id IS NOT NULL AND {_SETS}"
        for table in _TABLES
    ),
    "SELECT reference_id FROM tracks WHERE dataset_no = $dataset",
    "SELECT json_extract_string(unnest(tracks::JSON[]), '$.reference_id') FROM scenes WHERE dataset_no = $dataset AND tracks IS NOT NULL",
))


def listing(cursor: Cursor, dataset: DatasetRecord) -> list[dict[str, Any]]:
    """Return every track of a dataset, of ground truth and of predictions, by name."""
    found = rows(
        cursor,
        f"""SELECT name, metadata FROM ({_NAMED}) LEFT JOIN
            (SELECT reference_id AS name, metadata FROM tracks WHERE dataset_no = $dataset) USING (name)
        WHERE name IS NOT NULL ORDER BY name""",
        {"dataset": dataset.number},
    )
    return [
        {
            "reference_id": row["name"],
            "dataset_id": dataset.id,
            "metadata": orjson.Fragment(row["metadata"] or "{}"),
        }
        for row in found
    ]


def merge(
    cursor: Cursor, dataset: DatasetRecord, reference_id: str, metadata: Mapping[str, Any], *, overwrite: bool
) -> None:
    """Merge metadata into a track, or put it in place of what is there; raises `NotFoundError` if there is no such track."""
    known = cursor.execute(
        f"SELECT 1 FROM ({_NAMED}) WHERE name = $name", {"dataset": dataset.number, "name": reference_id}
    ).fetchone()
    if known is None:
        raise NotFoundError(f"Track {reference_id} does not exist in dataset {dataset.id}.")
    where = "WHERE dataset_no = ? AND reference_id = ?"
    row = one(cursor, f"SELECT metadata FROM tracks {where}", [dataset.number, reference_id])
    former = {} if row is None or overwrite else orjson.loads(row["metadata"])
    cursor.execute(f"DELETE FROM tracks {where}", [dataset.number, reference_id])
    cursor.execute(
        "INSERT INTO tracks VALUES (?, ?, ?)",
        [dataset.number, reference_id, json_text({**former, **metadata})],
    )


def delete(cursor: Cursor, dataset: DatasetRecord, reference_ids: Sequence[str]) -> None:
    """Forget tracks: the objects stay, and belong to none of them any more. Unknown names are passed over."""
    given = {"dataset": dataset.number, "names": list(reference_ids)}
    for table in _TABLES:
        cursor.execute(
            f"UPDATE {table} SET track_reference_id = NULL WHERE {_SETS} "
            "AND track_reference_id IN (SELECT unnest($names::VARCHAR[]))",
            given,
        )
    cursor.execute(
        "DELETE FROM tracks WHERE dataset_no = $dataset AND reference_id IN (SELECT unnest($names::VARCHAR[]))",
        given,
    )
