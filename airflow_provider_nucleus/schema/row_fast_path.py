"""The fast path through validation for the rows that come by the million: boxes, lines, polygons and items.

A builder answers with a finished object when the row is plainly good: the expected keys, plain Python types, values in
range. On the slightest doubt it answers None, and the caller takes the pydantic way, which alone accepts odd spellings and
phrases complaints. Hence a builder may be timid but never wrong; a property test compares both ways.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_nucleus.dot_ids import DOT_IDS
from airflow_provider_nucleus.schema.checks import (
    COORDINATE_LIMIT,
    check_class_pdf,
    check_confidence,
    check_metadata,
)
from airflow_provider_nucleus.schema.geometry import Point

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["box_builder", "box_wire_builder", "chain_builder", "item_builder"]

T = TypeVar("T")

_LOW, _HIGH = -COORDINATE_LIMIT, COORDINATE_LIMIT
_NUMBERS = frozenset({int, float})
_OPTIONAL_TEXTS = (
    "reference_id",
    "annotation_id",
    "track_reference_id",
    "task_id",
    "dataset_item_id",
    "dataset_id",
)
_TYPE_AND_GEOMETRY = frozenset({"type", "geometry"})


def _plain(value: Any) -> bool:
    """Say whether a value is text nobody can object to."""
    return type(value) is str and value.isascii() and not value.isspace() and value != ""


def _plain_id(value: Any) -> bool:
    """Say whether a value is an id nobody can object to."""
    return _plain(value) and value not in DOT_IDS


def _tail_builder(cls: type[Any]) -> Callable[[Mapping[str, Any], dict[str, Any]], bool]:
    """Return a function that fills in everything but label and geometry, and says whether all of it was plain."""
    names = {field.name for field in dataclasses.fields(cls)}
    is_prediction = "confidence" in names
    optional = tuple(name for name in _OPTIONAL_TEXTS if name in names)
    # An embedding or a second spelling of the item id is rare: the slow way reads them.
    known = (frozenset(cls.wire_keys) | _TYPE_AND_GEOMETRY | cls.read_only_keys) - {"item_id"}

    def fill(row: Mapping[str, Any], values: dict[str, Any]) -> bool:
        if not known.issuperset(row) or row.get("embedding_vector") is not None:
            return False
        for name in optional:
            value = row.get(name)
            if value is not None:
                if not _plain_id(value):
                    return False
                values[name] = value
        if values["reference_id"] is None and not (is_prediction and values["dataset_item_id"] is not None):
            return False
        metadata = row.get("metadata")
        if metadata is None:
            metadata = {}
        try:
            values["metadata"] = check_metadata(metadata) if metadata else {}
            if is_prediction:
                values["class_pdf"] = check_class_pdf(row.get("class_pdf"))
                values["confidence"] = check_confidence(row.get("confidence"))
        except ValueError:
            return False
        return type(metadata) is dict

    return fill


def _blank(cls: type[Any]) -> dict[str, Any]:
    """Return every field unset, in the order of the fields."""
    return {field.name: None for field in dataclasses.fields(cls)}


def _sides(geometry: Any) -> tuple[Any, Any, Any, Any] | None:
    """Return x, y, width and height of a geometry that is plainly a box."""
    if type(geometry) is not dict or len(geometry) != 4:
        return None
    x: Any = geometry.get("x")
    y: Any = geometry.get("y")
    width: Any = geometry.get("width")
    height: Any = geometry.get("height")
    if not (
        type(x) in _NUMBERS
        and type(y) in _NUMBERS
        and type(width) in _NUMBERS
        and type(height) in _NUMBERS
        and _LOW <= x <= _HIGH
        and _LOW <= y <= _HIGH
        and 0 <= width <= _HIGH
        and 0 <= height <= _HIGH
    ):
        return None
    return x, y, width, height


def box_builder(cls: type[T]) -> Callable[[Mapping[str, Any]], T | None]:
    """Return a builder of boxes for one class."""
    blank = _blank(cls)
    fill = _tail_builder(cls)
    new = object.__new__

    def build(row: Mapping[str, Any]) -> T | None:
        sides = _sides(row.get("geometry"))
        label: Any = row.get("label")
        if sides is None or not _plain(label):
            return None
        values = blank.copy()
        if not fill(row, values):
            return None
        x, y, width, height = sides
        values["label"] = label
        values["x"] = x
        values["y"] = y
        values["width"] = width
        values["height"] = height
        if values["annotation_id"] is None:
            values["annotation_id"] = f"{label}-{x}-{y}-{width}-{height}-{values['reference_id']}"
        made = new(cls)
        made.__dict__.update(values)
        return made

    return build


_OTHER_TARGETS = frozenset({"item_id", "dataset_item_id", "dataset_id"})


def box_wire_builder(cls: type[Any]) -> Callable[[Mapping[str, Any]], dict[str, Any] | None]:
    """Return a builder of what `to_wire` of a box of one class would spell, without the object in between.

    It knows boxes that name their item by reference id; the others are rare.
    """
    add_own = _add_score if "confidence" in cls.wire_keys else _add_task
    known = (frozenset(cls.wire_keys) | _TYPE_AND_GEOMETRY | cls.read_only_keys) - _OTHER_TARGETS

    def spell(row: Mapping[str, Any]) -> dict[str, Any] | None:
        if row.get("type") != "box" or not known.issuperset(row):
            return None
        sides = _sides(row.get("geometry"))
        label = row.get("label")
        reference = row.get("reference_id")
        if sides is None or not (_plain(label) and _plain_id(reference)):
            return None
        x, y, width, height = sides
        annotation_id = row.get("annotation_id")
        if annotation_id is None:
            annotation_id = f"{label}-{x}-{y}-{width}-{height}-{reference}"
        elif not _plain_id(annotation_id):
            return None
        track = row.get("track_reference_id")
        if (track is not None and not _plain(track)) or row.get("embedding_vector") is not None:
            return None
        metadata: Any = row.get("metadata")
        if metadata:
            try:
                if check_metadata(metadata) is not metadata:
                    return None
            except ValueError:
                return None
        elif metadata is not None and type(metadata) is not dict:
            return None
        wire = {
            "label": label,
            "type": "box",
            "geometry": {"x": x, "y": y, "width": width, "height": height},
            "reference_id": reference,
            "annotation_id": annotation_id,
            "metadata": metadata or {},
            "embedding_vector": None,
            "track_reference_id": track,
            "task_id": None,
        }
        return wire if add_own(row, wire) else None

    return spell


def _add_task(row: Mapping[str, Any], wire: dict[str, Any]) -> bool:
    """Add what only ground truth sends, and say whether it was plain."""
    task_id = row.get("task_id")
    if task_id is not None:
        if not _plain(task_id):
            return False
        wire["task_id"] = task_id
    return True


def _add_score(row: Mapping[str, Any], wire: dict[str, Any]) -> bool:
    """Add what only predictions send, and say whether it was plain."""
    confidence: Any = row.get("confidence")
    if confidence is not None:
        if type(confidence) not in _NUMBERS or not 0 <= confidence <= 1:
            return False
        wire["confidence"] = confidence
    class_pdf = row.get("class_pdf")
    if class_pdf is not None:
        try:
            wire["class_pdf"] = check_class_pdf(class_pdf)
        except ValueError:
            return False
    return True


def chain_builder(cls: type[T]) -> Callable[[Mapping[str, Any]], T | None]:
    """Return a builder of lines or polygons for one class."""
    least_vertices: int = cls.least_vertices  # type: ignore[attr-defined]
    blank = _blank(cls)
    fill = _tail_builder(cls)
    new = object.__new__

    def build(row: Mapping[str, Any]) -> T | None:
        geometry = row.get("geometry")
        label: Any = row.get("label")
        if type(geometry) is not dict or len(geometry) != 1 or type(geometry.get("vertices")) is not list:
            return None
        points = []
        for vertex in geometry["vertices"]:
            if type(vertex) is not dict or len(vertex) != 2:
                return None
            x: Any = vertex.get("x")
            y: Any = vertex.get("y")
            if not (
                type(x) in _NUMBERS and type(y) in _NUMBERS and _LOW <= x <= _HIGH and _LOW <= y <= _HIGH
            ):
                return None
            point = new(Point)
            point.__dict__.update(vertex)
            points.append(point)
        if len(points) < least_vertices or not _plain(label):
            return None
        values = blank.copy()
        if not fill(row, values):
            return None
        values["label"] = label
        values["vertices"] = points
        made = new(cls)
        made.__dict__.update(values)
        return made

    return build


_ITEM_KEYS = frozenset({"image_url", "reference_id", "metadata", "width", "height", "update"})


def item_builder(cls: type[T]) -> Callable[[Mapping[str, Any]], T | None]:
    """Return a builder of images with nothing unusual about them."""
    blank = _blank(cls)
    new = object.__new__

    def build(row: Mapping[str, Any]) -> T | None:
        if type(row) is not dict or not _ITEM_KEYS.issuperset(row):
            return None
        values = blank.copy()
        values["image_location"] = row.get("image_url")
        values["reference_id"] = row.get("reference_id")
        metadata = row.get("metadata")
        if not (_plain(values["image_location"]) and _plain_id(values["reference_id"])):
            return None
        if metadata is not None:
            if type(metadata) is not dict or "camera_params" in metadata:
                return None
            try:
                values["metadata"] = check_metadata(metadata)
            except ValueError:
                return None
        for name in ("width", "height"):
            pixels = row.get(name)
            if pixels is not None and (type(pixels) is not int or not 0 < pixels <= _HIGH):
                return None
            values[name] = pixels
        made = new(cls)
        made.__dict__.update(values)
        return made

    return build
