"""Rules of values that stand beside a geometry: text, class distributions, segments, cameras, embeddings. `docs/row-rules.md` has them in words."""

from __future__ import annotations

import math
from typing import Any, Final

from airflow_provider_nucleus.local.store.geometry_rules import COORDINATE_LIMIT, is_number

__all__ = [
    "BLANK", "NUMBERS", "camera_problem", "class_pdf_problem", "embedding_problem", "is_blank", "labels_problem",
    "segments_problem",
]  # fmt: skip

_CAMERA: Final = frozenset({"position", "heading", "fx", "fy", "cx", "cy"})
_CAMERA_MODELS: Final = ("brown_conrady", "fisheye")
_DISTORTION: Final = ("k1", "k2", "k3", "k4", "p1", "p2")
_COORDINATES: Final = "finite numbers, none too large for a coordinate,"

BLANK: Final = r"NOT regexp_matches({0}, '[^\x09-\x0d\x1c-\x20\x{{85}}\p{{Z}}]')"
"""SQL condition under which a text has no visible character, with the name of its column to fill in: as `is_blank`."""

NUMBERS: Final = r"\[[-+0-9.eE,\s]*[0-9][-+0-9.eE,\s]*\]"
"""Pattern of JSON that is a list of numbers, at least one."""

_PDF_TOLERANCE: Final = 0.01
"""Largest distance of the sum of a class distribution from 1, as clients check it (`schema.checks`)."""


def is_blank(text: str) -> bool:
    """Return whether a text has no visible character."""
    return not text or text.isspace()


def camera_problem(camera: Any) -> str | None:
    """Return what is wrong with the camera parameters in the metadata of an item, or None."""
    if not (isinstance(camera, dict) and camera.keys() >= _CAMERA):
        return f"metadata.camera_params must have {', '.join(sorted(_CAMERA))}"
    for part, axes in (("position", "xyz"), ("heading", "xyzw")):
        value = camera[part]
        if not isinstance(value, dict) or not all(_is_coordinate(value.get(axis)) for axis in axes):
            return f"metadata.camera_params.{part} must have {_COORDINATES} {', '.join(axes)}"
    if not all(_is_coordinate(camera[name]) for name in ("fx", "fy", "cx", "cy")):
        return f"metadata.camera_params must have {_COORDINATES} fx, fy, cx and cy"
    model = camera.get("camera_model")
    if model is not None and not (isinstance(model, str) and model in _CAMERA_MODELS):
        return f"metadata.camera_params.camera_model must be one of {', '.join(_CAMERA_MODELS)}"
    wrong = [
        name for name in _DISTORTION if camera.get(name) is not None and not _is_coordinate(camera[name])
    ]
    return (
        f"metadata.camera_params.{wrong[0]} must be a finite number, not too large for a coordinate"
        if wrong
        else None
    )


def _is_coordinate(value: Any) -> bool:
    return is_number(value) and abs(value) <= COORDINATE_LIMIT


def embedding_problem(embedding: dict[str, Any]) -> str | None:
    """Return what is wrong with the embedding of an item, or None."""
    if not isinstance(index := embedding.get("index_id"), str) or is_blank(index):
        return "embedding_info.index_id must be a string that is not empty"
    vector = embedding.get("embedding_vector")
    if not isinstance(vector, list) or not vector or not all(map(is_number, vector)):
        return "embedding_info.embedding_vector must be a list of numbers, not an empty one"
    return None


def class_pdf_problem(pdf: dict[str, Any]) -> str | None:
    """Return what is wrong with a class distribution, or None."""
    if not all(is_number(each) and 0 <= each <= 1 for each in pdf.values()):
        return "class_pdf must hold probabilities from 0 to 1"
    if any(is_blank(label) for label in pdf):
        return "class_pdf must not have an empty label"
    if abs(math.fsum(pdf.values()) - 1) > _PDF_TOLERANCE:
        return f"class_pdf must sum to 1 (within {_PDF_TOLERANCE})"
    return None


def labels_problem(labels: list[Any]) -> str | None:
    """Return what is wrong with the labels of a multicategory, or None."""
    return (
        None
        if all(isinstance(label, str) and not is_blank(label) for label in labels)
        else "labels must be a list of strings that are not empty"
    )


def segments_problem(segments: list[Any]) -> str | None:
    """Return what is wrong with the segments of a mask, or None."""
    seen: set[str] = set()
    for place, segment in enumerate(segments):
        where = f"annotations[{place}]"
        if not isinstance(segment, dict) or not isinstance(label := segment.get("label"), str):
            return f"{where} must be a segment with a label"
        if is_blank(label):
            return f"{where}.label must not be empty"
        if not isinstance(segment.get("metadata"), dict | None):
            return f"{where}.metadata must be an object"
        index = segment.get("index")
        if index is None:
            continue
        if not _is_pixel_value(index):
            return f"{where}.index must be a pixel value from 0"
        # A spelling with zeros in front is the same value.
        value = str(index).lstrip("0") or "0"
        if value in seen:
            return f"{where}.index repeats pixel value {value}"
        seen.add(value)
    return None


def _is_pixel_value(index: Any) -> bool:
    if isinstance(index, str):
        return index.isascii() and index.isdigit()
    return isinstance(index, int) and not isinstance(index, bool) and index >= 0
