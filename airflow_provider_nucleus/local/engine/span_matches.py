"""Matches of a span: rows to store, and objects that could not be compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

__all__ = ["Skipped", "SpanMatches"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Objects of an item that were left out, how many of each side, and why."""

    item_no: int
    ground_truth: int
    predictions: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class SpanMatches:
    """Rows of the `matches` table without the match set, what was skipped, and ground truth in which nothing is counted.

    `ignored_regions` are counted by type of object and reason (see `ignored_regions`); `empty_segments` are those without a
    pixel in their mask.
    """

    rows: pa.Table
    skipped: tuple[Skipped, ...] = ()
    ignored_regions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    empty_segments: int = 0
