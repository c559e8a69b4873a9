"""The small parts of annotations: points, keypoints, mask segments.

Image coordinates are pixels from the top left corner; 3D coordinates are metres in the scene's frame.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainValidator

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.base import (
    Coordinate,
    Flag,
    Label,
    NullableMetadata,
    require_object,
    trusted,
    wire_object,
)
from airflow_provider_nucleus.schema.checks import check_coordinate, excerpt

__all__ = ["Keypoint", "Point", "Point3D", "Quaternion", "Segment"]


@wire_object
class Point:
    """A point of an image, in pixels."""

    x: Coordinate
    y: Coordinate

    def to_wire(self) -> dict[str, Any]:
        """Spell the point as the wire does."""
        return {"x": self.x, "y": self.y}

    @classmethod
    def from_wire(cls, payload: object) -> Point:
        """Read a point back; both coordinates must be there."""
        x, y = _members(payload, "x", "y")
        return trusted(cls, {"x": x, "y": y})


@wire_object
class Point3D:
    """A point in space, in metres."""

    x: Coordinate
    y: Coordinate
    z: Coordinate

    def to_wire(self) -> dict[str, Any]:
        """Spell the point as the wire does."""
        return {"x": self.x, "y": self.y, "z": self.z}

    @classmethod
    def from_wire(cls, payload: object) -> Point3D:
        """Read a point back; all three coordinates must be there."""
        x, y, z = _members(payload, "x", "y", "z")
        return trusted(cls, {"x": x, "y": y, "z": z})


@wire_object
class Quaternion:
    """A rotation, w + xi + yj + zk (Hamilton, right-handed)."""

    x: Coordinate
    y: Coordinate
    z: Coordinate
    w: Coordinate

    def to_wire(self) -> dict[str, Any]:
        """Spell the rotation as the wire does."""
        return {"x": self.x, "y": self.y, "z": self.z, "w": self.w}

    @classmethod
    def from_wire(cls, payload: object) -> Quaternion:
        """Read a rotation back; all four components must be there."""
        x, y, z, w = _members(payload, "x", "y", "z", "w")
        return trusted(cls, {"x": x, "y": y, "z": z, "w": w})


def _check_optional_coordinate(value: Any) -> int | float | None:
    return None if value is None else check_coordinate(value)


@wire_object
class Keypoint:
    """One point of a skeleton, in pixels; only an invisible one may lack coordinates."""

    x: Annotated[float | None, PlainValidator(_check_optional_coordinate)] = None
    y: Annotated[float | None, PlainValidator(_check_optional_coordinate)] = None
    visible: Flag = True

    def __post_init__(self) -> None:
        if self.visible and (self.x is None or self.y is None):
            missing = "x" if self.x is None else "y"
            raise NucleusValidationError(missing, "is missing, but the keypoint is visible")

    def to_wire(self) -> dict[str, Any]:
        """Spell the keypoint as the wire does: coordinates it lacks are null."""
        return {"x": self.x, "y": self.y, "visible": self.visible}

    @classmethod
    def from_wire(cls, payload: object) -> Keypoint:
        """Read a keypoint back; only `visible` must be there."""
        members = require_object(payload, "a keypoint")
        if "visible" not in members:
            raise NucleusValidationError("visible", "is missing")
        return trusted(
            cls, {"x": members.get("x"), "y": members.get("y"), "visible": bool(members["visible"])}
        )


def _check_index(value: Any) -> int | str | None:
    """Require a pixel value: a whole number from 0, or its decimal spelling, which is kept as it is."""
    if value is None:
        return None
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit()):
            raise ValueError(f"must be a pixel value from 0, got {excerpt(value)}")
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"must be a pixel value from 0, got {excerpt(value)}")
    return value


@wire_object
class Segment:
    """Meaning of one pixel value of a mask: a class (semantic) or an instance (instance segmentation)."""

    label: Label
    index: Annotated[int | str | None, PlainValidator(_check_index)] = None
    metadata: NullableMetadata = None

    def to_wire(self) -> dict[str, Any]:
        """Spell the segment as the wire does: metadata is left out when unset."""
        wire: dict[str, Any] = {"label": self.label, "index": self.index}
        if self.metadata is not None:
            wire["metadata"] = self.metadata
        return wire

    @classmethod
    def from_wire(cls, payload: object) -> Segment:
        """Read a segment back; a missing label reads as empty text."""
        members = require_object(payload, "a segment")
        return trusted(
            cls,
            {
                "label": members.get("label") or "",
                "index": members.get("index"),
                "metadata": members.get("metadata"),
            },
        )


def _members(payload: object, *names: str) -> list[Any]:
    members = require_object(payload, "a point")
    for name in names:
        if members.get(name) is None:
            raise NucleusValidationError(name, "is missing")
    return [members[name] for name in names]
