"""Stored geometry as the engine's shapes, a whole column at once."""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants and compiled conditions; values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.overlap.cuboids import COLUMNS, Cuboids
from airflow_provider_nucleus.evaluation.overlap.polygons import Polygons
from airflow_provider_nucleus.evaluation.overlap.rings import polygons_from_rings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.sides.columns import Geometry

__all__ = [
    "AREA_COLUMNS", "CUBOID_COLUMNS", "OUTLINES", "Outline", "area_shapes", "cuboid_shapes", "floats", "integers",
    "outlines_of",
]  # fmt: skip

_POINT: Final = '{"x":"DOUBLE","y":"DOUBLE"}'
_POINT_3D: Final = '{"x":"DOUBLE","y":"DOUBLE","z":"DOUBLE"}'


@dataclass(frozen=True, slots=True)
class Outline:
    """The reader of a type with an outline: the structure of its stored JSON, and the vertices of a column of such, (n, 2) each."""

    structure: str
    vertices: Callable[[pa.ChunkedArray], list[FloatArray]]


def _polygon_vertices(column: pa.ChunkedArray) -> list[FloatArray]:
    """Return the vertices of polygons as they were drawn."""
    vertices = column.combine_chunks().field("vertices")
    points = vertices.flatten()
    table = np.stack([points.field("x").to_numpy(), points.field("y").to_numpy()], axis=1)
    ends = np.cumsum(vertices.value_lengths().to_numpy())
    return np.split(table, ends[:-1])


OUTLINES: Final[Mapping[str, Outline]] = {
    "polygon": Outline(f'{{"vertices":[{_POINT}]}}', _polygon_vertices),
}
"""The types of the family `area` that are not stored as x, y, width and height."""

AREA_COLUMNS: Final = (
    "type, x, y, w, h"
    + "".join(
        f", CASE WHEN type = '{name}' THEN from_json(geometry, '{outline.structure}') END AS {name}_json"
        for name, outline in OUTLINES.items()
    )
    + " FROM objects"
)
"""Select list and source of boxes and outlines."""

CUBOID_COLUMNS: Final = (
    "g.position.x AS x, g.position.y AS y, g.position.z AS z, g.dimensions.x AS length, g.dimensions.y AS width, "
    "g.dimensions.z AS height, g.yaw AS yaw FROM (SELECT *, from_json(geometry, "
    f'\'{{"position":{_POINT_3D},"dimensions":{_POINT_3D},"yaw":"DOUBLE"}}\') AS g FROM objects)'
)
"""Select list and source of cuboids."""


def integers(table: pa.Table, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return a column of whole numbers that has no nulls."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.int64)


def floats(table: pa.Table, name: str) -> FloatArray:
    """Return a column of floats; null becomes NaN."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.float64)


def area_shapes(table: pa.Table) -> Geometry:
    """Return boxes, or polygons if there is at least one outline; one that crosses itself stands for what it encloses."""
    boxes = Boxes(*(floats(table, name) for name in ("x", "y", "w", "h")))
    drawn = _drawn(table)
    if not drawn:
        return boxes
    rows = np.concatenate([places for places, _ in drawn])
    others = np.setdiff1d(np.arange(len(table)), rows)
    together = Polygons.concatenate([
        *(polygons_from_rings(rings, invalid="repair").polygons for _, rings in drawn),
        Polygons.from_boxes(boxes.take(others)),
    ])
    return together.take(np.argsort(np.concatenate([rows, others]), kind="stable"))


def outlines_of(table: pa.Table) -> list[FloatArray]:
    """Return the vertices of every row, as they were drawn; a box becomes its corners in COCO's order."""
    x, y, w, h = (floats(table, name) for name in ("x", "y", "w", "h"))
    corners = np.stack([x, y, x, y + h, x + w, y + h, x + w, y], axis=1).reshape(-1, 4, 2)
    rows = list(corners)
    for places, rings in _drawn(table):
        for row, ring in zip(places.tolist(), rings, strict=True):
            rows[row] = ring
    return rows


def _drawn(table: pa.Table) -> list[tuple[IndexArray, list[FloatArray]]]:
    """Return the rows of each type with an outline, and their vertices; types without rows are left out."""
    kinds = table.column("type").combine_chunks()
    found = []
    for name, outline in OUTLINES.items():
        rows = np.flatnonzero(pc.equal(kinds, name).to_numpy(zero_copy_only=False))
        if rows.size:
            found.append((rows, outline.vertices(table.column(f"{name}_json").take(pa.array(rows)))))
    return found


def cuboid_shapes(table: pa.Table) -> Geometry:
    """Return cuboids: metres, yaw in radians, dimensions.x along the direction of yaw."""
    x, y, z, length, width, height, yaw = (floats(table, name) for name in COLUMNS)
    return Cuboids(x, y, z, length, width, height, yaw)
