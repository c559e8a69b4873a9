"""Connected regions of a mask, in plain NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mask", "Region", "closed", "opened", "regions"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Region:
    """One connected region: its box in whole pixels (right and bottom exclusive), its area and its own mask."""

    left: int
    top: int
    right: int
    bottom: int
    area: int
    mask: Mask
    """True where the region is, over the box only."""


def regions(mask: Mask, *, least_area: int = 1) -> list[Region]:
    """Return the 8-connected regions of at least *least_area* pixels, from top to bottom.

    Horizontal runs are found with one difference; runs of neighbouring rows that touch are joined.
    """
    height, width = mask.shape
    edges = np.flatnonzero(np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1))
    starts, ends = edges[0::2], edges[1::2]  # the padded rows have width + 1 differences each
    rows = starts // (width + 1)
    left, right = starts % (width + 1), ends % (width + 1)
    if not rows.size:
        return []
    parent = _join(rows, left, right, height)
    found = []
    for root in np.unique(parent):
        own = np.flatnonzero(parent == root)
        area = int((right[own] - left[own]).sum())
        if area >= least_area:
            found.append(_region(rows[own], left[own], right[own], area))
    return found


def closed(mask: Mask, size: int) -> Mask:
    """Return the mask with gaps narrower than *size* (odd) pixels filled."""
    return ~_grown(~_grown(mask, size), size)


def opened(mask: Mask, size: int) -> Mask:
    """Return the mask without parts narrower than *size* (odd) pixels."""
    return _grown(~_grown(~mask, size), size)


def _grown(mask: Mask, size: int) -> Mask:
    """Return the mask widened by *size* // 2 pixels to all sides; beyond its border it goes on as at the border."""
    for axis in (0, 1):
        half, length = size // 2, mask.shape[axis]
        margin = [(half, half) if side == axis else (0, 0) for side in (0, 1)]
        wide = np.pad(mask, margin, mode="edge")
        mask = np.zeros_like(mask)
        for shift in range(size):
            mask |= wide[shift : shift + length] if axis == 0 else wide[:, shift : shift + length]
    return mask


def _join(
    rows: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64], height: int
) -> NDArray[np.int64]:
    """Return, for each run, the number of the first run of its region (union-find over touching runs)."""
    parent = list(range(rows.size))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first = np.searchsorted(rows, np.arange(height + 1)).tolist()
    lefts, rights = left.tolist(), right.tolist()
    for row in range(1, height):
        above, below = first[row - 1], first[row]
        while above < first[row] and below < first[row + 1]:
            # Ends are exclusive, so "<=" lets runs touch at a corner.
            if lefts[above] <= rights[below] and lefts[below] <= rights[above]:
                a, b = root(above), root(below)
                parent[max(a, b)] = min(a, b)
            if rights[above] < rights[below]:
                above += 1
            else:
                below += 1
    return np.array([root(run) for run in range(rows.size)])


def _region(rows: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64], area: int) -> Region:
    x0, y0, x1, y1 = int(left.min()), int(rows.min()), int(right.max()), int(rows.max()) + 1
    mask = np.zeros((y1 - y0, x1 - x0), dtype=bool)
    for row, start, end in zip(rows - y0, left - x0, right - x0, strict=True):
        mask[row, start:end] = True
    return Region(x0, y0, x1, y1, area, mask)
