"""The judges of single fields: each returns the value in its normal form, or raises CocoError that says what is wrong.

A number is finite, and neither `true` nor text; lengths are pixels from the top left corner. What is written in a second way of which
the meaning is certain is taken: pairs instead of flat lists, one ring that stands for itself, whole numbers as 640.0, flags as booleans.
"""

from __future__ import annotations

import sys
from typing import Any

from airflow_provider_nucleus.coco.errors import CocoError, excerpt

__all__ = [
    "COORDINATE_LIMIT",
    "SIDE_LIMIT",
    "area_of",
    "box_of",
    "crowd_of",
    "flat_keypoints",
    "rings_of",
    "score_of",
    "side_of",
    "size_of",
]

COORDINATE_LIMIT = 2.0**53
"""Largest magnitude of a coordinate or size: beyond it neighbouring whole numbers are one."""

SIDE_LIMIT = 1 << 20
"""Most pixels on a side of an image."""

_NUMBERS = frozenset({int, float})
_LARGEST = sys.float_info.max


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS and -COORDINATE_LIMIT <= value <= COORDINATE_LIMIT


def _number_problem(value: Any) -> str:
    if type(value) in _NUMBERS and value == value and abs(value) != float("inf"):
        return f"{excerpt(value)} is too large for a coordinate (at most 2^53)"
    return f"{excerpt(value)} is not a finite number"


def box_of(value: Any, field: str = "bbox") -> list[Any]:
    """Return `[x, y, width, height]`."""
    if type(value) is not list or len(value) != 4:
        raise CocoError(field, f"must be four numbers x, y, width, height, got {excerpt(value)}")
    x, y, width, height = value
    if not (_is_number(x) and _is_number(y) and _is_number(width) and _is_number(height)):
        wrong = next(one for one in value if not _is_number(one))
        raise CocoError(field, f"must be four numbers x, y, width, height: {_number_problem(wrong)}")
    if width < 0 or height < 0:
        raise CocoError(field, f"width and height must not be negative, got {excerpt(value)}")
    return value


def score_of(value: Any) -> Any:
    """Return a finite number, None where a result has none."""
    if value is None or _is_number(value):
        return value
    if type(value) in _NUMBERS and -_LARGEST <= value <= _LARGEST:
        raise CocoError("score", f"{excerpt(value)} is too large for a score (at most 2^53)")
    raise CocoError("score", f"must be a finite number, got {excerpt(value)}")


def area_of(value: Any) -> Any:
    """Return square pixels, None where they are not given."""
    if value is None:
        return None
    if type(value) not in _NUMBERS or not 0 <= value <= _LARGEST:
        raise CocoError(
            "area",
            f"must be a finite number from 0, got {excerpt(value)}; leave it out, and it is that of the shape",
        )
    return value


def crowd_of(value: Any) -> int:
    """Return 0 or 1; what is not given is no crowd."""
    if value is None:
        return 0
    if type(value) in {int, float, bool} and value in {0, 1}:
        return int(value)
    raise CocoError("iscrowd", f"must be 0 or 1, got {excerpt(value)}")


def side_of(value: Any, field: str) -> int | None:
    """Return a width or height of an image; None where it is not given, which is also what 0 means."""
    if value is None:
        return None
    if type(value) not in _NUMBERS or value != value or not 0 <= value <= SIDE_LIMIT or int(value) != value:
        raise CocoError(field, f"must be a whole number of pixels up to {SIDE_LIMIT}, got {excerpt(value)}")
    return int(value) or None


def size_of(value: Any) -> tuple[int, int]:
    """Return height and width of a run-length mask."""
    if type(value) is not list or len(value) != 2:
        raise CocoError("segmentation.size", f"must be [height, width], got {excerpt(value)}")
    height, width = (side_of(side, "segmentation.size") for side in value)
    if height is None or width is None:
        raise CocoError("segmentation.size", f"must be [height, width], got {excerpt(value)}")
    return height, width


def rings_of(value: Any) -> list[list[Any]]:
    """Return the rings of a polygon as flat lists `[x, y, x, y, ...]` of three points at least; none where nothing is drawn.

    As COCO's tools have it, a first ring of four numbers is a box x, y, width, height, and becomes its outline. A ring of two
    points among others encloses nothing and is left out.
    """
    if type(value) is not list:
        raise CocoError("segmentation", f"must be a list of rings or a run-length mask, got {excerpt(value)}")
    if not value:
        return []
    if type(value[0]) is not list:
        value = [value]  # one ring that stands for itself
    elif all(type(point) is list and len(point) == 2 for point in value) and not any(
        type(coordinate) is list for point in value for coordinate in point
    ):
        value = [value]  # pairs
    rings = [_ring(ring) for ring in value if ring != []]
    if not rings:
        return []
    if len(rings[0]) == 4:
        if any(len(ring) != 4 for ring in rings):
            raise CocoError(
                "segmentation", "its first ring has four numbers, which is a box, and others have more"
            )
        return [_outline(box_of(ring, "segmentation")) for ring in rings]
    return [ring for ring in rings if len(ring) > 4]


def _ring(ring: Any) -> list[Any]:
    if type(ring) is list and ring and all(type(point) is list and len(point) == 2 for point in ring):
        ring = [coordinate for point in ring for coordinate in point]
    if type(ring) is not list or len(ring) < 4 or len(ring) % 2:
        raise CocoError(
            "segmentation", f"a ring must be a list of at least three x, y pairs, got {excerpt(ring)}"
        )
    if not all(map(_is_number, ring)):
        wrong = next(one for one in ring if not _is_number(one))
        raise CocoError("segmentation", f"a ring must hold numbers: {_number_problem(wrong)}")
    return ring


def _outline(box: list[Any]) -> list[Any]:
    x, y, width, height = box
    return [x, y, x, y + height, x + width, y + height, x + width, y]


def flat_keypoints(value: Any) -> list[Any]:
    """Return `[x, y, v, x, y, v, ...]`; `[]` where there are none."""
    if value is None or value == []:
        return []
    if type(value) is list and all(type(point) is list and len(point) == 3 for point in value):
        value = [part for point in value for part in point]
    if type(value) is not list or len(value) % 3:
        raise CocoError("keypoints", f"must be a flat list of x, y, visibility triples, got {excerpt(value)}")
    if not all(map(_is_number, value)):
        wrong = next(one for one in value if not _is_number(one))
        raise CocoError("keypoints", f"must hold numbers: {_number_problem(wrong)}")
    return value
