"""Rows of a COCO file as columns of one side, for boxes, masks or keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from airflow_provider_nucleus.coco.errors import CocoError, placed
from airflow_provider_nucleus.coco.objects import Shape, normal_object, object_ids
from airflow_provider_nucleus.evaluation.coco_files import fields
from airflow_provider_nucleus.evaluation.coco_files.documents import CocoFormatError
from airflow_provider_nucleus.evaluation.coco_files.fields import OddRowsError, Rows
from airflow_provider_nucleus.evaluation.coco_files.shapes import (
    keypoints_of_results,
    keypoints_of_truth,
    masks_of,
)
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.overlap.raster import LongOutlineError
from airflow_provider_nucleus.evaluation.sides.columns import Columns, columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.coco_files.ids import IdCodes
    from airflow_provider_nucleus.evaluation.overlap.keypoints import KeypointArrays
    from airflow_provider_nucleus.evaluation.overlap.rle import Runs
    from airflow_provider_nucleus.evaluation.sides.columns import Geometry

__all__ = ["UNKNOWN_CATEGORY", "IouType", "ResultRows", "RowReader", "TruthRows", "foreign_image"]

IouType: TypeAlias = Literal["bbox", "segm", "keypoints"]
UNKNOWN_CATEGORY = "category unknown to the ground truth"
_SHAPES: dict[IouType, Shape] = {"bbox": "box", "segm": "polygon", "keypoints": "keypoints"}


def foreign_image(file: str, row: int, image: object, *, truth: str, count: int) -> CocoFormatError:
    """Return the error for results on an image that the ground truth does not have; *row* counts from 0."""
    return CocoFormatError(
        placed(
            f"image_id: {image!r} is not among the images of {truth} ({count} results like it); do the two files belong together?",
            file=file,
            row=row + 1,
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class TruthRows:
    """Annotations as columns, how many were left out for which reason, and how many objects with keypoints have no area of their own.

    *ids* are theirs as texts, of those without one `row 7`; empty where they were not asked for.
    """

    columns: Columns
    excluded: dict[str, int]
    without_area: int = 0
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ResultRows:
    """Results as columns, how many were left out for which reason, and how many are boxes that stand for masks.

    *numbers* are the places of the results in their file, from 1.
    """

    columns: Columns
    excluded: dict[str, int]
    numbers: IndexArray
    stand_ins: int = 0


@dataclass(frozen=True, slots=True)
class RowReader:
    """Turns the rows of a file into columns for one pair of id spaces."""

    file: str
    truth_file: str
    images: IdCodes
    categories: IdCodes
    sizes: IndexArray
    with_ids: bool = False

    def truth(self, rows: Rows, iou_type: IouType) -> TruthRows:
        """Return the annotations. Raises CocoFormatError."""
        try:
            return self._truth(rows, iou_type, normal=False)
        except OddRowsError:
            normal = self._by_the_rules(rows, iou_type, predicted=False)
        try:
            return self._truth(normal, iou_type, normal=True)
        except OddRowsError:
            raise self._not_understood() from None

    def results(self, rows: Rows, iou_type: IouType) -> ResultRows:
        """Return the results. Raises CocoFormatError."""
        boxed = bool(rows) and isinstance(rows[0], dict) and _has(rows[0], "bbox")
        try:
            return self._results(rows, iou_type, boxed=boxed, normal=False)
        except OddRowsError:
            normal = self._by_the_rules(rows, iou_type, predicted=True)
        try:
            return self._results(normal, iou_type, boxed=boxed, normal=True)
        except OddRowsError:
            raise self._not_understood() from None

    def _not_understood(self) -> CocoFormatError:
        return CocoFormatError(f"{self.file}: holds objects that cannot be compared with each other")

    def _by_the_rules(self, rows: Rows, iou_type: IouType, *, predicted: bool) -> Rows:
        """Return the rows in their normal form; the first that breaks a rule raises CocoFormatError."""
        normal: Rows = []
        used: set[tuple[Any, Any]] = set()
        for number, row in enumerate(rows, 1):
            try:
                one = self._normal(row, _SHAPES[iou_type], predicted=predicted)
                key = (one["image_id"], one.get("id"))
                if key[1] is not None and key in used:
                    raise CocoError(
                        "id", f"{key[1]!r} is the id of two objects of image {key[0]!r}; ids must be unique"
                    )
            except CocoError as error:
                raise CocoFormatError(placed(error, file=self.file, row=number)) from None
            used.add(key)
            normal.append(one)
        return _even(normal, self.file) if iou_type == "keypoints" else normal

    def _normal(self, row: Any, shape: Shape, *, predicted: bool) -> dict[str, Any]:
        """Return the normal form of a row; of one that belongs nowhere no more than its ids."""
        image, category = object_ids(row)
        code = self.images.codes.get(image)
        if code is None or category not in self.categories.codes:
            return {"image_id": image, "category_id": category}
        height, width = self.sizes[code].tolist()
        return normal_object(row, shape, predicted=predicted, image=(height or None, width or None))

    def _truth(self, rows: Rows, iou_type: IouType, *, normal: bool) -> TruthRows:
        image = fields.id_codes(rows, "image_id", self.images)
        category = fields.id_codes(rows, "category_id", self.categories)
        excluded = _reasons({
            "annotation of an image that is not listed": int((image < 0).sum()),
            "annotation of a category that is not listed": int(((image >= 0) & (category < 0)).sum()),
        })
        numbers = np.arange(1, len(rows) + 1)
        rows, image, category, numbers = _known(rows, image, category, numbers)
        if not normal and fields.has_repeated_ids(rows, image):
            raise OddRowsError
        ignore = np.zeros(len(rows), dtype=np.bool_)
        crowd = fields.crowds(rows)
        geometry: Geometry
        without_area = 0
        if iou_type == "segm":
            geometry = self._masks(self._segmentations(rows, numbers, "annotations"), image, numbers)
            area = fields.areas(rows, geometry.area)
        elif iou_type == "bbox":
            geometry = Boxes.from_xywh(fields.boxes(rows))
            area = fields.areas(rows, geometry.area)
        else:
            geometry, without_area = _keypoints(rows)
            area = geometry.area
            ignore |= ~geometry.labelled.any(axis=1)
        side = columns(geometry, image, label=category, crowd=crowd, ignore=ignore, area=area)
        ids = tuple(map(_id_text, rows, numbers.tolist())) if self.with_ids else ()
        return TruthRows(side, excluded, without_area, ids)

    def _results(self, rows: Rows, iou_type: IouType, *, boxed: bool, normal: bool) -> ResultRows:
        image = fields.id_codes(rows, "image_id", self.images)
        if (image < 0).any():
            row = int(np.argmax(image < 0))
            count = int((image < 0).sum())
            raise foreign_image(self.file, row, rows[row]["image_id"], truth=self.truth_file, count=count)
        category = fields.id_codes(rows, "category_id", self.categories)
        excluded = _reasons({UNKNOWN_CATEGORY: int((category < 0).sum())})
        numbers = np.arange(1, len(rows) + 1)
        rows, image, category, numbers = _known(rows, image, category, numbers)
        if not normal and fields.has_repeated_ids(rows, image):
            raise OddRowsError
        score = fields.scores(rows)
        geometry: Geometry
        area: FloatArray | None = None
        stand_ins = 0
        if iou_type == "keypoints":
            geometry = keypoints_of_results(fields.keypoints(rows))
        elif iou_type == "segm":
            shapes = self._segmentations(rows, numbers, "results", boxed=boxed)
            geometry = self._masks(shapes, image, numbers)
            if boxed:
                # As pycocotools: where results carry a box, its area is what size ranges look at, and it is the mask of
                # a result that has none.
                stand_ins = sum(not _has(row, "segmentation") for row in rows)
                area = geometry.area.copy()
                some = np.array([_has(row, "bbox") for row in rows], dtype=np.bool_)
                area[some] = Boxes.from_xywh(fields.boxes([row for row in rows if _has(row, "bbox")])).area
        else:
            geometry = Boxes.from_xywh(fields.boxes(rows))
            if normal:
                area = fields.areas(rows, geometry.area)
        side = columns(geometry, image, label=category, confidence=score, area=area)
        return ResultRows(side, excluded, numbers, stand_ins)

    def _segmentations(self, rows: Rows, numbers: IndexArray, kind: str, *, boxed: bool = False) -> list[Any]:
        """Return what the rows are drawn with; a box is no mask unless *boxed*, so a row without a segmentation is refused."""
        shapes = [
            row["segmentation"]
            if _has(row, "segmentation")
            else [row["bbox"]]
            if boxed and _has(row, "bbox")
            else None
            for row in rows
        ]
        missing = [index for index, shape in enumerate(shapes) if shape is None or shape == [[]]]
        if missing:
            reason = f"segmentation: is missing ({len(missing)} {kind} like it): add it, or compare boxes with iou type bbox"
            raise CocoFormatError(placed(reason, file=self.file, row=int(numbers[missing[0]])))
        return shapes

    def _masks(self, shapes: list[Any], image: IndexArray, numbers: IndexArray) -> Runs:
        sizes = self.sizes[image]
        if (sizes <= 0).any():
            at = int(image[np.argmax((sizes <= 0).any(axis=1))])
            raise CocoFormatError(
                f"{self.truth_file}: images: {self.images.ids[at]!r} has no width and height: masks need them"
            )
        try:
            return masks_of(shapes, sizes=sizes)
        except LongOutlineError as error:
            reason = f"segmentation: {error}"
            raise CocoFormatError(placed(reason, file=self.file, row=int(numbers[error.mask]))) from None


def _keypoints(rows: Rows) -> tuple[KeypointArrays, int]:
    """Return the keypoints of ground truth, and how many objects have no area of their own."""
    points = fields.keypoints(rows)
    counted = fields.label_counts(rows, np.ones(len(rows), dtype=np.int64)) > 0
    boxed = np.array([_has(row, "bbox") for row in rows], dtype=np.bool_)
    box = np.full((len(rows), 4), np.nan)
    box[boxed] = fields.boxes([row for row in rows if _has(row, "bbox")])
    stated = fields.areas(rows, np.full(len(rows), np.nan))
    keypoints = keypoints_of_truth(
        points, labelled=(points[:, :, 2] > 0) & counted[:, None], box=box, area=stated
    )
    return keypoints, int((np.isnan(stated) & keypoints.labelled.any(axis=1)).sum())


def _has(row: Mapping[str, Any], key: str) -> bool:
    """Return whether a row has a shape; what is wrong about it is for the rules to say."""
    value = row.get(key)
    return value not in (None, []) and not (key == "segmentation" and value == [[]])


def _id_text(row: dict[str, Any], number: int) -> str:
    return f"row {number}" if row.get("id") is None else str(row["id"])


def _known(
    rows: Rows, image: IndexArray, category: IndexArray, numbers: IndexArray
) -> tuple[Rows, IndexArray, IndexArray, IndexArray]:
    """Leave out what belongs to no image or no category."""
    kept = (image >= 0) & (category >= 0)
    if kept.all():
        return rows, image, category, numbers
    return [row for row, keep in zip(rows, kept) if keep], image[kept], category[kept], numbers[kept]


def _even(rows: Rows, file: str) -> Rows:
    """Give objects without any keypoint as many unlabelled ones as the others have."""
    lengths = {len(row["keypoints"]): number for number, row in enumerate(rows, 1) if row.get("keypoints")}
    if len(lengths) > 1:
        (first, _), (second, row), *_ = lengths.items()
        reason = (
            f"keypoints: has {second // 3} points, others have {first // 3}: objects of one file are compared over one list of "
            "keypoints; evaluate each skeleton by itself"
        )
        raise CocoFormatError(placed(reason, file=file, row=row))
    length = next(iter(lengths), 3)
    return [
        row if row.get("keypoints") or "keypoints" not in row else row | {"keypoints": [0] * length}
        for row in rows
    ]


def _reasons(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in counts.items() if count}
