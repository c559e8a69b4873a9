"""The perceptual hashes of items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.store.catalog.items import item_rows
from airflow_provider_nucleus.local.store.ids import ITEM, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.items import Item
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["chosen_items", "save"]


def chosen_items(
    cursor: Cursor,
    dataset: DatasetRecord,
    *,
    reference_ids: Sequence[str] | None,
    item_ids: Sequence[str] | None,
) -> list[Item]:
    """Return the named items of a dataset, else all that are images; raises `NotFoundError` if one is not there."""
    if reference_ids is not None:
        found = item_rows(
            cursor,
            "dataset_no = ? AND reference_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY item_no",
            [dataset.number, list(reference_ids)],
        )
        _require(dataset, set(reference_ids) - {item.reference_id for item in found})
        return found
    if item_ids is not None:
        numbers = [number for name in item_ids if (number := number_of(ITEM, name)) is not None]
        found = item_rows(
            cursor,
            "dataset_no = ? AND item_no IN (SELECT unnest(?::BIGINT[])) ORDER BY item_no",
            [dataset.number, numbers],
        )
        _require(dataset, set(item_ids) - {item.id for item in found})
        return found
    return item_rows(cursor, "dataset_no = ? AND image_url IS NOT NULL ORDER BY item_no", [dataset.number])


def _require(dataset: DatasetRecord, missing: set[str]) -> None:
    if missing:
        raise NotFoundError(
            f"{len(missing)} of the items do not exist in dataset {dataset.id}, for example {min(missing)}."
        )


def save(cursor: Cursor, hashes: Mapping[int, str]) -> None:
    """Record hashes by item number."""
    cursor.execute(
        "UPDATE items SET phash = found.phash FROM (SELECT unnest(?::BIGINT[]) AS item_no, unnest(?::VARCHAR[]) AS phash) found "
        "WHERE items.item_no = found.item_no",
        [list(hashes), list(hashes.values())],
    )
