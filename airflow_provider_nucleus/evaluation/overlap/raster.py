"""Polygons to pixel masks exactly as COCO does it, for all polygons at once.

The outline is drawn on a grid five times finer, point by point, and every step to another pixel column
whose centre it crosses toggles the pixels below. Differs from exact geometry (`polygons`) on small objects:
never mix the two in one number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import group_sizes, group_starts, ranges
from airflow_provider_nucleus.evaluation.overlap.rle import Runs

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray

__all__ = ["LONGEST_OUTLINE", "POINTS_AT_ONCE", "SCALE", "LongOutlineError", "rasterize"]

SCALE = 5.0
POINTS_AT_ONCE = 1 << 21

LONGEST_OUTLINE = 1 << 20
"""Pixels that the outline of one ring may have on its way through the image and nearby: what is drawn at once has to fit into memory."""

_NEAR = float(1 << 16)
"""Pixels around an image within which outlines are drawn point by point; what reaches further is cut there first."""


class LongOutlineError(ValueError):
    """A ring of a mask, by its position, has an outline that is too long to be drawn."""

    def __init__(self, mask: int, length: float) -> None:
        super().__init__(
            f"a ring has an outline of {length:.3g} pixels, and {LONGEST_OUTLINE} can be drawn: are its coordinates pixels?"
        )
        self.mask = mask
        self.length = length


def rasterize(
    xy: FloatArray, ring_starts: IndexArray, *, owner: IndexArray, height: IndexArray, width: IndexArray
) -> Runs:
    """Draw rings and unite those of one owner into a mask.

    *xy* holds the vertices of all rings, ring k owning rows `ring_starts[k]` to `ring_starts[k + 1]`; *owner* is the
    mask each ring belongs to (ascending), *height* and *width* are per mask. A mask without rings is empty. Raises LongOutlineError.
    """
    rings = ring_starts.size - 1
    xy, ring_starts = _cut_far_rings(xy, ring_starts, owner=owner, height=height, width=width)
    fine = np.trunc(SCALE * xy + 0.5).astype(np.int64)
    steps = _steps(fine, ring_starts)
    total = np.concatenate(([0], np.cumsum(steps)))
    outlines = np.diff(total[ring_starts])
    if (outlines > SCALE * LONGEST_OUTLINE).any():
        longest = int(np.argmax(outlines))
        raise LongOutlineError(int(owner[longest]), float(outlines[longest] / SCALE))
    at: list[IndexArray] = []
    whose: list[IndexArray] = []
    begin = 0
    while begin < rings:
        # Whole rings, so many that the points of the fine outlines stay in bounds.
        limit = total[ring_starts[begin]] + POINTS_AT_ONCE
        end = max(int(np.searchsorted(total[ring_starts], limit, side="right")) - 1, begin + 1)
        ring, position = _toggles(
            fine, ring_starts[begin : end + 1], owner[begin:end], height=height, width=width
        )
        at.append(position)
        whose.append(ring + begin)
        begin = end
    none = np.zeros(0, dtype=np.int64)
    return _unite(
        np.concatenate([none, *whose]), np.concatenate([none, *at]), owner=owner, height=height, width=width
    )


def _cut_far_rings(
    xy: FloatArray, ring_starts: IndexArray, *, owner: IndexArray, height: IndexArray, width: IndexArray
) -> tuple[FloatArray, IndexArray]:
    """Cut rings that reach far out of their image at its surroundings, half-plane by half-plane, which keeps what is inside."""
    if not xy.size or (np.abs(xy) <= _NEAR).all():
        return xy, ring_starts
    rings = [xy[begin:end] for begin, end in zip(ring_starts[:-1].tolist(), ring_starts[1:].tolist())]
    for number, ring in enumerate(rings):
        sides = (float(width[owner[number]]), float(height[owner[number]]))
        for axis, side in enumerate(sides):
            if ring.size and ring[:, axis].min() < -_NEAR:
                ring = _cut(ring, axis, -1.0, sign=1.0)
            if ring.size and ring[:, axis].max() > side + _NEAR:
                ring = _cut(ring, axis, side + 1.0, sign=-1.0)
        # What lies outside altogether encloses nothing: a point.
        rings[number] = ring if ring.size else np.full((1, 2), -1.0)
    starts = np.concatenate(([0], np.cumsum([len(ring) for ring in rings]))).astype(np.int64)
    return np.concatenate(rings), starts


def _cut(ring: FloatArray, axis: int, bound: float, *, sign: float) -> FloatArray:
    """Return the part of a ring on the side of a line where `sign * coordinate >= sign * bound`."""
    away = sign * (ring[:, axis] - bound)
    kept: list[FloatArray] = []
    for at in range(len(ring)):
        if (away[at - 1] >= 0) != (away[at] >= 0):
            share = away[at - 1] / (away[at - 1] - away[at])
            crossing = ring[at - 1] + share * (ring[at] - ring[at - 1])
            crossing[axis] = bound
            kept.append(crossing)
        if away[at] >= 0:
            kept.append(ring[at])
    return np.array(kept).reshape(-1, 2)


def _steps(fine: IndexArray, ring_starts: IndexArray) -> IndexArray:
    """Count the fine points that the edge beginning at each vertex contributes."""
    following = np.arange(fine.shape[0], dtype=np.int64) + 1
    following[ring_starts[1:] - 1] = ring_starts[:-1]
    return np.asarray(np.abs(fine - fine[following]).max(axis=1, initial=0) + 1, dtype=np.int64)


def _toggles(
    fine: IndexArray, ring_starts: IndexArray, owner: IndexArray, *, height: IndexArray, width: IndexArray
) -> tuple[IndexArray, IndexArray]:
    """Return (ring, pixel) for every column crossing: from that pixel on, inside and outside change places."""
    first, last = int(ring_starts[0]), int(ring_starts[-1])
    vertex = fine[first:last]
    starts = ring_starts - first
    sizes = np.diff(starts)
    following = np.arange(vertex.shape[0], dtype=np.int64) + 1
    following[starts[1:] - 1] = starts[:-1]
    (xs, ys), (xe, ye) = vertex.T, vertex[following].T
    dx, dy = np.abs(xe - xs), np.abs(ye - ys)
    flat = dx >= dy
    flip = np.where(flat, xs > xe, ys > ye)
    xs, xe = np.where(flip, xe, xs), np.where(flip, xs, xe)
    ys, ye = np.where(flip, ye, ys), np.where(flip, ys, ye)
    length = np.where(flat, dx, dy)
    slope = np.where(flat, ye - ys, xe - xs) / np.maximum(length, 1)
    edge = np.repeat(np.arange(length.size), length + 1)
    step = ranges(np.zeros(length.size, dtype=np.int64), length + 1)
    along = np.where(flip[edge], length[edge] - step, step)
    across = np.where(flat, ys, xs)[edge] + slope[edge] * along + 0.5
    main = along + np.where(flat, xs, ys)[edge]
    side = np.trunc(across).astype(np.int64)
    level = flat[edge]
    u, v = np.where(level, main, side), np.where(level, side, main)
    ring = np.repeat(np.arange(sizes.size), sizes)[edge]

    moved = np.flatnonzero((u[1:] != u[:-1]) & (ring[1:] == ring[:-1])) + 1
    before, after = u[moved - 1], u[moved]
    column = (np.where(after < before, after, after - 1) + 0.5) / SCALE - 0.5
    mask = owner[ring[moved]]
    centre = (np.floor(column) == column) & (column >= 0) & (column <= width[mask] - 1)
    moved, column, mask = moved[centre], column[centre], mask[centre]
    row = (np.minimum(v[moved], v[moved - 1]) + 0.5) / SCALE - 0.5
    row = np.ceil(np.clip(row, 0, height[mask]))
    return ring[moved], column.astype(np.int64) * height[mask] + row.astype(np.int64)


def _unite(
    ring: IndexArray, position: IndexArray, *, owner: IndexArray, height: IndexArray, width: IndexArray
) -> Runs:
    """Turn toggles into runs: even-odd within a ring, union over the rings of a mask."""
    masks = height.size
    size = height * width
    order = np.lexsort((position, ring))
    ring, position = ring[order], position[order]
    # A pixel toggled twice is not toggled; the end of the image toggles nothing.
    both = np.concatenate(([True], (ring[1:] != ring[:-1]) | (position[1:] != position[:-1])))[: ring.size]
    first = np.flatnonzero(both)
    times = group_sizes(first, ring.size)
    kept = first[(times % 2 == 1) & (position[first] < size[owner[ring[first]]])]
    ring, position = ring[kept], position[kept]
    starts = group_starts(ring)
    sizes = group_sizes(starts, ring.size)
    nth = np.arange(ring.size) - np.repeat(starts, sizes)
    change = np.where(nth % 2 == 0, 1, -1)
    mask = owner[ring]
    # A ring still open at the end of the image needs no closing: the last run goes to the end anyway.
    order = np.lexsort((position, mask))
    mask, position, change = mask[order], position[order], change[order]
    ends = np.flatnonzero(np.concatenate((mask[1:] != mask[:-1], [True]))[: mask.size])
    depth = np.cumsum(change)
    opening = np.concatenate(([0], depth[ends][:-1])) if ends.size else ends
    depth = depth - np.repeat(opening, np.diff(np.concatenate(([-1], ends))))
    # Only the depth after the last change at a pixel counts.
    final = np.flatnonzero(
        np.concatenate(((mask[1:] != mask[:-1]) | (position[1:] != position[:-1]), [True]))[: mask.size]
    )
    mask, position, inside = mask[final], position[final], depth[final] > 0
    previous = np.concatenate(([False], inside[:-1]))[: inside.size]
    previous[group_starts(mask)] = False
    flips = np.flatnonzero(inside != previous)
    mask, position = mask[flips], position[flips]
    return _runs(mask, position, masks=masks, height=height, width=width)


def _runs(
    mask: IndexArray, position: IndexArray, *, masks: int, height: IndexArray, width: IndexArray
) -> Runs:
    """Turn the positions at which masks change into run lengths, background first."""
    counts = np.bincount(mask, minlength=masks)
    starts = np.concatenate(([0], np.cumsum(counts + 1)))
    bounds = np.empty(int(starts[-1]), dtype=np.int64)
    bounds[ranges(starts[:-1], counts)] = position
    bounds[starts[1:] - 1] = height * width
    lengths = np.diff(bounds, prepend=0)
    lengths[starts[:-1]] = bounds[starts[:-1]]
    return Runs(lengths=lengths, starts=starts, height=height.astype(np.int64), width=width.astype(np.int64))
