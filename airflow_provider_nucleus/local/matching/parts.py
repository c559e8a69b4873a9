"""What the matching of a span gives: rows to store, and what could not be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Part", "Skipped"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Objects of an item that were left out, how many of each side, and why."""

    item_no: int
    ground_truth: int
    predictions: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows of the ``matches`` table without the match set, and what was skipped."""

    rows: pa.Table
    skipped: tuple[Skipped, ...] = ()
