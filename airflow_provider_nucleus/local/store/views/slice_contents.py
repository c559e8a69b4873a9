"""Contents of a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.annotation_table import CATEGORY_LABELS
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.requests.query.compile import Fragment
from airflow_provider_nucleus.local.store.catalog import scenes, slice_members
from airflow_provider_nucleus.local.store.catalog.items import item_rows
from airflow_provider_nucleus.local.store.views.objects import objects_where

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.items import Item
    from airflow_provider_nucleus.local.store.catalog.slices import SliceRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["item_page", "items_condition", "labels", "members", "object_rows", "objects_with_items"]

_ITEM_NUMBERS: Final = (
    "(SELECT e.item_no FROM slice_items e WHERE e.slice_no = ? UNION "
    "SELECT m.item_no FROM slice_items e JOIN items m ON m.scene_no = e.scene_no WHERE e.slice_no = ?)"
)
_EVERY: Final = 1_000_000_000


def items_condition(found: SliceRecord) -> Fragment:
    """Return the condition on items `i` that are in a slice, carry one of its objects, or are frames of its scenes."""
    return Fragment(f"i.item_no IN {_ITEM_NUMBERS}", (found.number, found.number))


def item_page(cursor: Cursor, found: SliceRecord, *, after: int, size: int) -> tuple[list[Item], int | None]:
    """Return up to `size` items of a slice behind item `after` and the item to go on after, None at the end."""
    tail = f"item_no > ? AND item_no IN {_ITEM_NUMBERS} ORDER BY item_no LIMIT ?"
    items = item_rows(cursor, tail, [after, found.number, found.number, size + 1])
    return items[:size], items[size - 1].item_no if len(items) > size else None


def members(cursor: Cursor, found: SliceRecord) -> list[dict[str, Any]]:
    """Return the members of a slice as wire objects with their `id`: items, objects or scenes."""
    if found.type == slice_members.OBJECTS:
        return object_rows(cursor, found)
    if found.type == slice_members.SCENES:
        return [scenes.to_wire(cursor, scene) for scene in scenes.in_slice(cursor, found.number)]
    items, _ = item_page(cursor, found, after=-1, size=_EVERY)
    return [{"id": item.id, "ref_id": item.reference_id, **item.to_wire()} for item in items]


def object_rows(cursor: Cursor, found: SliceRecord) -> list[dict[str, Any]]:
    """Return the annotations and then the predictions of an object slice, with their `id`."""
    condition = (
        "o.object_no IN (SELECT object_no FROM slice_items WHERE slice_no = ?) AND o.set_no IN "
        "(SELECT set_no FROM object_sets WHERE dataset_no = ? AND {})"
    )
    parameters = [found.number, found.dataset_no]
    return [
        *objects_where(cursor, condition.format("role = 'truth'"), parameters, truth=True, with_id=True),
        *objects_where(cursor, condition.format("role <> 'truth'"), parameters, truth=False, with_id=True),
    ]


def objects_with_items(cursor: Cursor, found: SliceRecord) -> list[dict[str, Any]]:
    """Return each object of an object slice with its item; raises `BadRequestError` for a slice of other members."""
    if found.type != slice_members.OBJECTS:
        raise BadRequestError(f"Slice {found.id} holds no objects but members of type {found.type}.")
    condition = "item_no IN (SELECT item_no FROM slice_items WHERE slice_no = ?)"
    items = {item.id: item.to_wire() for item in item_rows(cursor, condition, [found.number])}
    return [
        {
            "item": items[row["dataset_item_id"]],
            ("annotation" if row["id"].startswith("ann_") else "prediction"): row,
        }
        for row in object_rows(cursor, found)
    ]


def labels(cursor: Cursor, dataset: DatasetRecord, found: SliceRecord) -> list[str]:
    """Return the distinct labels of the annotations on the items of a slice, sorted."""
    rows = cursor.execute(
        f"""WITH i AS {_ITEM_NUMBERS},
        s AS (SELECT set_no FROM object_sets WHERE dataset_no = ? AND role = 'truth')
        SELECT DISTINCT label FROM (
            SELECT label, item_no, set_no FROM objects
            UNION ALL SELECT unnest({CATEGORY_LABELS}),
                item_no, set_no FROM categories
            UNION ALL SELECT unnest(from_json(segments, '[{{"label":"VARCHAR"}}]')).label, item_no, set_no FROM masks)
        WHERE set_no IN (SELECT set_no FROM s) AND item_no IN (SELECT item_no FROM i) ORDER BY label""",
        [found.number, found.number, dataset.number],
    ).fetchall()
    return [label for (label,) in rows]
