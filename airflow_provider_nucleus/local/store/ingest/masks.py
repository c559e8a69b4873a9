"""Segmentation masks: one per (set, item), whatever the annotation id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.annotation_table import sql_list, types_in
from airflow_provider_nucleus.local.store.database import count_of
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["store_masks"]


def store_masks(cursor: Cursor, *, prefix: str, update: bool, blobs: Mapping[int, str]) -> tuple[int, int]:
    """Store the good mask rows of `parsed`; return (processed, ignored).

    `prefix` makes the id of a mask that came without one; `blobs` maps row numbers to the tokens of masks whose bytes came with the request.
    """
    winner = "max" if update else "min"
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE placed AS SELECT n, l.set_no, l.item_no
        FROM parsed p JOIN located l USING (n) WHERE p.reason IS NULL AND p.type IN {sql_list(types_in("masks"))} AND l.item_no IS NOT NULL"""
    )
    total = count_of(cursor, "SELECT count(*) FROM placed")
    if not total:
        return 0, 0
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE chosen AS SELECT w.*, e.rowid AS stored_row, e.object_no
        FROM (SELECT {winner}(n) AS n, set_no, item_no FROM placed GROUP BY set_no, item_no) w
        LEFT JOIN masks e ON e.set_no = w.set_no AND e.item_no = w.item_no ORDER BY w.n"""
    )
    if update:
        cursor.execute(
            "DELETE FROM masks WHERE rowid IN (SELECT stored_row FROM chosen WHERE stored_row IS NOT NULL)"
        )
    else:
        cursor.execute("DELETE FROM chosen WHERE stored_row IS NOT NULL")
    stored = count_of(cursor, "SELECT count(*) FROM chosen")
    if stored:
        cursor.execute(
            f"""INSERT INTO masks SELECT c.number, c.set_no, c.item_no,
                coalesce(p.annotation_id, format('{prefix}_{{:016x}}', c.number)), p.mask_url, p.segments, b.token
            FROM (SELECT n, set_no, item_no, coalesce(object_no, ? + row_number() OVER () - 1) AS number FROM chosen) c JOIN parsed p USING (n)
            LEFT JOIN (SELECT unnest(?::BIGINT[]) AS n, unnest(?::VARCHAR[]) AS token) b USING (n)""",
            [reserve(cursor, "object", count=stored), list(blobs), list(blobs.values())],
        )
    return (total, 0) if update else (stored, total - stored)
