"""Cuboids that stand upright: centre, three sizes and a yaw. Metres and radians; z points up.

*length* extends along the direction of *yaw* (counter-clockwise from +x seen from above), *width* a quarter turn
further, *height* along z: `dimensions.x`, `.y` and `.z` of a Nucleus cuboid. Roll and pitch do not exist here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray

__all__ = ["COLUMNS", "Cuboids", "cuboid_overlap", "footprint_intersection"]

COLUMNS = ("x", "y", "z", "length", "width", "height", "yaw")


@dataclass(frozen=True, eq=False)
class Cuboids:
    """Cuboids as float64 columns. With *bird_eye* the overlap is that of their footprints, seen from above."""

    x: FloatArray
    y: FloatArray
    z: FloatArray
    length: FloatArray
    width: FloatArray
    height: FloatArray
    yaw: FloatArray
    bird_eye: bool = False

    @classmethod
    def from_rows(cls, rows: ArrayLike, *, bird_eye: bool = False) -> Self:
        """Split an (n, 7) array of x, y, z, length, width, height, yaw rows into columns."""
        array = np.asarray(rows, dtype=np.float64).reshape(-1, len(COLUMNS))
        x, y, z, length, width, height, yaw = (np.ascontiguousarray(column) for column in array.T)
        return cls(x, y, z, length, width, height, yaw, bird_eye)

    def __len__(self) -> int:
        return int(self.x.size)

    @cached_property
    def footprint(self) -> FloatArray:
        """Length times width, in square metres."""
        return self.length * self.width

    @cached_property
    def area(self) -> FloatArray:
        """Volume in cubic metres, or the footprint in square metres with *bird_eye*."""
        return self.footprint if self.bird_eye else self.footprint * self.height

    @cached_property
    def reach(self) -> FloatArray:
        """Half of the footprint's diagonal in metres: nothing farther from the centre belongs to it."""
        return np.asarray(np.hypot(self.length, self.width) / 2, dtype=np.float64)

    def take(self, rows: NDArray[np.integer] | slice) -> Self:
        """Return the chosen cuboids, in the order of *rows*."""
        x, y, z, length, width, height, yaw = (getattr(self, name)[rows] for name in COLUMNS)
        return type(self)(x, y, z, length, width, height, yaw, self.bird_eye)

    def problem(self) -> tuple[int, str] | None:
        """Return the first cuboid with a number that is not finite or a negative size."""
        wrong: BoolArray = np.zeros(len(self), dtype=np.bool_)
        for name in COLUMNS:
            wrong |= ~np.isfinite(getattr(self, name))
        wrong |= (self.length < 0) | (self.width < 0) | (self.height < 0)
        if not wrong.any():
            return None
        row = int(np.argmax(wrong))
        values = ", ".join(f"{name} {getattr(self, name)[row]:g}" for name in COLUMNS)
        return row, f"cuboid with {values} is not finite with sizes >= 0"


def cuboid_overlap(
    first: Cuboids,
    second: Cuboids,
    *,
    rows: NDArray[np.integer],
    other_rows: NDArray[np.integer],
    over_second: BoolArray | None = None,
) -> FloatArray:
    """Exact intersection over union of `first[rows[k]]` and `second[other_rows[k]]`, for every k, at most 1.

    Volumes, or footprints when both sides say *bird_eye*; one of each raises ValueError. Where *over_second* is set the
    intersection is divided by the second cuboid alone.
    """
    if first.bird_eye != second.bird_eye:
        raise ValueError("cuboids in three dimensions cannot be compared with footprints")
    result = np.zeros(rows.size)
    # Most pairs of a frame are far apart: a circle around each footprint sorts them out.
    apart = first.x[rows] - second.x[other_rows]
    apart *= apart
    aside = first.y[rows] - second.y[other_rows]
    aside *= aside
    apart += aside
    reach = first.reach[rows] + second.reach[other_rows]
    reach *= reach
    pairs = np.flatnonzero(apart < reach)
    left, right = rows[pairs], other_rows[pairs]
    common = footprint_intersection(first, second, rows=left, other_rows=right)
    if not first.bird_eye:
        half, other_half = first.height[left] / 2, second.height[right] / 2
        z, other_z = first.z[left], second.z[right]
        rise = np.minimum(z + half, other_z + other_half) - np.maximum(z - half, other_z - other_half)
        common *= np.maximum(rise, 0.0)
    whole = first.area[left] + second.area[right] - common
    if over_second is not None:
        whole = np.where(over_second[pairs], second.area[right], whole)
    share = np.zeros(pairs.size)
    np.divide(common, whole, out=share, where=(common > 0) & (whole > 0))
    result[pairs] = np.minimum(share, 1.0)
    return result


def footprint_intersection(
    first: Cuboids, second: Cuboids, *, rows: NDArray[np.integer], other_rows: NDArray[np.integer]
) -> FloatArray:
    """Area in square metres that the two footprints of each pair share.

    The second rectangle is drawn in the frame of the first; going round it, the height of each edge clamped to the
    first rectangle, integrated over its clamped x, adds up to the common area. Continuous in all its arguments.
    """
    half_x, half_y = first.length[rows] / 2, first.width[rows] / 2
    turn = first.yaw[rows]
    cosine, sine = np.cos(turn), np.sin(turn)
    dx, dy = second.x[other_rows] - first.x[rows], second.y[other_rows] - first.y[rows]
    centre_x, centre_y = cosine * dx + sine * dy, cosine * dy - sine * dx
    angle = second.yaw[other_rows] - turn
    along_x, along_y = np.cos(angle), np.sin(angle)
    length, width = second.length[other_rows] / 2, second.width[other_rows] / 2
    ahead_x, ahead_y = along_x * length, along_y * length
    aside_x, aside_y = -along_y * width, along_x * width
    corner_x = (
        centre_x - ahead_x - aside_x,
        centre_x + ahead_x - aside_x,
        centre_x + ahead_x + aside_x,
        centre_x - ahead_x + aside_x,
    )
    corner_y = (
        centre_y - ahead_y - aside_y,
        centre_y + ahead_y - aside_y,
        centre_y + ahead_y + aside_y,
        centre_y - ahead_y + aside_y,
    )
    total = np.zeros(rows.size)
    for at in range(4):
        after = (at + 1) % 4
        total -= _under_edge(
            corner_x[at], corner_y[at], corner_x[after], corner_y[after], half_x=half_x, half_y=half_y
        )
    smaller = np.minimum(first.footprint[rows], second.footprint[other_rows])
    total = np.clip(total, 0.0, smaller)
    # What is left of two rectangles that only touch is rounding.
    total[total <= 1e-12 * smaller] = 0.0
    return total


def _under_edge(
    x: FloatArray,
    y: FloatArray,
    to_x: FloatArray,
    to_y: FloatArray,
    *,
    half_x: FloatArray,
    half_y: FloatArray,
) -> FloatArray:
    """Integral of the edge's height, clamped to [-half_y, half_y], over its x within [-half_x, half_x]."""
    start, end = np.clip(x, -half_x, half_x), np.clip(to_x, -half_x, half_x)
    run = to_x - x
    slope = np.divide(to_y - y, run, out=np.zeros_like(run), where=run != 0)
    y_start, y_end = y + (start - x) * slope, y + (end - x) * slope
    low, high = np.minimum(y_start, y_end), np.maximum(y_start, y_end)
    span = high - low
    flat = span == 0
    safe = np.where(flat, 1.0, span)
    # Shares of the way below, within and above the clamp; a flat edge is all "within", its ends being clamped.
    below = np.where(flat, 0.0, np.clip((-half_y - low) / safe, 0.0, 1.0))
    under = np.where(flat, 1.0, np.clip((half_y - low) / safe, 0.0, 1.0))
    middle = (np.clip(low, -half_y, half_y) + np.clip(high, -half_y, half_y)) / 2
    mean = -half_y * below + middle * (under - below) + half_y * (1.0 - under)
    return np.asarray((end - start) * mean, dtype=np.float64)
