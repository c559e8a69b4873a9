"""Items: finding, reading and deleting them, and how one looks on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.annotation_table import OBJECT_TABLES
from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.store.database import rows
from airflow_provider_nucleus.local.store.ids import ITEM, number_of, numbered

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Item", "at_index", "by_id", "by_reference", "delete", "in_any_dataset", "item_rows", "page"]

_COLUMNS: Final = (
    "item_no, dataset_no, reference_id, image_url, pointcloud_url, blob, metadata, width, height, phash"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One stored item; `metadata` is JSON as it was sent, `blob` the token of uploaded image bytes."""

    item_no: int
    dataset_no: int
    reference_id: str
    image_url: str | None
    pointcloud_url: str | None
    blob: str | None
    metadata: str
    width: int | None
    height: int | None
    phash: str | None

    @property
    def id(self) -> str:
        """The public `di_` id."""
        return numbered(ITEM, self.item_no)

    def to_wire(self) -> dict[str, Any]:
        """Return the item as reads show it: exactly one of image and point-cloud location, unchanged."""
        wire: dict[str, Any] = {"dataset_item_id": self.id, "reference_id": self.reference_id}
        if self.pointcloud_url is not None:
            wire["pointcloud_url"] = self.pointcloud_url
        else:
            wire |= {"image_url": self.image_url, "original_image_url": self.image_url}
        wire["metadata"] = orjson.Fragment(self.metadata)
        if self.width is not None:
            wire["width"] = self.width
        if self.height is not None:
            wire["height"] = self.height
        if self.phash is not None:
            wire["phash"] = self.phash
        return wire


def item_rows(cursor: Cursor, tail: str, parameters: list[Any]) -> list[Item]:
    """Return the items that a condition (and order, limit ...) on `items` selects."""
    return [Item(**row) for row in rows(cursor, f"SELECT {_COLUMNS} FROM items WHERE {tail}", parameters)]


def at_index(cursor: Cursor, dataset: DatasetRecord, index: str) -> Item:
    """Return the item at a 0-based position in order of insertion."""
    found = []
    if index.isascii() and index.isdigit() and len(index) < 19:
        # The numbers alone are a tenth of the columns that a sort of whole items would carry.
        tail = "item_no = (SELECT item_no FROM items WHERE dataset_no = ? ORDER BY item_no LIMIT 1 OFFSET ?)"
        found = item_rows(cursor, tail, [dataset.number, int(index)])
    if not found:
        raise NotFoundError(f"Dataset {dataset.id} has no item at index {index}.")
    return found[0]


def by_reference(cursor: Cursor, dataset: DatasetRecord, reference_id: str) -> Item:
    """Return the item with a reference id."""
    found = item_rows(cursor, "dataset_no = ? AND reference_id = ?", [dataset.number, reference_id])
    if not found:
        raise NotFoundError(f"Item with id {reference_id} doesn't exist in dataset {dataset.id}.")
    return found[0]


def in_any_dataset(cursor: Cursor, reference_id: str) -> list[Item]:
    """Return the items with a reference id, whatever their dataset."""
    found = item_rows(cursor, "reference_id = ? ORDER BY item_no", [reference_id])
    if not found:
        raise NotFoundError(f"Item with id {reference_id} doesn't exist in any dataset.")
    return found


def by_id(cursor: Cursor, dataset: DatasetRecord | None, item_id: str) -> Item:
    """Return the item with a `di_` id, in one dataset or in any."""
    number = number_of(ITEM, item_id)
    found = [] if number is None else item_rows(cursor, "item_no = ?", [number])
    if not found or (dataset is not None and found[0].dataset_no != dataset.number):
        place = f" in dataset {dataset.id}" if dataset is not None else ""
        raise NotFoundError(f"Item {item_id} does not exist{place}.")
    return found[0]


def page(cursor: Cursor, dataset: DatasetRecord, *, after: int, size: int) -> tuple[list[Item], int | None]:
    """Return up to `size` items numbered above `after` and the number to continue after, None at the end."""
    tail = "dataset_no = ? AND item_no > ? ORDER BY item_no LIMIT ?"
    found = item_rows(cursor, tail, [dataset.number, after, size + 1])
    return found[:size], found[size - 1].item_no if len(found) > size else None


def delete(cursor: Cursor, item: Item) -> None:
    """Delete an item with its annotations, predictions and matches; it leaves its slices."""
    for table in (*OBJECT_TABLES, "matches", "slice_items", "items"):
        cursor.execute(f"DELETE FROM {table} WHERE item_no = ?", [item.item_no])
