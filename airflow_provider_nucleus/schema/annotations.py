"""Ground truth: every annotation type of Nucleus, with the arguments of the official client in the same order.

`annotation_table` names them by their type: it turns rows on their way to Nucleus, and what a server returned, into these.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema import annotation_types
from airflow_provider_nucleus.schema.annotation_base import Shape
from airflow_provider_nucleus.schema.base import (
    Coordinate,
    Embedding,
    Extent,
    Id,
    Label,
    Metadata,
    NullableMetadata,
    OptionalId,
    OptionalText,
    Position,
    Text,
    wire_object,
)
from airflow_provider_nucleus.schema.geometry import Keypoint, Point, Point3D, Segment

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Annotation",
    "AnyAnnotation",
    "BoxAnnotation",
    "CategoryAnnotation",
    "CuboidAnnotation",
    "KeypointsAnnotation",
    "LineAnnotation",
    "MultiCategoryAnnotation",
    "PolygonAnnotation",
    "SceneCategoryAnnotation",
    "SegmentationAnnotation",
]

_COMMON = ("reference_id", "metadata", "track_reference_id", "task_id", "dataset_item_id")


def _keys(*names: str) -> dict[str, str]:
    return {name: name for name in names}


class Annotation(Shape):
    """Base of the ground-truth types."""

    @classmethod
    def described(cls) -> str:
        """Name the kind of object for a message."""
        return f"a {cls.type} annotation"

    @classmethod
    def _read(cls, members: Mapping[str, Any]) -> dict[str, Any]:
        values = super()._read(members)
        if values.get("reference_id") is None:
            raise NucleusValidationError("reference_id", "is missing")
        return values


@wire_object
class BoxAnnotation(annotation_types.Box, Annotation):
    """A box: top left corner `x`, `y`, `width` and `height` in pixels.

    Without `annotation_id` the id is made from label, numbers and reference id, so that the same box is one box.
    """

    wire_keys = _keys("label", "annotation_id", "embedding_vector", *_COMMON)

    label: Label
    x: Coordinate
    y: Coordinate
    width: Extent
    height: Extent
    reference_id: Id
    annotation_id: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    embedding_vector: Embedding = None
    track_reference_id: OptionalText = None
    task_id: OptionalText = field(default=None, repr=False)
    dataset_item_id: OptionalText = field(default=None, repr=False, compare=False, kw_only=True)


@wire_object
class LineAnnotation(annotation_types.Line, Annotation):
    """An open chain of at least two vertices (Points or `{"x": .., "y": ..}`), in pixels."""

    wire_keys = _keys("label", "annotation_id", *_COMMON)

    label: Label
    vertices: list[Point]
    reference_id: Id
    annotation_id: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    track_reference_id: OptionalText = None
    task_id: OptionalText = field(default=None, repr=False)
    dataset_item_id: OptionalText = field(default=None, repr=False, compare=False, kw_only=True)


@wire_object
class PolygonAnnotation(annotation_types.Polygon, Annotation):
    """A closed region of at least three vertices (Points or `{"x": .., "y": ..}`), in pixels."""

    wire_keys = _keys("label", "annotation_id", "embedding_vector", *_COMMON)

    label: Label
    vertices: list[Point]
    reference_id: Id
    annotation_id: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    embedding_vector: Embedding = None
    track_reference_id: OptionalText = None
    task_id: OptionalText = field(default=None, repr=False)
    dataset_item_id: OptionalText = field(default=None, repr=False, compare=False, kw_only=True)


@wire_object
class KeypointsAnnotation(annotation_types.Keypoints, Annotation):
    """Named keypoints, in pixels, and the pairs of positions that the skeleton joins."""

    wire_keys = _keys("label", "annotation_id", *_COMMON)

    label: Label
    keypoints: list[Keypoint]
    names: list[Text]
    reference_id: Id
    skeleton: list[list[Position]] | None = None
    annotation_id: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    track_reference_id: OptionalText = None
    task_id: OptionalText = field(default=None, repr=False)
    dataset_item_id: OptionalText = field(default=None, repr=False, compare=False, kw_only=True)


@wire_object
class CuboidAnnotation(annotation_types.Cuboid, Annotation):
    """A 3D box: centre, length-width-height in metres, `yaw` in radians about z."""

    wire_keys = _keys("label", "annotation_id", *_COMMON)

    label: Label
    position: Point3D
    dimensions: Point3D
    yaw: Coordinate
    reference_id: Id
    annotation_id: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    track_reference_id: OptionalText = None
    task_id: OptionalText = field(default=None, repr=False)
    dataset_item_id: OptionalText = field(default=None, repr=False, compare=False, kw_only=True)


@wire_object
class SegmentationAnnotation(annotation_types.Mask, Annotation):
    """A mask PNG (URL or local path) and what its pixel values stand for; an item has at most one."""

    wire_keys = _keys("mask_url", "annotations", "annotation_id", "reference_id", "dataset_item_id")

    mask_url: Text
    annotations: list[Segment]
    reference_id: Id
    annotation_id: OptionalId = None
    dataset_item_id: OptionalText = field(default=None, repr=False, compare=False, kw_only=True)


@wire_object
class CategoryAnnotation(annotation_types.Category, Annotation):
    """A label for the whole item; without `taxonomy_name` it belongs to the default taxonomy."""

    wire_keys = _keys("label", "taxonomy_name", *_COMMON)

    label: Label
    reference_id: Id
    taxonomy_name: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    track_reference_id: OptionalText = None
    task_id: OptionalText = field(default=None, repr=False)
    dataset_item_id: OptionalText = field(default=None, repr=False, compare=False, kw_only=True)


@wire_object
class MultiCategoryAnnotation(annotation_types.MultiCategory, Annotation):
    """Several labels for the whole item."""

    wire_keys = _keys("labels", "taxonomy_name", *_COMMON)

    labels: list[Label]
    reference_id: Id
    taxonomy_name: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    track_reference_id: OptionalText = None
    task_id: OptionalText = field(default=None, repr=False)
    dataset_item_id: OptionalText = field(default=None, repr=False, compare=False, kw_only=True)


@wire_object
class SceneCategoryAnnotation(annotation_types.SceneCategory, Annotation):
    """A label for a whole scene of a scene dataset; `reference_id` is the scene's."""

    wire_keys = _keys("label", "taxonomy_name", "reference_id", "metadata", "task_id", "dataset_item_id")

    label: Label
    reference_id: Id
    taxonomy_name: OptionalId = None
    metadata: NullableMetadata = field(default_factory=dict)
    task_id: OptionalText = field(default=None, repr=False)
    dataset_item_id: OptionalText = field(default=None, repr=False, compare=False, kw_only=True)


AnyAnnotation: TypeAlias = (
    BoxAnnotation
    | LineAnnotation
    | PolygonAnnotation
    | KeypointsAnnotation
    | CuboidAnnotation
    | SegmentationAnnotation
    | CategoryAnnotation
    | MultiCategoryAnnotation
    | SceneCategoryAnnotation
)
