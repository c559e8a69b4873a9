"""Export rows: an item with everything a set of objects has on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.annotation_table import EXPORT_KEYS, OBJECT_TABLES, STORED_TYPES
from airflow_provider_nucleus.local.store.views.objects import by_type, objects_of_items
from airflow_provider_nucleus.local.store.views.queried import item_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.items import Item
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Export", "export_page", "export_rows"]

OBJECTS_AT_ONCE: Final = 50_000
"""Objects in one page: it ends early rather than hold more, and never within an item."""
_ITEMS_AT_ONCE: Final = 2_000
_LISTS: Final = tuple(EXPORT_KEYS[kind.name] for kind in STORED_TYPES if kind.table != "masks")

_EVERYTHING: Final = " UNION ALL ".join(f"SELECT set_no, item_no FROM {table}" for table in OBJECT_TABLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Content of an export: objects of a set (None: none) on the items of a dataset that satisfy a condition.

    `item_wire` writes an item, which the caller may want with the address of its stored bytes.
    """

    dataset: DatasetRecord
    condition: Fragment
    set_no: int | None
    truth: bool
    item_wire: Callable[[Item], dict[str, Any]]


def export_page(
    cursor: Cursor, export: Export, *, after: int, size: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Return the next rows behind item `after`, at most `size`, and the item to go on after, None at the end."""
    items, last = item_page(cursor, export.dataset, export.condition, after=after, size=size)
    kept = _within_budget(cursor, export.set_no, items)
    if len(kept) < len(items):
        last = kept[-1].item_no
    found: dict[str, list[dict[str, Any]]] = {item.id: [] for item in kept}
    if export.set_no is not None:
        numbers = [item.item_no for item in kept]
        for wire in objects_of_items(cursor, [export.set_no], numbers, truth=export.truth):
            found[wire["dataset_item_id"]].append(wire)
    return [_row(export.item_wire(item), found[item.id]) for item in kept], last


def export_rows(cursor: Cursor, export: Export) -> Iterator[dict[str, Any]]:
    """Yield every row, holding one page of them at a time."""
    after: int | None = -1
    while after is not None:
        rows, after = export_page(cursor, export, after=after, size=_ITEMS_AT_ONCE)
        yield from rows


def _within_budget(cursor: Cursor, set_no: int | None, items: list[Item]) -> list[Item]:
    """Return the first items whose objects together stay within `OBJECTS_AT_ONCE`, at least one of them."""
    if set_no is None or not items:
        return items
    counts = dict(
        cursor.execute(
            f"SELECT item_no, count(*) FROM ({_EVERYTHING}) "
            "WHERE set_no = ? AND item_no IN (SELECT unnest(?::BIGINT[])) GROUP BY item_no",
            [set_no, [item.item_no for item in items]],
        ).fetchall()
    )
    total = 0
    for place, item in enumerate(items):
        total += counts.get(item.item_no, 0)
        if total > OBJECTS_AT_ONCE and place:
            return items[:place]
    return items


def _row(item: dict[str, Any], objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a row with every list a client insists on; the mask is one object and absent if there is none."""
    grouped = by_type(objects)
    row: dict[str, Any] = {"item": item, **{kind: grouped.get(kind, []) for kind in _LISTS}}
    if masks := grouped.get("segmentation"):
        row["segmentation"] = masks[0]
    return row
