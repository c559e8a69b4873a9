"""Dataset items, and the scenes that are made of them."""

from __future__ import annotations

import re
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import PlainValidator

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema import row_fast_path
from airflow_provider_nucleus.schema.base import (
    Coordinate,
    Embedding,
    NullableMetadata,
    OptionalId,
    OptionalText,
    Text,
    require_object,
    trusted,
    wire_object,
)
from airflow_provider_nucleus.schema.checks import check_coordinate, excerpt
from airflow_provider_nucleus.schema.geometry import Point3D, Quaternion

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CameraParams",
    "DatasetItem",
    "DatasetItemEmbeddingInfo",
    "ItemType",
    "is_local_location",
    "parse_item",
]

# A single letter before a colon is a Windows drive.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_CAMERA_MODELS = ("brown_conrady", "fisheye")
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")


def is_local_location(location: str) -> bool:
    """Say whether a location is a file of this machine, to be uploaded, and not an address the server fetches."""
    found = _SCHEME.match(location)
    return found is None or found[1].lower() == "file"


class ItemType(StrEnum):
    """Kinds of items."""

    IMAGE = "image"
    POINTCLOUD = "pointcloud"


@wire_object
class DatasetItemEmbeddingInfo:
    """A custom embedding of an item, for the index it belongs to."""

    index_id: Text
    embedding_vector: Embedding

    def __post_init__(self) -> None:
        if self.embedding_vector is None:
            raise NucleusValidationError("embedding_vector", "is missing")

    def to_wire(self) -> dict[str, Any]:
        """Spell the embedding as the wire does."""
        return {"index_id": self.index_id, "embedding_vector": self.embedding_vector}


def _check_optional_number(value: Any) -> int | float | None:
    return None if value is None else check_coordinate(value)


_OptionalNumber = Annotated[float | None, PlainValidator(_check_optional_number)]


@wire_object
class CameraParams:
    """Pose and projection of a camera: world position, heading, focal lengths and principal point in pixels."""

    position: Point3D
    heading: Quaternion
    fx: Coordinate
    fy: Coordinate
    cx: Coordinate
    cy: Coordinate
    camera_model: OptionalText = None
    k1: _OptionalNumber = None
    k2: _OptionalNumber = None
    k3: _OptionalNumber = None
    k4: _OptionalNumber = None
    p1: _OptionalNumber = None
    p2: _OptionalNumber = None

    def __post_init__(self) -> None:
        if self.camera_model is not None and self.camera_model not in _CAMERA_MODELS:
            reason = f"must be one of {', '.join(_CAMERA_MODELS)}, got {self.camera_model!r}"
            raise NucleusValidationError("camera_model", reason)

    def to_wire(self) -> dict[str, Any]:
        """Spell the camera as the official client does: distortion that is zero or unset is left out."""
        wire: dict[str, Any] = {
            "position": self.position.to_wire(),
            "heading": self.heading.to_wire(),
            "fx": self.fx,
            "fy": self.fy,
            "cx": self.cx,
            "cy": self.cy,
        }
        wire |= {name: getattr(self, name) for name in _DISTORTION if getattr(self, name)}
        if self.camera_model:
            wire["camera_model"] = self.camera_model
        return wire

    @classmethod
    def from_wire(cls, payload: object) -> CameraParams:
        """Read a camera; position, heading, fx, fy, cx and cy must be there."""
        members = require_object(payload, "camera_params")
        known = cls.__dataclass_fields__
        return cls(**{name: members[name] for name in known if name in members})


def _check_pixels(value: Any) -> int | None:
    """Require a whole, positive number of pixels, or None."""
    if value is None:
        return None
    number = check_coordinate(value)
    if number != int(number) or number <= 0:
        raise ValueError(f"must be a positive whole number of pixels, got {excerpt(value)}")
    return int(number)


_Pixels = Annotated[int | None, PlainValidator(_check_pixels)]


@wire_object
class DatasetItem:
    """An image or a point cloud; `reference_id` is the user's name for it, unique in the dataset.

    Locations are addresses the server can fetch (http, https, s3, gs, ...), or, for images, a local path. `width` and
    `height` are pixels. Camera parameters go into `metadata["camera_params"]`.
    """

    image_location: OptionalText = None
    reference_id: OptionalId = None
    metadata: NullableMetadata = None
    pointcloud_location: OptionalText = None
    embedding_info: DatasetItemEmbeddingInfo | None = None
    width: _Pixels = None
    height: _Pixels = None
    phash: OptionalText = field(default=None, compare=False)
    dataset_item_id: OptionalText = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.reference_id is None:
            raise NucleusValidationError("reference_id", "is missing")
        if (self.image_location is None) == (self.pointcloud_location is None):
            which = "neither is set" if self.image_location is None else "both are set"
            raise NucleusValidationError("image_location", f"or pointcloud_location must be set: {which}")
        if self.pointcloud_location and self.embedding_info:
            raise NucleusValidationError("embedding_info", "is only possible for images")
        camera = (self.metadata or {}).get("camera_params")
        if camera is not None:
            try:
                CameraParams.from_wire(camera)
            except NucleusValidationError as error:
                where = ".".join(filter(None, ["metadata.camera_params", error.field]))
                raise NucleusValidationError(where, error.reason) from None

    @property
    def type(self) -> ItemType:
        """Kind of the item."""
        return ItemType.IMAGE if self.image_location else ItemType.POINTCLOUD

    @property
    def location(self) -> str:
        """The address or path, whichever kind of item it is."""
        return self.image_location or self.pointcloud_location or ""

    @property
    def local(self) -> bool:
        """True when the image is a file of this machine."""
        return self.image_location is not None and is_local_location(self.image_location)

    @property
    def camera_params(self) -> CameraParams | None:
        """The camera in the metadata, if any."""
        camera = (self.metadata or {}).get("camera_params")
        return CameraParams.from_wire(camera) if camera else None

    def to_wire(self, *, in_scene: bool = False) -> dict[str, Any]:
        """Spell the item exactly as the official client sends it, alone or as part of a scene's frame."""
        wire: dict[str, Any] = {"metadata": self.metadata or {}, "reference_id": self.reference_id}
        if self.embedding_info:
            wire["embedding_info"] = self.embedding_info.to_wire()
        if self.width:
            wire["width"] = self.width
        if self.height:
            wire["height"] = self.height
        if in_scene:
            wire["url"] = self.location
            wire["type"] = self.type.value
            camera = self.camera_params
            if camera:
                wire["camera_params"] = camera.to_wire()
        elif self.image_location is None:
            raise NucleusValidationError(
                "image_location", "is missing: point clouds only exist inside scenes"
            )
        else:
            wire["image_url"] = self.image_location
        return wire

    @classmethod
    def from_wire(cls, payload: object) -> DatasetItem:
        """Read an item a server returned, in any of the spellings servers use.

        Raises NucleusValidationError without a reference id or without exactly one location.
        """
        members = require_object(payload, "an item")
        image = members.get("processed_url") or members.get("image_url") or members.get("original_image_url")
        pointcloud = members.get("pointcloud_url")
        if not image and not pointcloud:
            image, pointcloud = _bare_location(members)
        reference_id = (
            members.get("ref_id") if members.get("ref_id") is not None else members.get("reference_id")
        )
        if reference_id is None:
            raise NucleusValidationError("reference_id", "is missing")
        if bool(image) == bool(pointcloud):
            raise NucleusValidationError("image_url", "or pointcloud_url must be set, exactly one of them")
        return trusted(
            cls,
            {
                "image_location": image or None,
                "reference_id": str(reference_id),
                "metadata": members.get("metadata") or {},
                "pointcloud_location": pointcloud or None,
                "embedding_info": None,
                "width": members.get("width"),
                "height": members.get("height"),
                "phash": members.get("phash"),
                "dataset_item_id": members.get("dataset_item_id"),
            },
        )


def _bare_location(members: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Read `url`: by `type` when the server says it, else by its suffix as the official client does."""
    url = members.get("url")
    if not url:
        return None, None
    if members.get("type") in {"image", "pointcloud"}:
        return (url, None) if members["type"] == "image" else (None, url)
    suffix = str(url).rsplit(".", 1)[-1].lower()
    if suffix == "json":
        return None, url
    return (url, None) if suffix in {"jpg", "jpeg", "png"} else (None, None)


_ITEM_KEYS = {
    "image_url": "image_location",
    "image_location": "image_location",
    "pointcloud_url": "pointcloud_location",
    "pointcloud_location": "pointcloud_location",
    "reference_id": "reference_id",
    "metadata": "metadata",
    "embedding_info": "embedding_info",
    "width": "width",
    "height": "height",
    "phash": "phash",
    "dataset_item_id": "dataset_item_id",
}


def parse_item(payload: Mapping[str, Any], *, ignore_unknown: bool = False) -> DatasetItem:
    """Validate one item row (wire keys, or the argument names of `DatasetItem`) and build it.

    Raises NucleusValidationError naming the key.
    """
    plain = _build_plain(payload)
    return _parse(payload, ignore_unknown=ignore_unknown) if plain is None else plain


_build_plain = row_fast_path.item_builder(DatasetItem)


def _parse(payload: Mapping[str, Any], *, ignore_unknown: bool) -> DatasetItem:
    arguments: dict[str, Any] = {}
    for key, value in require_object(payload, "a row of items").items():
        argument = _ITEM_KEYS.get(key)
        if argument is None:
            # "update" belongs to the request, and multipart clients put it into every item.
            if not ignore_unknown and key != "update":
                raise NucleusValidationError(str(key), "is not a field of an item")
        elif value is not None or argument not in arguments:
            arguments[argument] = value
    try:
        return DatasetItem(**arguments)
    except NucleusValidationError as error:
        spelt = {"image_location": "image_url", "pointcloud_location": "pointcloud_url"}
        first, dot, rest = error.field.partition(".")
        wire_name = spelt.get(first, first) if spelt.get(first) in payload else first
        raise NucleusValidationError(f"{wire_name}{dot}{rest}", error.reason) from None
