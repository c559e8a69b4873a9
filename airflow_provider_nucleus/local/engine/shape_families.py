"""The families whose objects have a shape of their own: how each is read from the store, and how COCO's rules apply to it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from airflow_provider_nucleus.evaluation.matching.coco import BOX_OPTIONS, KEYPOINT_OPTIONS, CocoOptions
from airflow_provider_nucleus.evaluation.sides.areas import COCO_AREAS, AreaRange
from airflow_provider_nucleus.local.annotation_table import types_of_family
from airflow_provider_nucleus.local.engine.keypoints import KEYPOINT_COLUMNS, keypoint_shapes
from airflow_provider_nucleus.local.engine.shapes import (
    AREA_COLUMNS,
    CUBOID_COLUMNS,
    area_shapes,
    cuboid_shapes,
)
from airflow_provider_nucleus.local.engine.sides import PARTITION_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from airflow_provider_nucleus.evaluation.sides.columns import Geometry
    from airflow_provider_nucleus.local.annotation_table import FamilyName

__all__ = ["SHAPE_FAMILIES", "OverlapKind", "ShapeFamily"]

OverlapKind: TypeAlias = Literal["exact", "raster", "bev"]
"""Exact area or volume; pixels as COCO draws outlines; footprints, seen from above."""

_ANY_AREA: Final = AreaRange("all", 0.0, float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeFamily:
    """Types of object that are compared with each other by their shapes."""

    name: FamilyName

    title: str
    """Its objects in a message, plural."""

    columns: str
    """The geometry as SQL: select list and source."""

    shapes: Callable[[pa.Table, pa.Table], tuple[Geometry, Geometry]]
    """The shapes of ground truth and predictions, from rows read with `columns`."""

    coco: CocoOptions
    """Options of COCO for its named numbers."""

    evaluated: CocoOptions
    """Options of the matching by confidence in an evaluation, which leaves sizes to the reader."""

    sized: bool
    """True when areas are square pixels."""

    overlap: OverlapKind | None = None
    """Measure that it can be compared by besides exact overlap."""

    rows: int = PARTITION_ROWS
    """Number of objects of both sides that are matched in one step."""

    @property
    def types(self) -> tuple[str, ...]:
        """The types of object it compares."""
        return types_of_family(self.name)


SHAPE_FAMILIES: Final[Mapping[str, ShapeFamily]] = MappingProxyType({
    family.name: family
    for family in (
        ShapeFamily(
            name="area",
            title="boxes and polygons",
            columns=AREA_COLUMNS,
            shapes=lambda truth, predictions: (area_shapes(truth), area_shapes(predictions)),
            coco=BOX_OPTIONS,
            evaluated=BOX_OPTIONS,
            sized=True,
            overlap="raster",
        ),
        ShapeFamily(
            name="cuboid",
            title="cuboids",
            columns=CUBOID_COLUMNS,
            shapes=lambda truth, predictions: (cuboid_shapes(truth), cuboid_shapes(predictions)),
            coco=CocoOptions(areas=(_ANY_AREA,)),
            evaluated=BOX_OPTIONS,
            sized=False,
            overlap="bev",
        ),
        ShapeFamily(
            name="keypoints",
            title="keypoints",
            columns=KEYPOINT_COLUMNS,
            shapes=keypoint_shapes,
            coco=KEYPOINT_OPTIONS,
            evaluated=CocoOptions(areas=COCO_AREAS, max_detections=KEYPOINT_OPTIONS.max_detections),
            sized=True,
            rows=20_000,
        ),
    )
})
