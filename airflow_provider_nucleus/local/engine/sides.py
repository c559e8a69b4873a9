"""Sides of a comparison: two object sets, cut into spans of whole items, read as columns of the engine."""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants and compiled conditions; values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import IndexArray, IntArray
    from airflow_provider_nucleus.evaluation.sides.columns import Columns
    from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["PARTITION_ROWS", "Side", "Span", "item_spans"]

PARTITION_ROWS: Final = 200_000
"""Objects of both sides matched in one step: what bounds the memory of a calculation, about 100 MB for boxes."""


@dataclass(frozen=True, slots=True)
class Span:
    """Items from `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Objects as columns; `number`, `item` and `segment` lead from a row back to the stored object.

    `segment` is the index of a mask's segment, None for objects that are one thing.
    """

    number: IndexArray
    item: IndexArray
    columns: Columns
    segment: IntArray | None = None

    def __len__(self) -> int:
        return int(self.number.size)


def item_spans(
    cursor: Cursor, sets: ComparedSets, *, table: str, condition: str, rows: int = PARTITION_ROWS
) -> list[Span]:
    """Cut the items that have rows of a table into spans of about `rows` rows, items kept whole, ascending."""
    found = cursor.execute(
        f"SELECT item_no, count(*) AS objects FROM {table} WHERE set_no IN (SELECT unnest(?::INTEGER[])) "
        f"AND {condition} GROUP BY item_no ORDER BY item_no",
        [sets.numbers],
    ).fetchnumpy()
    items, ends = found["item_no"], np.cumsum(found["objects"])
    spans: list[Span] = []
    begin = 0
    while begin < len(items):
        done = int(ends[begin - 1]) if begin else 0
        end = max(int(np.searchsorted(ends, done + rows, side="right")), begin + 1)
        spans.append(Span(int(items[begin]), int(items[end - 1])))
        begin = end
    return spans
