"""Stored records by number, for showing a few of them beside what was made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from airflow_provider_nucleus.local.store.ids import ANNOTATION, PREDICTION, number_of
from airflow_provider_nucleus.local.store.views.objects import objects_where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["item_metadata", "raw_objects"]


def raw_objects(cursor: Cursor, numbers: Sequence[int], *, truth: bool) -> dict[int, dict[str, Any]]:
    """Return objects, categories and masks as wire objects by their number; deleted ones are not there."""
    if not numbers:
        return {}
    # A list of constants lets the scan skip row groups, which a subquery does not.
    condition = f"o.object_no IN ({', '.join(str(int(number)) for number in set(numbers))})"
    prefix = ANNOTATION if truth else PREDICTION
    found: dict[int, dict[str, Any]] = {}
    for row in objects_where(cursor, condition, [], truth=truth, with_id=True):
        number = number_of(prefix, row["id"])
        assert number is not None
        found[number] = row
    return found


def item_metadata(cursor: Cursor, numbers: Sequence[int]) -> dict[int, Any]:
    """Return the metadata of items by number, as JSON that was not parsed."""
    if not numbers:
        return {}
    found = cursor.execute(
        f"SELECT item_no, metadata FROM items WHERE item_no IN ({', '.join(str(int(n)) for n in set(numbers))})"
    ).fetchall()
    return {number: orjson.Fragment(text) for number, text in found}
