"""The kinds of annotation, shared by ground truth and predictions: geometry, its spelling, and rules that join fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.annotation_base import Shape
from airflow_provider_nucleus.schema.checks import excerpt
from airflow_provider_nucleus.schema.geometry import Keypoint, Point, Point3D, Segment

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Box",
    "Category",
    "Cuboid",
    "Keypoints",
    "Line",
    "Mask",
    "MultiCategory",
    "Polygon",
    "SceneCategory",
]


class Box(Shape):
    """An axis-aligned rectangle: top left corner, width and height, in pixels."""

    type = "box"
    geometry_fields = ("x", "y", "width", "height")

    if TYPE_CHECKING:
        x: Any
        y: Any
        width: Any
        height: Any
        embedding_vector: Any

    def __post_init__(self) -> None:
        if self.annotation_id is None:
            # The official client's spelling: the same box sent twice is one box.
            automatic = f"{self.label}-{self.x}-{self.y}-{self.width}-{self.height}-{self.reference_id}"
            object.__setattr__(self, "annotation_id", automatic)

    def to_wire(self) -> dict[str, Any]:
        """Spell the box exactly as the official client sends it."""
        return {
            "label": self.label,
            "type": "box",
            "geometry": {"x": self.x, "y": self.y, "width": self.width, "height": self.height},
            "reference_id": self.reference_id,
            "annotation_id": self.annotation_id,
            "metadata": self.metadata,
            "embedding_vector": self.embedding_vector,
            "track_reference_id": self.track_reference_id,
            "task_id": self.task_id,
        }

    @classmethod
    def _read_geometry(cls, geometry: Mapping[str, Any]) -> dict[str, Any]:
        return {name: geometry.get(name) or 0 for name in cls.geometry_fields}


class Line(Shape):
    """An open chain of at least two points."""

    type = "line"
    geometry_fields = ("vertices",)
    least_vertices: ClassVar[int] = 2

    if TYPE_CHECKING:
        vertices: Any

    def __post_init__(self) -> None:
        if len(self.vertices) < self.least_vertices:
            reason = f"must have at least {self.least_vertices} points, has {len(self.vertices)}"
            raise NucleusValidationError("vertices", reason)

    def _geometry(self) -> dict[str, Any]:
        return {"vertices": [{"x": point.x, "y": point.y} for point in self.vertices]}

    @classmethod
    def _read_geometry(cls, geometry: Mapping[str, Any]) -> dict[str, Any]:
        return {"vertices": _read_list(geometry, "vertices", Point)}


class Polygon(Line):
    """A closed region of at least three points."""

    type = "polygon"
    least_vertices = 3

    if TYPE_CHECKING:
        embedding_vector: Any

    def to_wire(self) -> dict[str, Any]:
        """Spell the polygon exactly as the official client sends it."""
        return {
            "label": self.label,
            "type": "polygon",
            "geometry": self._geometry(),
            "reference_id": self.reference_id,
            "annotation_id": self.annotation_id,
            "metadata": self.metadata,
            "embedding_vector": self.embedding_vector,
            "track_reference_id": self.track_reference_id,
            "task_id": self.task_id,
        }


class Keypoints(Shape):
    """Named points and the skeleton that joins them, as pairs of positions from 0."""

    type = "keypoints"
    geometry_fields = ("keypoints", "names", "skeleton")

    if TYPE_CHECKING:
        keypoints: Any
        names: Any
        skeleton: Any

    def __post_init__(self) -> None:
        count = len(self.keypoints)
        if count == 0:
            raise NucleusValidationError("keypoints", "must not be empty")
        if len(self.names) != count:
            reason = f"must have one name per keypoint: {len(self.names)} names for {count} keypoints"
            raise NucleusValidationError("names", reason)
        if len(set(self.names)) != count:
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise NucleusValidationError("names", f"must not repeat a name, has {twice!r} twice")
        for position, bone in enumerate(self.skeleton or ()):
            _check_bone(position, bone, count)
        if self.annotation_id is None:
            object.__setattr__(self, "annotation_id", f"{self.label}-{self.reference_id}-keypoints")

    @classmethod
    def _take_geometry(cls, value: object, taken: dict[str, Any], *, ignore_unknown: bool) -> None:
        super()._take_geometry(value, taken, ignore_unknown=ignore_unknown)
        # Predictions have to name it in Python, as in the official client; on the wire it may be left out.
        taken.setdefault("skeleton", None)

    def _geometry(self) -> dict[str, Any]:
        points = [{"x": point.x, "y": point.y, "visible": point.visible} for point in self.keypoints]
        return {"keypoints": points, "names": self.names, "skeleton": self.skeleton}

    @classmethod
    def _read_geometry(cls, geometry: Mapping[str, Any]) -> dict[str, Any]:
        if geometry.get("names") is None:
            raise NucleusValidationError("names", "is missing")
        return {
            "keypoints": _read_list(geometry, "keypoints", Keypoint),
            "names": geometry["names"],
            "skeleton": geometry.get("skeleton"),
        }


def _check_bone(position: int, bone: Any, count: int) -> None:
    where = f"skeleton.{position}"
    if len(bone) != 2:
        raise NucleusValidationError(where, f"must join exactly 2 keypoints, got {excerpt(bone)}")
    for end in bone:
        if not 0 <= end < count:
            reason = f"points at keypoint {end}, but the keypoints are 0 to {count - 1}"
            raise NucleusValidationError(where, reason)


class Cuboid(Shape):
    """A 3D box: centre and length, width, height in metres, yaw in radians about z."""

    type = "cuboid"
    geometry_fields = ("position", "dimensions", "yaw")

    if TYPE_CHECKING:
        position: Any
        dimensions: Any
        yaw: Any

    def __post_init__(self) -> None:
        for axis in ("x", "y", "z"):
            if getattr(self.dimensions, axis) < 0:
                reason = f"must not be negative, got {excerpt(getattr(self.dimensions, axis))}"
                raise NucleusValidationError(f"dimensions.{axis}", reason)

    def to_wire(self) -> dict[str, Any]:
        """Spell the cuboid exactly as the official client sends it: optional keys are left out when empty."""
        wire: dict[str, Any] = {
            "label": self.label,
            "type": "cuboid",
            "geometry": {
                "position": self.position.to_wire(),
                "dimensions": self.dimensions.to_wire(),
                "yaw": self.yaw,
            },
            "reference_id": self.reference_id,
        }
        for key in ("annotation_id", "metadata", "track_reference_id", "task_id"):
            if getattr(self, key):
                wire[key] = getattr(self, key)
        return wire

    @classmethod
    def _read_geometry(cls, geometry: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"yaw": geometry.get("yaw") or 0}
        for name in ("position", "dimensions"):
            try:
                found[name] = Point3D.from_wire(geometry.get(name))
            except NucleusValidationError as error:
                raise NucleusValidationError(
                    ".".join(filter(None, [name, error.field])), error.reason
                ) from None
        return found


class Category(Shape):
    """A label for the whole item, within a taxonomy; identified by (item, taxonomy), so it has no annotation id."""

    type = "category"

    if TYPE_CHECKING:
        taxonomy_name: Any

    def _named(self) -> dict[str, Any]:
        return {"label": self.label}

    def to_wire(self) -> dict[str, Any]:
        """Spell the category exactly as the official client sends it."""
        wire = self._named() | {
            "type": self.type,
            "geometry": {},
            "reference_id": self.reference_id,
            "metadata": self.metadata,
            "track_reference_id": self.track_reference_id,
            "task_id": self.task_id,
        }
        if self.taxonomy_name is not None:
            wire["taxonomy_name"] = self.taxonomy_name
        return wire


class MultiCategory(Category):
    """Several labels for the whole item, within a taxonomy."""

    type = "multicategory"

    if TYPE_CHECKING:
        labels: Any

    def _named(self) -> dict[str, Any]:
        return {"labels": self.labels}


class SceneCategory(Category):
    """A label for a whole scene; `reference_id` is the scene's."""

    null_metadata = True

    def to_wire(self) -> dict[str, Any]:
        """Spell the category exactly as the official client sends it: scenes have no tracks."""
        wire: dict[str, Any] = {
            "label": self.label,
            "type": "category",
            "geometry": {},
            "reference_id": self.reference_id,
            "metadata": self.metadata,
            "task_id": self.task_id,
        }
        if self.taxonomy_name is not None:
            wire["taxonomy_name"] = self.taxonomy_name
        return wire


class Mask(Shape):
    """A PNG of the item's size whose pixel values name segments; one per item, whatever its annotation id."""

    type = "mask"
    has_geometry = False

    if TYPE_CHECKING:
        mask_url: Any
        annotations: Any

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for position, segment in enumerate(self.annotations):
            if segment.index is None:
                continue
            # A spelling with zeros in front is the same value.
            value = str(segment.index).lstrip("0") or "0"
            if value in seen:
                raise NucleusValidationError(f"annotations.{position}.index", f"repeats pixel value {value}")
            seen.add(value)

    def to_wire(self) -> dict[str, Any]:
        """Spell the mask exactly as the official client sends it."""
        return {
            "type": "mask",
            "mask_url": self.mask_url,
            "annotations": [segment.to_wire() for segment in self.annotations],
            "annotation_id": self.annotation_id,
            "reference_id": self.reference_id,
        }

    @classmethod
    def _read(cls, members: Mapping[str, Any]) -> dict[str, Any]:
        values = super()._read(members)
        if not values.get("mask_url"):
            raise NucleusValidationError("mask_url", "is missing")
        values["annotations"] = _read_list(members, "annotations", Segment)
        return values


def _read_list(members: Mapping[str, Any], name: str, kind: Any) -> list[Any]:
    """Read a list of parts; null and absent read as empty."""
    parts = members.get(name) or []
    if not isinstance(parts, list):
        raise NucleusValidationError(name, f"must be a list, got {excerpt(parts)}")
    read = []
    for position, part in enumerate(parts):
        try:
            read.append(kind.from_wire(part))
        except NucleusValidationError as error:
            where = ".".join(filter(None, [name, str(position), error.field]))
            raise NucleusValidationError(where, error.reason) from None
    return read
