"""Geometric objects: identity, conflicts, and how a chunk of them is stored in one go.

An object is known by (set, item, annotation id, task id), whatever its type, and null task ids are equal. Uniqueness is
kept here and not by an index: the caller is the only writer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.annotation_table import sql_list, types_in
from airflow_provider_nucleus.local.store.database import count_of
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["store_objects"]

_GEOMETRIC: Final = sql_list(types_in("objects"))


def store_objects(cursor: Cursor, *, prefix: str, update: bool) -> tuple[int, int]:
    """Store the good geometric rows of `parsed` at their places in `located`; return (processed, ignored).

    Within the chunk the first row of an identity wins, or the last if `update`. `prefix` makes the internal id that
    stands in for an annotation id the client left out.
    """
    winner = "max" if update else "min"
    # Rows whose id the client left out meet nobody.
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE winners AS
        SELECT {winner}(n) AS n, l.set_no, l.item_no, p.annotation_id, p.task_id, count(*) AS contestants
        FROM parsed p JOIN located l USING (n) WHERE p.reason IS NULL AND p.type IN {_GEOMETRIC}
        GROUP BY l.set_no, l.item_no, p.annotation_id, p.task_id, CASE WHEN p.annotation_id IS NULL THEN n END"""
    )
    total = count_of(cursor, "SELECT coalesce(sum(contestants), 0) FROM winners")
    if not total:
        return 0, 0
    _find_existing(cursor)
    if update:
        cursor.execute("DELETE FROM objects WHERE rowid IN (SELECT stored_row FROM existing)")
        chosen = "SELECT w.n, w.set_no, w.item_no, e.object_no FROM winners w LEFT JOIN existing e USING (n)"
    else:
        chosen = "SELECT w.n, w.set_no, w.item_no, NULL::BIGINT AS object_no FROM winners w ANTI JOIN existing e USING (n)"
    stored = count_of(cursor, f"CREATE OR REPLACE TEMP TABLE chosen AS {chosen} ORDER BY n")
    if stored:
        _insert(cursor, first=reserve(cursor, "object", count=stored), prefix=prefix)
    return (total, 0) if update else (stored, total - stored)


def _find_existing(cursor: Cursor) -> None:
    """Fill `existing` with the stored rows that the winners meet."""
    cursor.execute("CREATE OR REPLACE TEMP TABLE existing (n BIGINT, stored_row BIGINT, object_no BIGINT)")
    sets = [row[0] for row in cursor.execute("SELECT DISTINCT set_no FROM winners").fetchall()]
    if cursor.execute(
        "SELECT 1 FROM objects WHERE set_no IN (SELECT unnest(?::INTEGER[])) LIMIT 1", [sets]
    ).fetchone():
        cursor.execute(
            """INSERT INTO existing SELECT w.n, o.rowid, o.object_no FROM objects o JOIN winners w
            ON o.item_no = w.item_no AND o.annotation_id = w.annotation_id AND o.set_no = w.set_no
            AND o.task_id IS NOT DISTINCT FROM w.task_id"""
        )


def _insert(cursor: Cursor, *, first: int, prefix: str) -> None:
    # Sorted by item within the chunk, so that reading one item touches few row groups.
    cursor.execute(
        f"""INSERT INTO objects SELECT c.number, c.set_no, c.item_no,
            coalesce(p.annotation_id, format('{prefix}_{{:016x}}', c.number)), p.task_id, p.type, p.label, p.confidence,
            p.x, p.y, p.w, p.h, p.geometry, p.metadata, p.class_pdf, p.track_reference_id, p.embedding_vector
        FROM (SELECT n, set_no, item_no, coalesce(object_no, ? + row_number() OVER () - 1) AS number FROM chosen) c
        JOIN parsed p USING (n) ORDER BY c.set_no, c.item_no, c.n""",
        [first],
    )
