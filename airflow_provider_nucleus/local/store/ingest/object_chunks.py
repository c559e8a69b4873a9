"""One chunk of annotations or predictions: parsed outside the lock, stored inside it.

The same path takes a synchronous request of three rows and each chunk of an asynchronous upload.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import starmap
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.annotation_table import sql_list, types_in
from airflow_provider_nucleus.local.store.catalog.jobs import ERRORS_KEPT
from airflow_provider_nucleus.local.store.database import rows
from airflow_provider_nucleus.local.store.ids import ANNOTATION, PREDICTION
from airflow_provider_nucleus.local.store.ingest.box_rows import parse_boxes
from airflow_provider_nucleus.local.store.ingest.categories import check_taxonomies, store_categories
from airflow_provider_nucleus.local.store.ingest.item_lookup import locate_rows
from airflow_provider_nucleus.local.store.ingest.masks import store_masks
from airflow_provider_nucleus.local.store.ingest.object_rows import parse_objects, stage_lines
from airflow_provider_nucleus.local.store.ingest.objects import store_objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.local.store.catalog.object_sets import Role, SetOwner
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ChunkResult", "RefusedRow", "prepare", "row_errors", "store"]

_MASKS: Final = sql_list(types_in("masks"))


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was refused: its number, the line as it came, and why."""

    row: int
    line: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkResult:
    """The outcome of a chunk. Masks are counted apart because job messages report them apart; `embedded` are good rows with an embedding."""

    total: int
    processed: int
    ignored: int
    errored: int
    mask_total: int
    mask_processed: int
    mask_ignored: int
    mask_errored: int
    embedded: int = 0
    taxonomy_error: str | None = None
    errors: list[RefusedRow] = field(default_factory=list, repr=False)


def prepare(cursor: Cursor, data: bytes, *, role: Role, first: int) -> int:
    """Parse a chunk of NDJSON into the connection's temporary tables and return its number of rows."""
    count = stage_lines(cursor, data, first=first)
    if not parse_boxes(cursor, data, truth=role == "truth", first=first):
        parse_objects(cursor, role)
    return count


def store(
    cursor: Cursor, target: SetOwner, *, update: bool, blobs: Mapping[int, str] | None = None
) -> ChunkResult:
    """Store the prepared chunk; must run inside the writer's transaction, on the connection that prepared it."""
    locate_rows(cursor, target)
    found = cursor.execute("SELECT DISTINCT type FROM parsed WHERE reason IS NULL").fetchall()
    kinds = {row[0] for row in found}
    prefix = ANNOTATION if target.role == "truth" else PREDICTION
    taxonomy_error, placed, filed, masked = None, (0, 0), (0, 0), (0, 0)
    if kinds.intersection(types_in("categories")):
        taxonomy_error = check_taxonomies(cursor)
        filed = store_categories(cursor, update=update)
    if kinds.intersection(types_in("masks")):
        masked = store_masks(cursor, prefix=prefix, update=update, blobs=blobs or {})
    if kinds.intersection(types_in("objects")):
        placed = store_objects(cursor, prefix=prefix, update=update)
    counts = _counts(cursor)
    return ChunkResult(
        total=counts["total"] - counts["masks"],
        processed=placed[0] + filed[0],
        ignored=placed[1] + filed[1],
        errored=counts["bad"] - counts["bad_masks"],
        mask_total=counts["masks"],
        mask_processed=masked[0],
        mask_ignored=masked[1],
        mask_errored=counts["bad_masks"],
        embedded=counts["embedded"],
        taxonomy_error=taxonomy_error,
        errors=row_errors(cursor) if counts["bad"] else [],
    )


def _counts(cursor: Cursor) -> dict[str, Any]:
    return rows(
        cursor,
        f"""SELECT count(*) AS total, count(*) FILTER (type IN {_MASKS}) AS masks, count(reason) AS bad,
            count(*) FILTER (type IN {_MASKS} AND reason IS NOT NULL) AS bad_masks,
            count(embedding_vector) FILTER (reason IS NULL) AS embedded FROM parsed""",
    )[0]


def row_errors(cursor: Cursor) -> list[RefusedRow]:
    """Return the latest bad rows of the prepared chunk, `ERRORS_KEPT` at most, in order of their numbers."""
    found = cursor.execute(
        """SELECT n, left(line, 100000), reason FROM parsed JOIN staged USING (n)
        WHERE reason IS NOT NULL ORDER BY n DESC LIMIT ?""",
        [ERRORS_KEPT],
    ).fetchall()
    return list(starmap(RefusedRow, reversed(found)))
