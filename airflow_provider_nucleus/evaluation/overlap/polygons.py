"""Polygons in pixels, with the exact area of their intersection.

    area(A and B) = sum over edges e of A, f of B of  s_e * s_f * integral over their common x of min(y_e, y_f) dx

where s is the direction of the edge along x and y is counted from the lowest point of the pair. It follows from
writing the inside of a polygon as the sum of s_e * [y < y_e(x)] over its edges. No topology, so no degenerate cases:
touching and shared edges, identical polygons, holes (rings of reversed direction) and several rings all work. Only a
ring that crosses itself would weigh its area by how often it goes round: see :mod:`.rings` for how those are found.
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

EDGE_PAIRS_AT_ONCE = 1 << 15
"""Edge pairs per vectorised step: some twenty temporaries of this length fit the processor's cache."""

NOISE = 1e-12
"""Intersections below this share of the smaller polygon are rounding errors of polygons that only touch."""


@dataclass(frozen=True, eq=False)
class Polygons:
    """Polygons as edges: row k owns the edges from `starts[k]` to `starts[k + 1]`, outer rings counter-clockwise.

    An edge goes from (*x*, *y*) to (*to_x*, *to_y*); vertical edges, which add nothing to the integral, are left out.
    *bounds* is the box around each row, *is_box* marks rows that are exactly that box.
    Make them with :func:`~.rings.polygons_from_rings` or :meth:`from_boxes`.
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

    @property
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
        """Return the chosen rows, in the order asked for."""
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
    base_x = np.minimum(first.bounds.x[rows], second.bounds.x[other_rows])
    base_y = np.minimum(first.bounds.y[rows], second.bounds.y[other_rows])
    counts, other_counts = first.counts[rows], second.counts[other_rows]
    ours = _edges(first, rows, counts, base_x, base_y)
    theirs = _edges(second, other_rows, other_counts, base_x, base_y)
    # Edge pair m of pair k joins our edge m // n with their edge m % n.
    own_pair = np.repeat(np.arange(rows.size), counts)
    fan = other_counts[own_pair]
    left = np.repeat(np.arange(own_pair.size), fan)
    first_of_pair = np.concatenate(([0], np.cumsum(other_counts)))[:-1]
    right = ranges(first_of_pair[own_pair], fan)
    low = np.maximum(ours.low[left], theirs.low[right])
    high = np.minimum(ours.high[left], theirs.high[right])
    meet = np.flatnonzero(high > low)
    left, right, low, high = left[meet], right[meet], low[meet], high[meet]
    y_low, y_high = ours.at(left, low), ours.at(left, high)
    z_low, z_high = theirs.at(right, low), theirs.at(right, high)
    gap_low, gap_high = y_low - z_low, y_high - z_high
    # min(y, z) = (y + z - |y - z|) / 2, and the integral of |y - z| of two lines that cross is a pair of triangles.
    magnitude = np.abs(gap_low) + np.abs(gap_high)
    crossing = gap_low * gap_high < 0
    np.divide(gap_low * gap_low + gap_high * gap_high, magnitude, out=magnitude, where=crossing)
    strips = (high - low) * ((y_low + y_high) + (z_low + z_high) - magnitude) / 4
    strips *= ours.direction[left] * theirs.direction[right]
    return np.bincount(own_pair[left], weights=strips, minlength=rows.size).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Edges as lines over the interval [low, high] of x, with the direction they are walked in."""

    low: FloatArray
    high: FloatArray
    y: FloatArray
    slope: FloatArray
    direction: FloatArray

    def at(self, edges: IndexArray, x: FloatArray) -> FloatArray:
        """Height of each edge at x."""
        return np.asarray(self.y[edges] + (x - self.low[edges]) * self.slope[edges], dtype=np.float64)


def _edges(
    side: Polygons, rows: NDArray[np.integer], counts: IndexArray, base_x: FloatArray, base_y: FloatArray
) -> _Lines:
    edge = ranges(side.starts[:-1][rows], counts)
    base_x, base_y = np.repeat(base_x, counts), np.repeat(base_y, counts)
    x, to_x = side.x[edge] - base_x, side.to_x[edge] - base_x
    y, to_y = side.y[edge] - base_y, side.to_y[edge] - base_y
    forward = to_x > x
    low, high = np.where(forward, x, to_x), np.where(forward, to_x, x)
    y_low, y_high = np.where(forward, y, to_y), np.where(forward, to_y, y)
    return _Lines(
        low=low,
        high=high,
        y=y_low,
        slope=(y_high - y_low) / (high - low),
        direction=np.where(forward, 1.0, -1.0),
    )
