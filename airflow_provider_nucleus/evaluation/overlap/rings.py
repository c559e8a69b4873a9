"""From rings of vertices to polygons, and what happens to rings that cross themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.overlap.polygons import Polygons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["InvalidPolicy", "RingResult", "polygons_from_rings"]

InvalidPolicy = Literal["drop", "repair", "reject"]


@dataclass(frozen=True, slots=True, eq=False)
class RingResult:
    """The polygons, and which rows were *invalid* (crossing themselves) and therefore dropped or repaired.

    A dropped row keeps its place but has no area, so that it overlaps nothing; whether it is still counted is the
    caller's decision.
    """

    polygons: Polygons
    invalid: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class _Rings:
    """Rings behind one another: vertices (n, 2), vertices per ring, and the row each ring belongs to."""

    vertices: FloatArray
    sizes: IndexArray
    row: IndexArray
    rows: int

    def split(self) -> list[FloatArray]:
        """Return the vertices of each ring."""
        return np.split(self.vertices, np.cumsum(self.sizes)[:-1]) if self.sizes.size else []


def polygons_from_rings(rings: Sequence[ArrayLike], *, invalid: InvalidPolicy = "drop") -> RingResult:
    """Build one polygon per ring of (x, y) vertices, open or closed, in either direction.

    A ring of fewer than three vertices or without area is a legal row that overlaps nothing. What becomes of a ring
    that crosses itself is the *invalid* policy: "drop" (as the official client does), "repair" (shapely's
    make_valid) or "reject" (ValueError naming the row). Raises ValueError for a ring that is not a list of x, y.
    """
    flat = _flatten(rings)
    broken = _crossing(flat)
    if broken.any():
        if invalid == "reject":
            raise ValueError(
                f"row {int(np.argmax(broken))}: the polygon crosses itself; draw it without crossing"
            )
        parts = [
            [ring] if not wrong else _repaired(ring) if invalid == "repair" else []
            for ring, wrong in zip(flat.split(), broken.tolist())
        ]
        flat = _join(parts)
    return RingResult(polygons=_build(flat), invalid=broken)


def _flatten(rings: Sequence[ArrayLike]) -> _Rings:
    """Put one ring per row behind one another, each without its closing vertex."""
    arrays = [np.asarray(ring, dtype=np.float64) for ring in rings]
    for row, array in enumerate(arrays):
        if array.size == 0:
            arrays[row] = np.zeros((0, 2))
        elif array.ndim != 2 or array.shape[1] != 2:
            raise ValueError(
                f"row {row}: a ring is a list of x, y pairs, not an array of shape {array.shape}"
            )
    whole = _join([[array] for array in arrays])
    ends = np.cumsum(whole.sizes)
    closed = whole.sizes > 1
    last = ends[closed] - 1
    first = (ends - whole.sizes)[closed]
    closed[closed] = (whole.vertices[first] == whole.vertices[last]).all(axis=1)
    if not closed.any():
        return whole
    return _Rings(
        np.delete(whole.vertices, ends[closed] - 1, axis=0), whole.sizes - closed, whole.row, whole.rows
    )


def _join(parts: Sequence[Sequence[FloatArray]]) -> _Rings:
    rings = [ring for row in parts for ring in row]
    return _Rings(
        vertices=np.concatenate([np.zeros((0, 2)), *rings]),
        sizes=np.array([len(ring) for ring in rings], dtype=np.int64),
        row=np.repeat(np.arange(len(parts)), [len(row) for row in parts]),
        rows=len(parts),
    )


def _crossing(rings: _Rings) -> BoolArray:
    """Mark the rings, one a row, that cross or touch themselves; rings without area are not tested."""
    broken = np.zeros(rings.rows, dtype=np.bool_)
    ring = np.repeat(np.arange(rings.sizes.size), rings.sizes)
    testable = rings.sizes > 3
    testable[ring[~np.isfinite(rings.vertices).all(axis=1)]] = False
    rows = np.flatnonzero(testable)
    if rows.size == 0:
        return broken
    import shapely

    used = testable[ring]
    number = np.cumsum(testable) - 1
    shapes = shapely.polygons(shapely.linearrings(rings.vertices[used], indices=number[ring[used]]))
    shapes = np.atleast_1d(np.asarray(shapes))
    wrong = np.flatnonzero(~shapely.is_valid(shapes))
    # A ring that lies on one line is not valid either, but it has nothing to repair.
    wrong = wrong[shapely.area(shapely.convex_hull(shapes[wrong])) > 0]
    broken[rows[wrong]] = True
    return broken


def _repaired(ring: FloatArray) -> list[FloatArray]:
    """Split a self-crossing ring into the rings of the area it encloses: outer ones turned left, holes right."""
    import shapely

    whole: Any = shapely.make_valid(shapely.Polygon(ring))
    result: list[FloatArray] = []
    for part in shapely.get_parts(whole):
        if part.geom_type == "MultiPolygon":
            polygons = list(part.geoms)
        else:
            polygons = [part] if part.geom_type == "Polygon" else []
        for polygon in polygons:
            result.append(_turned(np.array(polygon.exterior.coords)[:-1, :2], left=True))
            result.extend(_turned(np.array(hole.coords)[:-1, :2], left=False) for hole in polygon.interiors)
    return result


def _turned(ring: FloatArray, *, left: bool) -> FloatArray:
    return ring if (_signed_area(ring) > 0) == left else ring[::-1]


def _signed_area(ring: FloatArray) -> float:
    moved = ring - ring[0]
    x, y = moved[:, 0], moved[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2


def _build(rings: _Rings) -> Polygons:
    """Lay out the rings of all rows as edges; single rings are turned counter-clockwise."""
    vertices, rows = rings.vertices, rings.rows
    ring_ends = np.cumsum(rings.sizes)
    following = np.arange(len(vertices), dtype=np.int64) + 1
    filled = rings.sizes > 0
    following[ring_ends[filled] - 1] = (ring_ends - rings.sizes)[filled]
    rings_per_row = np.bincount(rings.row, minlength=rows)
    row = np.repeat(rings.row, rings.sizes)
    x, y = np.ascontiguousarray(vertices[:, 0]), np.ascontiguousarray(vertices[:, 1])
    to_x, to_y = x[following], y[following]
    bounds = _bounds(x, y, row, rows)
    strips = (x - to_x) * ((y - bounds.y[row]) + (to_y - bounds.y[row])) / 2
    area = np.bincount(row, weights=strips, minlength=rows)
    turned = (area < 0)[row]
    # Turning an edge round changes the sign of its strip.
    x, to_x = np.where(turned, to_x, x), np.where(turned, x, to_x)
    y, to_y = np.where(turned, to_y, y), np.where(turned, y, to_y)
    used = np.flatnonzero((x != to_x) & (area != 0)[row])
    corners = np.bincount(row, minlength=rows)
    straight = np.bincount(row, weights=(x == to_x) | (y == to_y), minlength=rows)
    is_box = (
        (rings_per_row == 1) & (corners == 4) & (straight == 4) & (np.abs(area) == bounds.area) & (area != 0)
    )
    return Polygons(
        x=x[used],
        y=y[used],
        to_x=to_x[used],
        to_y=to_y[used],
        starts=np.concatenate(([0], np.cumsum(np.bincount(row[used], minlength=rows)))),
        bounds=bounds,
        is_box=is_box,
    )


def _bounds(x: FloatArray, y: FloatArray, row: IndexArray, rows: int) -> Boxes:
    """Boxes around the vertices of each row; zero for a row without any."""
    counts = np.bincount(row, minlength=rows)
    some = np.flatnonzero(counts)
    table = np.zeros((4, rows))
    if some.size:
        first = np.concatenate(([0], np.cumsum(counts[some])))[:-1]
        left, low = np.minimum.reduceat(x, first), np.minimum.reduceat(y, first)
        table[:, some] = (
            left,
            low,
            np.maximum.reduceat(x, first) - left,
            np.maximum.reduceat(y, first) - low,
        )
    return Boxes(*(np.ascontiguousarray(column) for column in table))
