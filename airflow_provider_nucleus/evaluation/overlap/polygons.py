"""Polygons in pixels, with the exact area of their intersection.

    area(A and B) = sum over edges e of A, f of B of  s_e * s_f * integral over their common x of min(y_e, y_f) dx

where s is the direction of the edge along x and y is counted from the lowest point of the pair. It follows from
writing the inside of a polygon as the sum of s_e * [y < y_e(x)] over its edges. No topology, so no degenerate cases:
touching and shared edges, identical polygons, holes (rings of reversed direction) and several rings all work. Only a
ring that crosses itself would weigh its area by how often it goes round: see `rings` for how those are found.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import ranges
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes, box_overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["EDGE_PAIRS_AT_ONCE", "NOISE", "Polygons", "polygon_overlap"]

EDGE_PAIRS_AT_ONCE = 1 << 17
"""Edge pairs per vectorised step: bounds the temporaries at some 20 MB."""

NOISE = 1e-12
"""Intersections below this share of the smaller polygon are rounding errors of polygons that only touch."""


@dataclass(frozen=True, eq=False)
class Polygons:
    """Polygons as edges: row k owns the edges from `starts[k]` to `starts[k + 1]`, outer rings counter-clockwise.

    An edge goes from (*x*, *y*) to (*to_x*, *to_y*); vertical edges, which add nothing to the integral, are left out.
    *bounds* is the box around each row, *is_box* marks rows that are exactly that box.
    Make them with `polygons_from_rings` or `from_boxes`.
    """

    x: FloatArray
    y: FloatArray
    to_x: FloatArray
    to_y: FloatArray
    starts: IndexArray
    bounds: Boxes
    is_box: BoolArray

    @classmethod
    def from_boxes(cls, boxes: Boxes) -> Self:
        """Write boxes as polygons of two edges each (the bottom one and the top one)."""
        right = boxes.x + boxes.width
        top = boxes.y + boxes.height
        return cls(
            x=np.stack([boxes.x, right], axis=1).ravel(),
            y=np.stack([boxes.y, top], axis=1).ravel(),
            to_x=np.stack([right, boxes.x], axis=1).ravel(),
            to_y=np.stack([boxes.y, top], axis=1).ravel(),
            starts=2 * np.arange(len(boxes) + 1, dtype=np.int64),
            bounds=boxes,
            is_box=np.ones(len(boxes), dtype=np.bool_),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Polygons]) -> Self:
        """Put the rows of several parts behind one another."""
        shift = np.cumsum([0, *(part.x.size for part in parts)])
        none = np.zeros(0)

        def join(name: str) -> FloatArray:
            return np.concatenate([none, *(getattr(part, name) for part in parts)])

        def join_bounds(name: str) -> FloatArray:
            return np.concatenate([none, *(getattr(part.bounds, name) for part in parts)])

        return cls(
            x=join("x"),
            y=join("y"),
            to_x=join("to_x"),
            to_y=join("to_y"),
            starts=np.concatenate([*(part.starts[:-1] + s for part, s in zip(parts, shift)), shift[-1:]]),
            bounds=Boxes(join_bounds("x"), join_bounds("y"), join_bounds("width"), join_bounds("height")),
            is_box=np.concatenate([np.zeros(0, dtype=np.bool_), *(part.is_box for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.bounds)

    @cached_property
    def counts(self) -> IndexArray:
        """Number of edges of each row."""
        return np.diff(self.starts)

    @cached_property
    def area(self) -> FloatArray:
        """Enclosed area of each row, in square pixels."""
        owner = np.repeat(np.arange(len(self)), self.counts)
        base = self.bounds.y[owner]
        strips = (self.x - self.to_x) * ((self.y - base) + (self.to_y - base)) / 2
        area = np.bincount(owner, weights=strips, minlength=len(self)).astype(np.float64)
        return np.where(self.is_box, self.bounds.area, np.maximum(area, 0.0))

    def take(self, rows: NDArray[np.integer] | slice) -> Self:
        """Return the chosen rows, in the order of *rows*."""
        chosen = np.arange(len(self))[rows]
        counts = self.counts[chosen]
        edges = ranges(self.starts[:-1][chosen], counts)
        return type(self)(
            x=self.x[edges],
            y=self.y[edges],
            to_x=self.to_x[edges],
            to_y=self.to_y[edges],
            starts=np.concatenate(([0], np.cumsum(counts))),
            bounds=self.bounds.take(chosen),
            is_box=self.is_box[chosen],
        )

    def problem(self) -> tuple[int, str] | None:
        """Return the first row with a coordinate that is not finite."""
        wrong = self.bounds.problem()
        return None if wrong is None else (wrong[0], "a polygon coordinate is not finite")


def polygon_overlap(
    first: Polygons,
    second: Polygons,
    *,
    rows: NDArray[np.integer],
    other_rows: NDArray[np.integer],
    over_second: BoolArray | None = None,
) -> FloatArray:
    """Exact intersection over union of `first[rows[k]]` and `second[other_rows[k]]`, for every k, at most 1.

    Where *over_second* is set the intersection is divided by the area of the second polygon alone.
    """
    result = box_overlap(
        first.bounds, second.bounds, rows=rows, other_rows=other_rows, over_second=over_second
    )
    exact = first.is_box[rows] & second.is_box[other_rows]
    near = np.flatnonzero((result > 0) & ~exact)
    result[~exact] = 0.0
    np.minimum(result, 1.0, out=result)
    if near.size == 0:
        return result
    left, right = rows[near], other_rows[near]
    area, other_area = first.area[left], second.area[right]
    common = _intersections(first, second, left, right)
    common = np.minimum(common, np.minimum(area, other_area))
    common[common <= NOISE * np.minimum(area, other_area)] = 0.0
    whole = area + other_area - common
    if over_second is not None:
        whole = np.where(over_second[near], other_area, whole)
    share = np.zeros(near.size)
    np.divide(common, whole, out=share, where=(common > 0) & (whole > 0))
    result[near] = np.minimum(share, 1.0)
    return result


def _intersections(
    first: Polygons, second: Polygons, rows: NDArray[np.integer], other_rows: NDArray[np.integer]
) -> FloatArray:
    """Area common to each pair, a bounded number of edge pairs at a time."""
    work = np.cumsum(first.counts[rows] * second.counts[other_rows])
    result = np.empty(rows.size)
    begin = 0
    while begin < rows.size:
        done = int(work[begin - 1]) if begin else 0
        end = max(int(np.searchsorted(work, done + EDGE_PAIRS_AT_ONCE, side="right")), begin + 1)
        result[begin:end] = _intersection(first, second, rows[begin:end], other_rows[begin:end])
        begin = end
    return result


def _intersection(
    first: Polygons, second: Polygons, rows: NDArray[np.integer], other_rows: NDArray[np.integer]
) -> FloatArray:
    # Counting from the pair's own lowest and leftmost point keeps the numbers small, and with them the rounding.
    one, two = first.bounds, second.bounds
    base_x = np.minimum(one.x[rows], two.x[other_rows])
    base_y = np.minimum(one.y[rows], two.y[other_rows])
    # Only where both polygons reach along x can they overlap.
    left = np.maximum(one.x[rows], two.x[other_rows]) - base_x
    right = np.minimum((one.x + one.width)[rows], (two.x + two.width)[other_rows]) - base_x
    edges = _lines(first, rows, base_x, base_y, left, right)
    other_edges = _lines(second, other_rows, base_x, base_y, left, right)
    # Each edge of the first joins all edges of the second of the same pair.
    fan = np.bincount(other_edges.pair, minlength=rows.size)
    first_of_pair = np.concatenate(([0], np.cumsum(fan)))[:-1]
    fan = fan[edges.pair]
    left_edge = np.repeat(np.arange(edges.pair.size), fan)
    right_edge = ranges(first_of_pair[edges.pair], fan)
    low = np.maximum(edges.low[left_edge], other_edges.low[right_edge])
    high = np.minimum(edges.high[left_edge], other_edges.high[right_edge])
    overlapping = np.flatnonzero(high > low)
    left_edge, right_edge, low, high = (
        left_edge[overlapping],
        right_edge[overlapping],
        low[overlapping],
        high[overlapping],
    )
    intercept, slope = edges.intercept[left_edge], edges.slope[left_edge]
    y_low, y_high = intercept + slope * low, intercept + slope * high
    intercept, slope = other_edges.intercept[right_edge], other_edges.slope[right_edge]
    z_low, z_high = intercept + slope * low, intercept + slope * high
    gap_low, gap_high = y_low - z_low, y_high - z_high
    # min(y, z) = (y + z - |y - z|) / 2, and the integral of |y - z| of two lines that cross is a pair of triangles.
    gap = np.abs(gap_low) + np.abs(gap_high)
    crossing = gap_low * gap_high < 0
    np.divide(gap_low * gap_low + gap_high * gap_high, gap, out=gap, where=crossing)
    strips = (high - low) * ((y_low + y_high) + (z_low + z_high) - gap)
    strips *= edges.direction[left_edge]
    strips *= other_edges.direction[right_edge]
    return np.bincount(edges.pair[left_edge], weights=strips, minlength=rows.size) / 4


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Edges of pairs as lines y = intercept + slope * x over [low, high], with their direction."""

    pair: IndexArray
    low: FloatArray
    high: FloatArray
    intercept: FloatArray
    slope: FloatArray
    direction: FloatArray


def _lines(
    side: Polygons,
    rows: NDArray[np.integer],
    base_x: FloatArray,
    base_y: FloatArray,
    left: FloatArray,
    right: FloatArray,
) -> _Lines:
    """Return the edges of one side of each pair that reach between *left* and *right*, all counted from the base."""
    counts = side.counts[rows]
    pair = np.repeat(np.arange(rows.size), counts)
    edge = ranges(side.starts[:-1][rows], counts)
    x, to_x = side.x[edge] - base_x[pair], side.to_x[edge] - base_x[pair]
    low, high = np.minimum(x, to_x), np.maximum(x, to_x)
    near = np.flatnonzero((high > left[pair]) & (low < right[pair]))
    pair, edge, x, to_x = pair[near], edge[near], x[near], to_x[near]
    y, to_y = side.y[edge] - base_y[pair], side.to_y[edge] - base_y[pair]
    slope = (to_y - y) / (to_x - x)
    return _Lines(
        pair=pair,
        low=low[near],
        high=high[near],
        intercept=y - slope * x,
        slope=slope,
        direction=np.where(to_x > x, 1.0, -1.0),
    )
