"""Predictions of a model: every type, with the arguments of the official client in the same order.

A prediction names its item by `reference_id` or, for uploads that span datasets, by `dataset_item_id` or by `dataset_id` and
`reference_id`. `annotation_table` names the types: it turns rows on their way to Nucleus, and what a server returned, into these.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema import annotation_types
from airflow_provider_nucleus.schema.annotation_base import Shape
from airflow_provider_nucleus.schema.base import (
    ClassPdf,
    Confidence,
    Coordinate,
    Embedding,
    Extent,
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
    "AnyPrediction",
    "BoxPrediction",
    "CategoryPrediction",
    "CuboidPrediction",
    "KeypointsPrediction",
    "LinePrediction",
    "PolygonPrediction",
    "Prediction",
    "SceneCategoryPrediction",
    "SegmentationPrediction",
]

_TARGET = {
    "reference_id": "reference_id",
    # Sent as item_id, returned as dataset_item_id; a row may carry either.
    "item_id": "dataset_item_id",
    "dataset_item_id": "dataset_item_id",
    "dataset_id": "dataset_id",
}


def _keys(*names: str) -> dict[str, str]:
    return {name: name for name in ("metadata", "confidence", *names)} | _TARGET


class Prediction(Shape):
    """Base of the prediction types: adds confidence, class distribution and the target ids to a shape.

    Equality leaves the target ids out, as the official client does, so that what is read back equals what was sent.
    """

    # The official client sends a null task id with predictions and never anything else.
    read_only_keys = frozenset({"task_id"})

    if TYPE_CHECKING:
        confidence: Any
        class_pdf: Any
        dataset_item_id: Any
        dataset_id: Any
    else:
        task_id = None

    def __post_init__(self) -> None:
        if self.reference_id is None and self.dataset_item_id is None:
            raise NucleusValidationError(
                "reference_id", "is missing, and so is dataset_item_id: name the item by one"
            )
        super_check = getattr(super(), "__post_init__", None)
        if super_check is not None:
            super_check()

    def to_wire(self) -> dict[str, Any]:
        """Spell the prediction exactly as the official client sends it; keys only predictions have come last, if set."""
        wire = super().to_wire()
        for key in ("confidence", "class_pdf"):
            value = getattr(self, key, None)
            if value is not None:
                wire[key] = value
        if self.dataset_item_id is not None:
            wire["item_id"] = self.dataset_item_id
        if self.dataset_id is not None:
            wire["dataset_id"] = self.dataset_id
        return wire

    @classmethod
    def described(cls) -> str:
        """Name the kind of object for a message."""
        return f"a {cls.type} prediction"

    @classmethod
    def _read(cls, members: Mapping[str, Any]) -> dict[str, Any]:
        values = super()._read(members)
        if values.get("reference_id") is None and values.get("dataset_item_id") is None:
            raise NucleusValidationError("reference_id", "is missing, and so is dataset_item_id")
        return values


@wire_object
class BoxPrediction(Prediction, annotation_types.Box):
    """A predicted box: top left corner, width and height in pixels; confidence 0 to 1."""

    wire_keys = _keys("label", "annotation_id", "class_pdf", "embedding_vector", "track_reference_id")

    label: Label
    x: Coordinate
    y: Coordinate
    width: Extent
    height: Extent
    reference_id: OptionalId = None
    confidence: Confidence = None
    annotation_id: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    class_pdf: ClassPdf = None
    embedding_vector: Embedding = None
    track_reference_id: OptionalText = None
    dataset_item_id: OptionalText = field(default=None, compare=False, kw_only=True)
    dataset_id: OptionalText = field(default=None, compare=False, kw_only=True)


@wire_object
class LinePrediction(Prediction, annotation_types.Line):
    """A predicted open chain of at least two vertices, in pixels."""

    wire_keys = _keys("label", "annotation_id", "class_pdf", "track_reference_id")

    label: Label
    vertices: list[Point]
    reference_id: OptionalId = None
    confidence: Confidence = None
    annotation_id: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    class_pdf: ClassPdf = None
    track_reference_id: OptionalText = None
    dataset_item_id: OptionalText = field(default=None, compare=False, kw_only=True)
    dataset_id: OptionalText = field(default=None, compare=False, kw_only=True)


@wire_object
class PolygonPrediction(Prediction, annotation_types.Polygon):
    """A predicted closed region of at least three vertices, in pixels."""

    wire_keys = _keys("label", "annotation_id", "class_pdf", "embedding_vector", "track_reference_id")

    label: Label
    vertices: list[Point]
    reference_id: OptionalId = None
    confidence: Confidence = None
    annotation_id: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    class_pdf: ClassPdf = None
    embedding_vector: Embedding = None
    track_reference_id: OptionalText = None
    dataset_item_id: OptionalText = field(default=None, compare=False, kw_only=True)
    dataset_id: OptionalText = field(default=None, compare=False, kw_only=True)


@wire_object
class KeypointsPrediction(Prediction, annotation_types.Keypoints):
    """Predicted named keypoints, in pixels, and their skeleton."""

    wire_keys = _keys("label", "annotation_id", "class_pdf", "track_reference_id")

    label: Label
    keypoints: list[Keypoint]
    names: list[Text]
    skeleton: list[list[Position]] | None
    reference_id: OptionalId = None
    confidence: Confidence = None
    annotation_id: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    class_pdf: ClassPdf = None
    track_reference_id: OptionalText = None
    dataset_item_id: OptionalText = field(default=None, compare=False, kw_only=True)
    dataset_id: OptionalText = field(default=None, compare=False, kw_only=True)


@wire_object
class CuboidPrediction(Prediction, annotation_types.Cuboid):
    """A predicted 3D box: centre, length-width-height in metres, yaw in radians about z."""

    wire_keys = _keys("label", "annotation_id", "class_pdf", "track_reference_id")

    label: Label
    position: Point3D
    dimensions: Point3D
    yaw: Coordinate
    reference_id: OptionalId = None
    confidence: Confidence = None
    annotation_id: OptionalId = None
    metadata: Metadata = field(default_factory=dict)
    class_pdf: ClassPdf = None
    track_reference_id: OptionalText = None
    dataset_item_id: OptionalText = field(default=None, compare=False, kw_only=True)
    dataset_id: OptionalText = field(default=None, compare=False, kw_only=True)


@wire_object
class SegmentationPrediction(Prediction, annotation_types.Mask):
    """A predicted mask; its confidences, if any, are metadata of the segments."""

    wire_keys = {
        "mask_url": "mask_url",
        "annotations": "annotations",
        "annotation_id": "annotation_id",
    } | _TARGET

    mask_url: Text
    annotations: list[Segment]
    reference_id: OptionalId = None
    annotation_id: OptionalId = None
    dataset_item_id: OptionalText = field(default=None, compare=False)
    dataset_id: OptionalText = field(default=None, compare=False, kw_only=True)


@wire_object
class CategoryPrediction(Prediction, annotation_types.Category):
    """A predicted label for the whole item."""

    wire_keys = _keys("label", "taxonomy_name", "class_pdf", "track_reference_id")

    label: Label
    reference_id: OptionalId = None
    taxonomy_name: OptionalId = None
    confidence: Confidence = None
    metadata: Metadata = field(default_factory=dict)
    class_pdf: ClassPdf = None
    track_reference_id: OptionalText = None
    dataset_item_id: OptionalText = field(default=None, compare=False, kw_only=True)
    dataset_id: OptionalText = field(default=None, compare=False, kw_only=True)


@wire_object
class SceneCategoryPrediction(Prediction, annotation_types.SceneCategory):
    """A predicted label for a whole scene; `reference_id` is the scene's."""

    type = "category"
    wire_keys = _keys("label", "taxonomy_name")

    label: Label
    reference_id: OptionalId = None
    taxonomy_name: OptionalId = None
    confidence: Confidence = None
    metadata: NullableMetadata = None
    dataset_item_id: OptionalText = field(default=None, compare=False, kw_only=True)
    dataset_id: OptionalText = field(default=None, compare=False, kw_only=True)


AnyPrediction: TypeAlias = (
    BoxPrediction
    | LinePrediction
    | PolygonPrediction
    | KeypointsPrediction
    | CuboidPrediction
    | SegmentationPrediction
    | CategoryPrediction
    | SceneCategoryPrediction
)
