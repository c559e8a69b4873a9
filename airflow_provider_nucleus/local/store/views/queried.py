"""Items and objects that a query selects, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.local.store.catalog.items import item_rows
from airflow_provider_nucleus.local.store.views.objects import objects_where

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.items import Item
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["item_page", "object_page"]


def item_page(
    cursor: Cursor, dataset: DatasetRecord, condition: Fragment, *, after: int, size: int
) -> tuple[list[Item], int | None]:
    """Return up to `size` items that satisfy a condition, in order of insertion, and the item to go on after."""
    found = item_rows(
        cursor,
        f"item_no IN (SELECT i.item_no FROM items i WHERE i.dataset_no = ? AND i.item_no > ? AND {condition.sql}) "
        "ORDER BY item_no LIMIT ?",
        [dataset.number, after, *condition.parameters, size + 1],
    )
    return found[:size], found[size - 1].item_no if len(found) > size else None


def object_page(
    cursor: Cursor,
    dataset: DatasetRecord,
    set_no: int | None,
    *,
    condition: Fragment,
    after: int,
    size: int,
    truth: bool,
) -> tuple[list[dict[str, Any]], int | None]:
    """Return up to `size` objects of a set on items that satisfy a condition, and the object to go on after.

    Geometric objects, categories and masks share one numbering, in order of upload. Each has the id that matches name it by.
    """
    if set_no is None:
        return [], None
    inside = f"item_no IN (SELECT i.item_no FROM items i WHERE i.dataset_no = ? AND {condition.sql})"
    chosen = [dataset.number, *condition.parameters]
    found = cursor.execute(
        "SELECT object_no FROM (SELECT object_no, set_no, item_no FROM objects UNION ALL "
        "SELECT object_no, set_no, item_no FROM categories UNION ALL SELECT object_no, set_no, item_no FROM masks) "
        f"WHERE set_no = ? AND object_no > ? AND {inside} ORDER BY object_no LIMIT ?",
        [set_no, after, *chosen, size + 1],
    ).fetchall()
    if not found:
        return [], None
    last = found[min(size, len(found)) - 1][0]
    rows = objects_where(
        cursor,
        f"o.set_no = ? AND o.object_no > ? AND o.object_no <= ? AND o.{inside}",
        [set_no, after, last, *chosen],
        truth=truth,
        with_id=True,
    )
    return list(rows), last if len(found) > size else None
