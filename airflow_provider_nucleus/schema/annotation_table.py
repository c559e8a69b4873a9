"""The table of annotation types: names on the wire, classes, and the rule by which rows of a type are identified.

Parsers, readers, exports, uploads and mappings are made from it, so a new type is one record here beside its classes. What the
embedded server does with a type stands in a table of its own, `local.annotation_table`; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.annotations import (
    BoxAnnotation,
    CategoryAnnotation,
    CuboidAnnotation,
    KeypointsAnnotation,
    LineAnnotation,
    MultiCategoryAnnotation,
    PolygonAnnotation,
    SceneCategoryAnnotation,
    SegmentationAnnotation,
)
from airflow_provider_nucleus.schema.base import require_object
from airflow_provider_nucleus.schema.checks import excerpt
from airflow_provider_nucleus.schema.predictions import (
    BoxPrediction,
    CategoryPrediction,
    CuboidPrediction,
    KeypointsPrediction,
    LinePrediction,
    PolygonPrediction,
    SceneCategoryPrediction,
    SegmentationPrediction,
)
from airflow_provider_nucleus.schema.row_fast_path import box_builder, chain_builder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_nucleus.schema.annotations import AnyAnnotation
    from airflow_provider_nucleus.schema.predictions import AnyPrediction

__all__ = [
    "ANNOTATION_TABLE", "ANNOTATION_TYPES", "EXPORT_KEYS", "IDENTITIES", "PREDICTION_TYPES", "RUN_FREE_TYPES",
    "TYPE_BY_GEOMETRY_KEY", "AnnotationType", "Identity", "parse_annotation", "parse_prediction", "read_annotation",
    "read_prediction",
]  # fmt: skip

Identity = Literal["annotation id", "item", "taxonomy"]
"""The key that tells objects of one item apart: an id each; nothing, there is one; the taxonomy, there is one in each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationType:
    """One type of annotation."""

    name: str
    """The value of `type` on the wire."""

    annotation: type[Any]
    prediction: type[Any] | None
    """The class of predictions, None for a type that nothing predicts."""

    scene_annotation: type[Any] | None = None
    scene_prediction: type[Any] | None = None
    """The classes for a whole scene, which travel under the same name."""

    export_key: str = ""
    """The key of its list in exports and single reads, if it is not the name; servers take it for a name as well."""

    identity: Identity = "annotation id"

    run_free: bool = False
    """True when models take its predictions without a run."""

    geometry_key: str | None = None
    """A key that only its geometry has: a row without `type` is recognised by it."""

    builder: Callable[[type[Any]], Callable[[Mapping[str, Any]], Any]] | None = None
    """The builder of the fast path from plainly good rows to objects of a class (see `row_fast_path`)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that rows may give it."""
        return (self.name, self.export_key) if self.export_key else (self.name,)


ANNOTATION_TABLE: Final = (
    AnnotationType(
        name="box",
        annotation=BoxAnnotation,
        prediction=BoxPrediction,
        run_free=True,
        geometry_key="x",
        builder=box_builder,
    ),
    AnnotationType(
        name="line",
        annotation=LineAnnotation,
        prediction=LinePrediction,
        builder=chain_builder,
    ),
    AnnotationType(
        name="polygon",
        annotation=PolygonAnnotation,
        prediction=PolygonPrediction,
        run_free=True,
        builder=chain_builder,
    ),
    AnnotationType(
        name="keypoints",
        annotation=KeypointsAnnotation,
        prediction=KeypointsPrediction,
        geometry_key="keypoints",
    ),
    AnnotationType(
        name="cuboid",
        annotation=CuboidAnnotation,
        prediction=CuboidPrediction,
        run_free=True,
        geometry_key="position",
    ),
    AnnotationType(
        name="mask",
        annotation=SegmentationAnnotation,
        prediction=SegmentationPrediction,
        export_key="segmentation",
        identity="item",
    ),
    AnnotationType(
        name="category",
        annotation=CategoryAnnotation,
        prediction=CategoryPrediction,
        scene_annotation=SceneCategoryAnnotation,
        scene_prediction=SceneCategoryPrediction,
        identity="taxonomy",
    ),
    AnnotationType(
        name="multicategory",
        annotation=MultiCategoryAnnotation,
        prediction=None,
        identity="taxonomy",
    ),
)

ANNOTATION_TYPES: Final[Mapping[str, type[Any]]] = {
    name: kind.annotation for kind in ANNOTATION_TABLE for name in kind.names
}
"""The class of ground truth by every name a row may give."""

PREDICTION_TYPES: Final[Mapping[str, type[Any]]] = {
    name: kind.prediction for kind in ANNOTATION_TABLE if kind.prediction is not None for name in kind.names
}
"""The class of predictions by every name a row may give."""

IDENTITIES: Final[Mapping[str, Identity]] = {
    name: kind.identity for kind in ANNOTATION_TABLE for name in kind.names
}
"""The rule of identity by every name a row may give."""

EXPORT_KEYS: Final = tuple(kind.export_key or kind.name for kind in ANNOTATION_TABLE)
"""The keys under which exports and single reads group objects."""

RUN_FREE_TYPES: Final = tuple(kind.name for kind in ANNOTATION_TABLE if kind.run_free)
"""The types that models take without a run."""

TYPE_BY_GEOMETRY_KEY: Final[Mapping[str, str]] = {
    kind.geometry_key: kind.name for kind in ANNOTATION_TABLE if kind.geometry_key is not None
}
"""The type that a key of a geometry gives away."""


@dataclass(frozen=True, slots=True)
class _Parser:
    """The types of one side, ground truth or predictions; `what` is one object in a message, with its article."""

    what: str
    types: Mapping[str, type[Any]]
    fast_paths: Mapping[str, Callable[[Mapping[str, Any]], Any]]

    def parse(self, payload: Mapping[str, Any], *, ignore_unknown: bool) -> Any:
        kind = self._pick(payload)
        build = self.fast_paths.get(payload["type"])
        if build is not None and (built := build(payload)) is not None:
            return built
        return kind.parse(payload, ignore_unknown=ignore_unknown)

    def read(self, payload: object) -> Any:
        members = require_object(payload, self.what)
        kind = self.types.get(str(members.get("type")), self.types["mask"])
        return kind.from_wire(members)

    def _pick(self, payload: object) -> type[Any]:
        members = require_object(payload, f"a row of {self.what.partition(' ')[2]}s")
        name = members.get("type")
        if name is None:
            raise NucleusValidationError("type", f"is missing; it is one of {', '.join(self.types)}")
        kind = self.types.get(name) if isinstance(name, str) else None
        if kind is None:
            raise NucleusValidationError(
                "type", f"must be one of {', '.join(self.types)}, got {excerpt(name)}"
            )
        return kind


def _parser(what: str, types: Mapping[str, type[Any]]) -> _Parser:
    fast_paths = {
        kind.name: kind.builder(types[kind.name])
        for kind in ANNOTATION_TABLE
        if kind.builder is not None and kind.name in types
    }
    return _Parser(what, types, fast_paths)


_ANNOTATIONS: Final = _parser("an annotation", ANNOTATION_TYPES)
_PREDICTIONS: Final = _parser("a prediction", PREDICTION_TYPES)


def parse_annotation(payload: Mapping[str, Any], *, ignore_unknown: bool = False) -> AnyAnnotation:
    """Validate one ground-truth row and build it, by its `type`.

    The object may share its metadata and lists with the row. Raises NucleusValidationError naming the key; unknown keys
    are an error, because a misspelt key would be lost in silence, unless `ignore_unknown`.
    """
    return _ANNOTATIONS.parse(payload, ignore_unknown=ignore_unknown)  # type: ignore[no-any-return]


def read_annotation(payload: object) -> AnyAnnotation:
    """Read one annotation a server returned; a type that is in no table is read as a mask, as the official client does."""
    return _ANNOTATIONS.read(payload)  # type: ignore[no-any-return]


def parse_prediction(payload: Mapping[str, Any], *, ignore_unknown: bool = False) -> AnyPrediction:
    """Validate one prediction row and build it, by its `type`; the rules are those of `parse_annotation`."""
    return _PREDICTIONS.parse(payload, ignore_unknown=ignore_unknown)  # type: ignore[no-any-return]


def read_prediction(payload: object) -> AnyPrediction:
    """Read one prediction a server returned; a type that is in no table is read as a mask, as the official client does."""
    return _PREDICTIONS.read(payload)  # type: ignore[no-any-return]
