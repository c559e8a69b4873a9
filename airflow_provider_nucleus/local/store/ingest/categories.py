"""Categories: one per (set, item or scene, taxonomy), single or multiple labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.annotation_table import sql_list, types_in
from airflow_provider_nucleus.local.store.database import count_of
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["check_taxonomies", "store_categories"]

_CATEGORIES: Final = sql_list(types_in("categories"))
_PLACE: Final = "set_no, item_no, scene_no, taxonomy_name, type"


def check_taxonomies(cursor: Cursor) -> str | None:
    """Mark rows whose named taxonomy, or whose label in it, does not exist; return the last such error or None.

    Rows without a taxonomy name belong to the default taxonomy, which knows every label.
    """
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE taxonomy_errors AS
        SELECT p.n, 'Input validation failed: Taxonomy ' || p.taxonomy_name || ' does not exist in dataset '
            || d.dataset_id || ', or label ' || coalesce(p.label, p.labels) || ' does not exist in the taxonomy '
            || p.taxonomy_name || '.' AS reason
        FROM parsed p JOIN located l USING (n) JOIN datasets d ON d.dataset_no = l.dataset_no
        LEFT JOIN taxonomies t ON t.dataset_no = l.dataset_no AND t.name = p.taxonomy_name AND t.type = p.type
        WHERE p.reason IS NULL AND p.type IN {_CATEGORIES} AND coalesce(p.taxonomy_name, '') <> ''
        AND NOT coalesce(CASE WHEN p.labels IS NULL THEN list_contains(t.labels, p.label)
                         ELSE list_has_all(t.labels, p.labels::JSON::VARCHAR[]) END, false)"""
    )
    cursor.execute("UPDATE parsed SET reason = e.reason FROM taxonomy_errors e WHERE parsed.n = e.n")
    found = cursor.execute("SELECT reason FROM taxonomy_errors ORDER BY n DESC LIMIT 1").fetchone()
    return None if found is None else str(found[0])


def store_categories(cursor: Cursor, *, update: bool) -> tuple[int, int]:
    """Store the good category rows of `parsed`; return (processed, ignored). The rules are those of objects."""
    winner = "max" if update else "min"
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE placed AS
        SELECT n, l.set_no, l.item_no, l.scene_no, coalesce(p.taxonomy_name, '') AS taxonomy_name, p.type
        FROM parsed p JOIN located l USING (n) WHERE p.reason IS NULL AND p.type IN {_CATEGORIES}"""
    )
    total = count_of(cursor, "SELECT count(*) FROM placed")
    if not total:
        return 0, 0
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE chosen AS
        SELECT w.*, e.rowid AS stored_row, e.object_no FROM
            (SELECT {winner}(n) AS n, {_PLACE} FROM placed GROUP BY {_PLACE}) w
        LEFT JOIN categories e ON e.set_no = w.set_no AND e.taxonomy_name = w.taxonomy_name AND e.type = w.type
            AND e.item_no IS NOT DISTINCT FROM w.item_no AND e.scene_no IS NOT DISTINCT FROM w.scene_no
        ORDER BY w.n"""
    )
    if update:
        cursor.execute(
            "DELETE FROM categories WHERE rowid IN (SELECT stored_row FROM chosen WHERE stored_row IS NOT NULL)"
        )
    else:
        cursor.execute("DELETE FROM chosen WHERE stored_row IS NOT NULL")
    stored = count_of(cursor, "SELECT count(*) FROM chosen")
    if stored:
        cursor.execute(
            """INSERT INTO categories SELECT coalesce(c.object_no, ? + row_number() OVER () - 1), c.set_no, c.item_no,
                c.scene_no, c.taxonomy_name, c.type, p.label, p.labels, p.confidence, p.task_id, p.metadata, p.class_pdf,
                p.track_reference_id
            FROM chosen c JOIN parsed p USING (n)""",
            [reserve(cursor, "object", count=stored)],
        )
    return (total, 0) if update else (stored, total - stored)
