"""Uploading items: checked, compared and stored a chunk at a time, as objects are.

An item is known by its reference id within its dataset. An existing one is ignored, or replaced with `update`
(metadata included: keys that are not sent again are gone).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.dot_ids import DOT_ID_PROBLEM
from airflow_provider_nucleus.local.store.geometry_rules import COORDINATE_LIMIT
from airflow_provider_nucleus.local.store.ingest.object_chunks import RefusedRow, row_errors
from airflow_provider_nucleus.local.store.ingest.object_rows import (
    mark_bad,
    stage_lines,
    strict_json,
    suspect,
)
from airflow_provider_nucleus.local.store.sequences import reserve
from airflow_provider_nucleus.local.store.value_rules import BLANK, camera_problem, embedding_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ItemImage", "StoredItems", "prepare_items", "refuse_images", "store_items"]

_TYPES: Final = (
    "$",
    "$.reference_id",
    "$.image_url",
    "$.metadata",
    "$.width",
    "$.height",
    "$.embedding_info",
)
_STRUCTURE: Final = json.dumps({
    "reference_id": "VARCHAR",
    "image_url": "VARCHAR",
    "metadata": "JSON",
    "width": "DOUBLE",
    "height": "DOUBLE",
    "embedding_info": "JSON",
})
_KIND: Final = (
    "CASE WHEN type IN ('UBIGINT', 'BIGINT', 'DOUBLE', 'HUGEINT', 'UHUGEINT') THEN 'number' "
    "WHEN type = 'VARCHAR' THEN 'string' END"
)
_SIZE: Final = (
    "coalesce(t[{0}], 'NULL') <> 'NULL' AND (t[{0}] NOT IN ('UBIGINT', 'BIGINT', 'DOUBLE') OR v.{1} <> floor(v.{1}) "
    f"OR NOT coalesce(v.{{1}}, 0) BETWEEN 1 AND {COORDINATE_LIMIT:.0f})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemImage:
    """The image that came with an item: the token of its bytes and its hash, or a problem."""

    token: str | None = None
    phash: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredItems:
    """The outcome of a chunk of items."""

    total: int
    created: int
    updated: int
    ignored: int
    errored: int
    errors: list[RefusedRow] = field(default_factory=list, repr=False)


def prepare_items(cursor: Cursor, data: bytes, *, first: int) -> int:
    """Parse a chunk of item lines into the temporary table `parsed` and return its number of rows."""
    count = stage_lines(cursor, data, first=first)
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE parsed AS
        SELECT n, v.reference_id, v.image_url, coalesce(nullif(v.metadata::VARCHAR, 'null'), '{{}}') AS metadata,
            try_cast(v.width AS BIGINT) AS width, try_cast(v.height AS BIGINT) AS height, nullif(v.embedding_info::VARCHAR, 'null') AS embedding_info,
            CASE WHEN coalesce(t[1], '') <> 'OBJECT' THEN 'the row is not a JSON object'
                WHEN coalesce(t[2], '') <> 'VARCHAR' OR {BLANK.format("v.reference_id")} THEN 'reference_id must be a non-empty string'
                WHEN v.reference_id IN ('.', '..') THEN 'reference_id {DOT_ID_PROBLEM}'
                WHEN coalesce(t[3], '') <> 'VARCHAR' OR {BLANK.format("v.image_url")} THEN 'image_url must be a non-empty string'
                WHEN coalesce(t[4], 'NULL') NOT IN ('OBJECT', 'NULL') THEN 'metadata must be an object'
                WHEN {_SIZE.format(5, "width")} THEN 'width must be a positive integer'
                WHEN {_SIZE.format(6, "height")} THEN 'height must be a positive integer'
                WHEN coalesce(t[7], 'NULL') NOT IN ('OBJECT', 'NULL') THEN 'embedding_info must be an object' END AS reason
        FROM (SELECT n, from_json(line, '{_STRUCTURE}') AS v, json_type(line, {list(_TYPES)}) AS t FROM (
            SELECT n, CASE WHEN json_valid(line) THEN line ELSE 'null' END AS line FROM staged))"""
    )
    suspects = cursor.execute(
        f"""SELECT n, metadata, embedding_info FROM parsed WHERE reason IS NULL AND
            (metadata LIKE '%"camera_params"%' OR {suspect("metadata")} OR embedding_info IS NOT NULL)"""
    ).fetchall()
    mark_bad(
        cursor, [(n, problem) for n, *texts in suspects if (problem := _json_problem(texts)) is not None]
    )
    return count


def _json_problem(texts: list[str | None]) -> str | None:
    try:
        values = [strict_json(text) for text in texts if text is not None]
    except ValueError as error:
        return str(error)
    metadata, embedding = values if len(values) > 1 else (values[0], None)
    camera = metadata.get("camera_params")
    problem = None if camera is None else camera_problem(camera)
    return problem if problem or embedding is None else embedding_problem(embedding)


def refuse_images(cursor: Cursor, images: Mapping[int, ItemImage]) -> None:
    """Mark the prepared rows whose image has a problem."""
    mark_bad(
        cursor,
        [
            (row, f"the file of the item is no image that can be stored: {image.problem}")
            for row, image in images.items()
            if image.problem is not None
        ],
    )


def store_items(
    cursor: Cursor, dataset: DatasetRecord, *, update: bool, images: Mapping[int, ItemImage] | None = None
) -> StoredItems:
    """Store the prepared chunk; must run inside the writer's transaction, on the connection that prepared it.

    `images` maps row numbers to the images whose bytes are kept.
    """
    if dataset.use_privacy_mode:
        cursor.execute(
            """UPDATE parsed SET reason = 'width and height are needed: the dataset is in privacy mode'
            WHERE reason IS NULL AND (width IS NULL OR height IS NULL)"""
        )
    _check_metadata_kinds(cursor, dataset)
    winner = "max" if update else "min"
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE chosen AS
        SELECT w.n, w.reference_id, i.rowid AS stored_row, i.item_no, i.created_at
        FROM (SELECT {winner}(n) AS n, reference_id FROM parsed WHERE reason IS NULL GROUP BY reference_id) w
        LEFT JOIN items i ON i.dataset_no = {dataset.number} AND i.reference_id = w.reference_id ORDER BY w.n"""
    )
    counts = _row(cursor, "SELECT count(*), count(reason) FROM parsed")
    new, old = _row(cursor, "SELECT count(*) FILTER (item_no IS NULL), count(item_no) FROM chosen")
    if update:
        cursor.execute(
            "DELETE FROM items WHERE rowid IN (SELECT stored_row FROM chosen WHERE item_no IS NOT NULL)"
        )
    else:
        cursor.execute("DELETE FROM chosen WHERE item_no IS NOT NULL")
    first = reserve(cursor, "item", count=new) if new else 0
    kept = images or {}
    cursor.execute(
        """INSERT INTO items
        SELECT coalesce(c.item_no, ? - 1 + count(*) FILTER (c.item_no IS NULL) OVER (ORDER BY c.n)), ?, p.reference_id,
            p.image_url, NULL, b.token, p.metadata, p.width, p.height, p.embedding_info, NULL,
            coalesce(c.created_at, now() AT TIME ZONE 'UTC'), b.phash
        FROM chosen c JOIN parsed p USING (n)
        LEFT JOIN (SELECT unnest(?::BIGINT[]) AS n, unnest(?::VARCHAR[]) AS token, unnest(?::VARCHAR[]) AS phash) b
            USING (n) ORDER BY c.n""",
        [
            first, dataset.number, list(kept), [image.token for image in kept.values()],
            [image.phash for image in kept.values()],
        ],
    )  # fmt: skip
    total, errored = counts
    updated = old if update else 0
    return StoredItems(
        total=total,
        created=new,
        updated=updated,
        ignored=total - errored - new - updated,
        errored=errored,
        errors=row_errors(cursor) if errored else [],
    )


def _check_metadata_kinds(cursor: Cursor, dataset: DatasetRecord) -> None:
    """Refuse rows with a number where the dataset has strings under the same metadata key, or the reverse."""
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE kinds AS SELECT * FROM (
            SELECT p.n, e.key, {_KIND} AS kind FROM parsed p, json_each(p.metadata) e
            WHERE p.reason IS NULL AND p.metadata <> '{{}}') WHERE kind IS NOT NULL"""
    )
    if not _row(cursor, "SELECT count(*) FROM kinds")[0]:
        return
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE expected AS
        SELECT k.key, coalesce(any_value(m.kind), arg_min(k.kind, k.n)) AS kind, count(m.kind) = 0 AS fresh FROM kinds k
        LEFT JOIN metadata_kinds m ON m.dataset_no = {dataset.number} AND m.key = k.key GROUP BY k.key"""
    )
    cursor.execute(
        """UPDATE parsed SET reason = bad.reason FROM (
            SELECT k.n, any_value(format('metadata.{} is a {} in this dataset, got a {}', k.key, e.kind, k.kind)) AS reason
            FROM kinds k JOIN expected e USING (key) WHERE e.kind <> k.kind GROUP BY k.n) bad
        WHERE parsed.n = bad.n"""
    )
    cursor.execute(f"INSERT INTO metadata_kinds SELECT {dataset.number}, key, kind FROM expected WHERE fresh")


def _row(cursor: Cursor, sql: str) -> tuple[Any, ...]:
    found = cursor.execute(sql).fetchone()
    assert found is not None
    return tuple(found)
