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

InvalidPolicy = Literal["drop", "repair", "reject"]


@dataclass(frozen=True, slots=True, eq=False)
class RingResult:
    """The polygons, and which rows were *invalid* (crossing themselves) and therefore dropped or repaired.

    A dropped row keeps its place but has no area, so that it overlaps nothing; whether it is still counted is the
    caller's decision.
    """

    polygons: Polygons
    invalid: BoolArray


def polygons_from_rings(rings: Sequence[ArrayLike], *, invalid: InvalidPolicy = "drop") -> RingResult:
    """Build one polygon per ring of (x, y) vertices, open or closed, in either direction.

    A ring of fewer than three vertices or without area is a legal row that overlaps nothing. What becomes of a ring
    that crosses itself is the *invalid* policy: "drop" (as the official client does), "repair" (shapely's
    make_valid) or "reject" (ValueError naming the row). Raises ValueError for a ring that is not a list of x, y.
    """
    arrays = [_vertices(ring, row) for row, ring in enumerate(rings)]
    broken = _crossing(arrays)
    if invalid == "reject" and broken.any():
        raise ValueError(
            f"row {int(np.argmax(broken))}: the polygon crosses itself; draw it without crossing"
        )
    parts: list[list[FloatArray]] = [[array] for array in arrays]
    for row in np.flatnonzero(broken).tolist():
        parts[row] = _repaired(arrays[row]) if invalid == "repair" else []
    return RingResult(polygons=_build(parts), invalid=broken)


def _vertices(ring: ArrayLike, row: int) -> FloatArray:
    array = np.asarray(ring, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, 2))
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"row {row}: a ring is a list of x, y pairs, not an array of shape {array.shape}")
    closed = len(array) > 1 and bool((array[0] == array[-1]).all())
    return array[:-1] if closed else array


def _crossing(arrays: Sequence[FloatArray]) -> BoolArray:
    """Mark the rings that cross or touch themselves; rings without area are not asked."""
    broken = np.zeros(len(arrays), dtype=np.bool_)
    rows = [row for row, array in enumerate(arrays) if len(array) > 3 and np.isfinite(array).all()]
    if not rows:
        return broken
    import shapely

    sizes = np.array([len(arrays[row]) for row in rows])
    rings = shapely.linearrings(
        np.concatenate([arrays[row] for row in rows]), indices=np.repeat(range(len(rows)), sizes)
    )
    shapes = np.atleast_1d(np.asarray(shapely.polygons(rings)))
    wrong = np.flatnonzero(~shapely.is_valid(shapes))
    # A ring that lies on one line is not valid either, but it has nothing to repair.
    wrong = wrong[shapely.area(shapely.convex_hull(shapes[wrong])) > 0]
    broken[np.array(rows)[wrong]] = True
    return broken


def _repaired(ring: FloatArray) -> list[FloatArray]:
    """Split a self-crossing ring into the rings of the area it encloses: outer ones turned left, holes right."""
    import shapely

    whole: Any = shapely.make_valid(shapely.Polygon(ring))
    result: list[FloatArray] = []
    for part in shapely.get_parts(whole):
        if part.geom_type == "MultiPolygon":
            pieces = list(part.geoms)
        else:
            pieces = [part] if part.geom_type == "Polygon" else []
        for piece in pieces:
            result.append(_turned(np.array(piece.exterior.coords)[:-1, :2], left=True))
            result.extend(_turned(np.array(hole.coords)[:-1, :2], left=False) for hole in piece.interiors)
    return result


def _turned(ring: FloatArray, *, left: bool) -> FloatArray:
    return ring if (_signed_area(ring) > 0) == left else ring[::-1]


def _signed_area(ring: FloatArray) -> float:
    moved = ring - ring[0]
    x, y = moved[:, 0], moved[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2


def _build(parts: Sequence[Sequence[FloatArray]]) -> Polygons:
    """Lay out the rings of all rows as edges; single rings are turned counter-clockwise."""
    rings = [ring for row in parts for ring in row]
    sizes = np.array([len(ring) for ring in rings], dtype=np.int64)
    vertices = np.concatenate([np.zeros((0, 2)), *rings])
    ring_starts = np.concatenate(([0], np.cumsum(sizes)))
    following = np.arange(len(vertices), dtype=np.int64) + 1
    filled = sizes > 0
    following[ring_starts[1:][filled] - 1] = ring_starts[:-1][filled]
    rings_per_row = np.array([len(row) for row in parts], dtype=np.int64)
    row_of_ring = np.repeat(np.arange(len(parts)), rings_per_row)
    row = np.repeat(row_of_ring, sizes)
    x, y = vertices[:, 0], vertices[:, 1]
    to_x, to_y = x[following], y[following]
    bounds = _bounds(x, y, row, len(parts))
    strips = (x - to_x) * ((y - bounds.y[row]) + (to_y - bounds.y[row])) / 2
    area = np.bincount(row, weights=strips, minlength=len(parts))
    turned = (area < 0)[row]
    # Walking an edge the other way round changes the sign of its strip.
    x, to_x = np.where(turned, to_x, x), np.where(turned, x, to_x)
    y, to_y = np.where(turned, to_y, y), np.where(turned, y, to_y)
    used = np.flatnonzero((x != to_x) & (area != 0)[row])
    corners = np.bincount(row, minlength=len(parts))
    straight = np.bincount(row, weights=(x == to_x) | (y == to_y), minlength=len(parts))
    is_box = (
        (rings_per_row == 1) & (corners == 4) & (straight == 4) & (np.abs(area) == bounds.area) & (area != 0)
    )
    return Polygons(
        x=x[used],
        y=y[used],
        to_x=to_x[used],
        to_y=to_y[used],
        starts=np.concatenate(([0], np.cumsum(np.bincount(row[used], minlength=len(parts))))),
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
