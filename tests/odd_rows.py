"""Rows with odd values: every field of a good row replaced by every odd value, or left out."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.schema.annotation_table import ANNOTATION_TYPES, PREDICTION_TYPES
from tests.annotation_examples import EXAMPLES, prediction

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GOOD_ROWS", "ODD_VALUES", "REMOVED", "odd_fields", "odd_rows", "replaced"]

Path = tuple[str, ...]
REMOVED: Any = object()


def _nested(depth: int) -> dict[str, Any]:
    return {"d": _nested(depth - 1)} if depth else {}


def _keypoints(*points: dict[str, Any]) -> list[dict[str, Any]]:
    return [*points, {"x": 1, "y": 2, "visible": True}]


ODD_VALUES: list[Any] = [
    # Text, blank and unusual.
    "", " ", "\u2003", "\x1c", ".", "..", "é/ü", "a\x00b", "\ud800", "x" * 3000, "1", "di_0000000000000000",
    # Numbers, null and booleans.
    None, True, False, 0, 1, -1, -0.0, 0.5, 2, 2.0, 2**53, 2**53 + 1, -(2**53) - 1, 10**400, 1e200, math.nan, math.inf,
    # Lists.
    [], [1], [1, 0.5], [10**400], [1e200], ["a"], ["a", "a"], [""], ["a", " "], [None], [math.nan], [True], [[0, 1]], [[0, 5]], [[0, 1, 2]], [[0, True]], [[0, 1.0]], [["0", "1"]],
    # Objects, as metadata and as class distributions.
    {}, {"a": 1}, {"a": math.nan}, {"": 1}, {"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.4}, {"a": 0.5, "b": 0.495},
    {"a": -0.1, "b": 1.1}, {"a": True}, {"a": None}, {"a": "1"}, {"a": "\ud800"}, {"\ud800": 1}, {"a": 10**400}, _nested(63), _nested(66),
    # Segments.
    *([{"label": "r", "index": index}] for index in (1, 0, "3", "x", -1, 1.5, True, None, 10**20)),
    [{"label": "r"}], [{"label": "", "index": 1}], [{"index": 1}], [{"label": "r", "index": 1, "metadata": []}],
    [{"label": "r", "index": 1, "metadata": None}], [{"label": "r", "index": 1, "more": 1}],
    [{"label": "r", "index": 1}, {"label": "s", "index": 1}], [{"label": "r", "index": "1"}, {"label": "s", "index": 1}],
    [{"label": "r", "index": 1}, {"label": "s", "index": "01"}], [{"label": "r", "index": "0"}, {"label": "s", "index": "00"}],
    # Vertices: two, a plain triangle, one of no area, one that crosses itself, and what is none.
    [{"x": 1, "y": 2}] * 2, [{"x": 1, "y": 2}] * 3, [{"x": 1, "y": 2, "z": 3}] * 3, [{"x": 1, "y": None}] * 3,
    [{"x": 0, "y": 0}, {"x": 10, "y": 10}, {"x": 10, "y": 0}, {"x": 0, "y": 10}], [[1, 2], [3, 4], [5, 6]],
    # Keypoints.
    _keypoints({"x": 1, "y": 2, "visible": 1}), _keypoints({"x": 1, "y": 2}), _keypoints({"visible": False}),
    _keypoints({"x": None, "y": None, "visible": False}), _keypoints({"x": None, "y": 2, "visible": True}),
    _keypoints({"x": math.inf, "y": 2, "visible": False}),
]  # fmt: skip

_CAMERA = {
    "position": {"x": 1, "y": 2, "z": 3}, "heading": {"x": 0, "y": 0, "z": 0, "w": 1}, "fx": 1, "fy": 1, "cx": 1, "cy": 1,
    "camera_model": "fisheye", "k1": 0.5,
}  # fmt: skip

GOOD_ROWS: dict[str, dict[str, dict[str, Any]]] = {
    "annotations": EXAMPLES,
    "predictions": {
        name: {**prediction(row), **({} if name == "mask" else {"class_pdf": {"car": 0.25, "bus": 0.75}})}
        for name, row in EXAMPLES.items()
        if name in PREDICTION_TYPES
    },
    "items": {
        "image": {"reference_id": "a", "image_url": "s3://b/a.jpg", "metadata": {}, "width": 10, "height": 20},
        "image with camera": {"reference_id": "a", "image_url": "s3://b/a.jpg", "metadata": {"camera_params": _CAMERA}},
        "image with embedding": {
            "reference_id": "a", "image_url": "s3://b/a.jpg",
            "embedding_info": {"index_id": "i", "embedding_vector": [0.5, 1]},
        },
    },
}  # fmt: skip
"""Good rows by kind of upload and name."""


def _paths(row: dict[str, Any], before: Path = ()) -> Iterator[Path]:
    for key, value in row.items():
        yield (*before, key)
        if isinstance(value, dict) and key != "class_pdf":
            yield from _paths(value, (*before, key))


def odd_fields(kind: str, name: str) -> list[Path]:
    """Return the fields of a good row, and those its type knows besides."""
    row = GOOD_ROWS[kind][name]
    found = {
        path for path in _paths(row) if path[:1] != ("metadata",) or "camera_params" in path or len(path) == 1
    }
    if kind != "items":
        types = ANNOTATION_TYPES if kind == "annotations" else PREDICTION_TYPES
        # What reads return as dataset_item_id is sent as item_id.
        found |= {(key,) for key in types[name].wire_keys if key != "dataset_item_id"}
    return sorted(found)


def replaced(row: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """Return the row with another value at a path, as far as the path is still there."""
    row = copy.deepcopy(row)
    inner: Any = row
    for key in path[:-1]:
        inner = inner.get(key) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        inner.pop(path[-1], None)
        if value is not REMOVED:
            inner[path[-1]] = value
    return row


def odd_rows(kind: str, name: str) -> list[dict[str, Any]]:
    """Return a good row with each of its fields replaced by each odd value, one at a time."""
    row = GOOD_ROWS[kind][name]
    return [replaced(row, path, value) for path in odd_fields(kind, name) for value in (*ODD_VALUES, REMOVED)]
