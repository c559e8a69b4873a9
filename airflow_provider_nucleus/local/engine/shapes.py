"""Stored geometry as the engine's shapes, a whole column at once."""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants and compiled conditions; values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.overlap.cuboids import COLUMNS as CUBOID_COLUMNS
from airflow_provider_nucleus.evaluation.overlap.cuboids import Cuboids
from airflow_provider_nucleus.evaluation.overlap.polygons import Polygons
from airflow_provider_nucleus.evaluation.overlap.rings import polygons_from_rings
from airflow_provider_nucleus.local.engine.keypoints import KEYPOINT_COLUMNS, keypoint_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_nucleus.evaluation.arrays import FloatArray
    from airflow_provider_nucleus.evaluation.sides.columns import Geometry

__all__ = ["GEOMETRY_COLUMNS", "SHAPES", "both_shapes", "floats", "integers", "rings_of"]

_POINT: Final = '{"x":"DOUBLE","y":"DOUBLE"}'
_POINT_3D: Final = '{"x":"DOUBLE","y":"DOUBLE","z":"DOUBLE"}'
_AREA: Final = (
    "type, x, y, w, h, CASE WHEN type = 'polygon' THEN from_json(geometry, '{\"vertices\":["
    + _POINT
    + "]}') END AS g"
)
_CUBOID: Final = (
    "g.position.x AS x, g.position.y AS y, g.position.z AS z, g.dimensions.x AS length, g.dimensions.y AS width, "
    "g.dimensions.z AS height, g.yaw AS yaw FROM (SELECT *, from_json(geometry, "
    f'\'{{"position":{_POINT_3D},"dimensions":{_POINT_3D},"yaw":"DOUBLE"}}\') AS g FROM objects)'
)

GEOMETRY_COLUMNS: Final[Mapping[str, str]] = {
    "area": f"{_AREA} FROM objects",
    "cuboid": _CUBOID,
    "keypoints": KEYPOINT_COLUMNS,
}
"""The geometry of each family as SQL: select list and source."""


def integers(table: pa.Table, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return a column of whole numbers that has no nulls."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.int64)


def floats(table: pa.Table, name: str) -> FloatArray:
    """Return a column of floats; null becomes NaN."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.float64)


def _boxes_and_polygons(table: pa.Table) -> Geometry:
    """Return boxes, or polygons if there is at least one polygon; one that crosses itself stands for what it encloses."""
    kinds = table.column("type").combine_chunks()
    drawn = np.asarray(pc.equal(kinds, "polygon").to_numpy(zero_copy_only=False), dtype=np.bool_)
    boxes = Boxes(*(floats(table, name) for name in ("x", "y", "w", "h")))
    if not drawn.any():
        return boxes
    rows = np.flatnonzero(drawn)
    polygons = polygons_from_rings(
        rings_of(table.column("g").take(pa.array(rows))), invalid="repair"
    ).polygons
    others = np.flatnonzero(~drawn)
    together = Polygons.concatenate([polygons, Polygons.from_boxes(boxes.take(others))])
    return together.take(np.argsort(np.concatenate([rows, others]), kind="stable"))


def rings_of(column: pa.ChunkedArray) -> list[FloatArray]:
    """Return the vertices of polygons, (n, 2) each, as they were drawn."""
    vertices = column.combine_chunks().field("vertices")
    points = vertices.flatten()
    table = np.stack([points.field("x").to_numpy(), points.field("y").to_numpy()], axis=1)
    ends = np.cumsum(vertices.value_lengths().to_numpy())
    return np.split(table, ends[:-1])


def _cuboids(table: pa.Table) -> Geometry:
    """Return cuboids: metres, yaw in radians, dimensions.x along the direction of yaw."""
    x, y, z, length, width, height, yaw = (floats(table, name) for name in CUBOID_COLUMNS)
    return Cuboids(x, y, z, length, width, height, yaw)


SHAPES: Final[Mapping[str, Callable[[pa.Table], Geometry]]] = {
    "area": _boxes_and_polygons,
    "cuboid": _cuboids,
}
"""How the rows of one side become shapes, for families whose rows need nothing of the other side."""


def both_shapes(family: str, truth: pa.Table, predictions: pa.Table) -> tuple[Geometry, Geometry]:
    """Return the shapes of both sides of a family; keypoints are brought to the names that either side has."""
    if family == "keypoints":
        return keypoint_shapes(truth, predictions)
    return SHAPES[family](truth), SHAPES[family](predictions)
