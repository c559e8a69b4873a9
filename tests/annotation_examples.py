"""One good row of every type of annotation, on item `a`, and the types that the official client does not have."""

from __future__ import annotations

from typing import Any

__all__ = ["EXAMPLES", "NOT_OFFICIAL", "prediction"]

_CORNERS = [{"x": 0, "y": 0}, {"x": 10.5, "y": 0}, {"x": 10, "y": 10}]
_COMMON: dict[str, Any] = {"label": "car", "reference_id": "a", "metadata": {"k": [1, None]}}

EXAMPLES: dict[str, dict[str, Any]] = {
    "box": {
        **_COMMON,
        "type": "box",
        "annotation_id": "box",
        "geometry": {"x": 1, "y": 2, "width": 3.5, "height": 4},
    },
    "line": {**_COMMON, "type": "line", "annotation_id": "line", "geometry": {"vertices": _CORNERS[:2]}},
    "polygon": {**_COMMON, "type": "polygon", "annotation_id": "polygon", "geometry": {"vertices": _CORNERS}},
    "keypoints": {
        **_COMMON,
        "type": "keypoints",
        "annotation_id": "keypoints",
        "geometry": {
            "keypoints": [{"x": 1, "y": 2, "visible": True}, {"x": 9, "y": 9.5, "visible": False}],
            "names": ["left", "right"],
            "skeleton": [[0, 1]],
        },
    },
    "cuboid": {
        **_COMMON,
        "type": "cuboid",
        "annotation_id": "cuboid",
        "geometry": {
            "position": {"x": 1, "y": 2, "z": 3},
            "dimensions": {"x": 4, "y": 5, "z": 6.5},
            "yaw": 0.5,
        },
    },
    "mask": {
        "type": "mask",
        "reference_id": "a",
        "annotation_id": "mask",
        "mask_url": "s3://b/m.png",
        "annotations": [{"label": "road", "index": 1, "metadata": {"wet": True}}],
    },
    "category": {**_COMMON, "type": "category", "geometry": {}},
    "multicategory": {
        **{name: value for name, value in _COMMON.items() if name != "label"},
        "type": "multicategory",
        "labels": ["wet", "dark"],
        "geometry": {},
    },
}

NOT_OFFICIAL: frozenset[str] = frozenset()
"""Types of ours that the official client cannot read or send."""


def prediction(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row as a prediction: with a confidence, unless it is a mask, whose segments have theirs."""
    return row if row["type"] == "mask" else {**row, "confidence": 0.5}
