"""Rules of geometries that are not boxes: lines, polygons, keypoints, cuboids.

Boxes, the bulk of all uploads, are checked by SQL in `ingest/object_rows.py`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["COORDINATE_LIMIT", "geometry_problem", "is_number"]

COORDINATE_LIMIT: Final = 2.0**53
"""Largest magnitude of a coordinate or size, as clients check it (`schema.checks`): areas stay finite and exact enough."""

_LARGEST: Final = sys.float_info.max


_TOO_LARGE: Final = f"is too large for a coordinate: at most {COORDINATE_LIMIT:.0f} either way"


def geometry_problem(kind: str, geometry: Any) -> str | None:
    """Return what is wrong with the geometry of an object of this type, or None if nothing is."""
    if not isinstance(geometry, dict):
        return "geometry must be an object"
    return _CHECKS[kind](geometry)


def is_number(value: Any) -> bool:
    """Say whether a JSON value is a finite number; true and false are none."""
    # Compared, not converted: an integer may be too large for a float. NaN compares as false.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _too_large(*values: Any) -> bool:
    return any(is_number(value) and abs(value) > COORDINATE_LIMIT for value in values)


def _vertices(geometry: Mapping[str, Any], *, least: int) -> str | None:
    vertices = geometry.get("vertices")
    if not isinstance(vertices, list):
        return "geometry.vertices must be a list"
    if len(vertices) < least:
        return f"geometry.vertices needs at least {least} points, got {len(vertices)}"
    for index, vertex in enumerate(vertices):
        if not isinstance(vertex, dict) or not is_number(vertex.get("x")) or not is_number(vertex.get("y")):
            return f"geometry.vertices[{index}] must have finite numbers x and y"
        if _too_large(vertex["x"], vertex["y"]):
            return f"geometry.vertices[{index}] {_TOO_LARGE}"
    return None


def _line(geometry: Mapping[str, Any]) -> str | None:
    return _vertices(geometry, least=2)


def _polygon(geometry: Mapping[str, Any]) -> str | None:
    return _vertices(geometry, least=3)


def _keypoints(geometry: Mapping[str, Any]) -> str | None:
    points, names, skeleton = (geometry.get(field) for field in ("keypoints", "names", "skeleton"))
    if (
        not isinstance(points, list)
        or not isinstance(names, list)
        or not all(isinstance(name, str) for name in names)
    ):
        return "geometry.keypoints and geometry.names must be lists"
    if not points:
        return "geometry.keypoints must not be empty"
    if any(not name or name.isspace() for name in names):
        return "geometry.names must not hold an empty name"
    if len(names) != len(points) or len(set(names)) != len(names):
        return "geometry.names must hold one unique name per keypoint"
    for index, point in enumerate(points):
        if not isinstance(point, dict) or not isinstance(point.get("visible", True), bool):
            return f"geometry.keypoints[{index}] must be an object whose visible is true or false"
        hidden = not point.get("visible", True)
        for axis in ("x", "y"):
            value = point.get(axis)
            if not (is_number(value) or (hidden and value is None)):
                return f"geometry.keypoints[{index}].{axis} must be a finite number (null only if it is not visible)"
            if _too_large(value):
                return f"geometry.keypoints[{index}].{axis} {_TOO_LARGE}"
    if skeleton is not None and not _is_skeleton(skeleton, len(points)):
        return "geometry.skeleton must be a list of pairs of keypoint indices"
    return None


def _is_skeleton(skeleton: Any, count: int) -> bool:
    return isinstance(skeleton, list) and all(
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(end, int) and not isinstance(end, bool) and 0 <= end < count for end in pair)
        for pair in skeleton
    )


def _cuboid(geometry: Mapping[str, Any]) -> str | None:
    for part in ("position", "dimensions"):
        value = geometry.get(part)
        if not isinstance(value, dict) or not all(is_number(value.get(axis)) for axis in "xyz"):
            return f"geometry.{part} must have finite numbers x, y and z"
        if _too_large(*(value[axis] for axis in "xyz")):
            return f"geometry.{part} {_TOO_LARGE}"
    if any(geometry["dimensions"][axis] < 0 for axis in "xyz"):
        return "geometry.dimensions must not be negative"
    if not is_number(geometry.get("yaw")):
        return "geometry.yaw must be a finite number"
    if _too_large(geometry["yaw"]):
        return f"geometry.yaw {_TOO_LARGE}"
    return None


_CHECKS: Final[dict[str, Callable[[Mapping[str, Any]], str | None]]] = {
    "line": _line,
    "polygon": _polygon,
    "keypoints": _keypoints,
    "cuboid": _cuboid,
}
