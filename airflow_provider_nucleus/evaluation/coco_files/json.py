"""COCO files to columns: ground truth documents and result lists, for boxes, masks or keypoints.

What cannot be evaluated is either an error that names the row, or it is left out and counted with the reason in
`excluded`; nothing disappears silently.
"""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import orjson

from airflow_provider_nucleus.evaluation.coco_files.bulk import BULK_BYTES, BoxRows, read_box_rows
from airflow_provider_nucleus.evaluation.coco_files.ids import IdCodes
from airflow_provider_nucleus.evaluation.coco_files.shapes import (
    keypoints_of_results,
    keypoints_of_truth,
    masks_of,
)
from airflow_provider_nucleus.evaluation.notes import Note, boxes_as_masks
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.sides.columns import Columns, columns
from airflow_provider_nucleus.evaluation.sides.labels import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.sides.columns import Geometry

__all__ = [
    "UNKNOWN_CATEGORY",
    "CocoFormatError",
    "CocoResults",
    "CocoTruth",
    "IouType",
    "Rows",
    "read_results",
    "read_truth",
]

IouType = Literal["bbox", "segm", "keypoints"]
Rows = list[dict[str, Any]]

UNKNOWN_CATEGORY = "category unknown to the ground truth"


class CocoFormatError(ValueError):
    """A file is not what it should be: names the file, the row and what to correct."""


@dataclass(frozen=True, slots=True, eq=False)
class CocoTruth:
    """A ground truth document: its ids, its vocabulary and its annotations of one kind.

    *sizes* holds height and width per image, 0 where the document has none. *excluded* counts rows left out by
    reason.
    """

    images: IdCodes
    categories: IdCodes
    vocabulary: Vocabulary
    sizes: IndexArray
    iou_type: IouType
    columns: Columns
    excluded: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class CocoResults:
    """A result list encoded against one ground truth; *excluded* counts rows left out by reason.

    *notes* say of rows that they were taken for something they do not say they are.
    """

    columns: Columns
    excluded: Mapping[str, int]
    notes: tuple[Note, ...] = ()


def read_truth(source: Path | bytes, *, iou_type: IouType = "bbox") -> CocoTruth:
    """Read a COCO document (a path or its bytes). Raises CocoFormatError, or OSError when it cannot be opened."""
    where, document = _parse(source)
    if not isinstance(document, dict):
        raise CocoFormatError(
            f"{where} is a list: ground truth is an object with images, categories, annotations"
        )
    for key in ("images", "categories", "annotations"):
        if not isinstance(document.get(key), list):
            raise CocoFormatError(f"{where} has no list {key!r}: it is not a COCO ground truth document")
    try:
        images = IdCodes.of((image["id"] for image in document["images"]), what="image")
        categories = IdCodes.of((category["id"] for category in document["categories"]), what="category")
    except (KeyError, TypeError) as error:
        raise CocoFormatError(f"{where}: an image or a category has no id ({error})") from None
    except ValueError as error:
        raise CocoFormatError(f"{where}: {error}") from None
    sizes = np.zeros((len(images), 2), dtype=np.int64)
    codes = images.encode([image["id"] for image in document["images"]])
    given = [(image.get("height") or 0, image.get("width") or 0) for image in document["images"]]
    try:
        sizes[codes] = np.array(given, dtype=np.int64).reshape(-1, 2)
    except (ValueError, TypeError, OverflowError) as error:
        raise CocoFormatError(
            f"{where}: width and height of images must be whole numbers ({error})"
        ) from None
    reader = _RowReader(where=where, images=images, categories=categories, sizes=sizes)
    side, excluded = reader.truth(document["annotations"], iou_type)
    return CocoTruth(
        images=images,
        categories=categories,
        vocabulary=_vocabulary(document["categories"], categories),
        sizes=sizes,
        iou_type=iou_type,
        columns=side,
        excluded=excluded,
    )


def read_results(source: Path | bytes, truth: CocoTruth) -> CocoResults:
    """Read a COCO result list (a path or its bytes) against a ground truth, for the kind the truth was read for.

    Results of categories the ground truth does not have are left out and counted, as pycocotools leaves them out. A
    result on an image it does not have raises CocoFormatError: then the two files do not belong together.
    """
    if isinstance(source, Path) and truth.iou_type == "bbox" and source.stat().st_size >= BULK_BYTES:
        bulk = read_box_rows(source)
        if bulk is not None:
            return _bulk_results(bulk, truth, where=source.name)
    where, rows = _parse(source)
    if isinstance(rows, dict) and isinstance(rows.get("annotations"), list):
        rows = rows["annotations"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CocoFormatError(f"{where} is not a COCO result list: a JSON list of objects")
    reader = _RowReader(where=where, images=truth.images, categories=truth.categories, sizes=truth.sizes)
    return reader.results(rows, truth.iou_type)


def _parse(source: Path | bytes) -> tuple[str, Any]:
    where = "the document" if isinstance(source, bytes) else source.name
    text = source if isinstance(source, bytes) else source.read_bytes()
    # A million small objects make the cyclic collector run all the time; none of them can be part of a cycle.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return where, orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CocoFormatError(
            f"{where} is not JSON (NaN and Infinity are not allowed either): {error}"
        ) from None
    finally:
        if collecting:
            gc.enable()


def _bulk_results(rows: BoxRows, truth: CocoTruth, *, where: str) -> CocoResults:
    """Encode results that were read as columns; the same rules as row by row."""
    image, category = truth.images.encode(rows.image_id), truth.categories.encode(rows.category_id)
    if (image < 0).any():
        row = int(np.argmax(image < 0))
        raise CocoFormatError(_foreign_image(where, row, int(rows.image_id[row]), int((image < 0).sum())))
    excluded = _reasons({UNKNOWN_CATEGORY: int((category < 0).sum())})
    boxes, score = rows.boxes, rows.score
    if excluded:
        kept = np.flatnonzero(category >= 0)
        image, category, boxes, score = image[kept], category[kept], boxes.take(kept), score[kept]
    try:
        return CocoResults(columns(boxes, image, label=category, confidence=score), excluded)
    except ValueError as error:
        raise CocoFormatError(f"{where}, {error}") from None


def _foreign_image(where: str, row: int, image: object, count: int) -> str:
    return (
        f"{where}, result {row}: image {image!r} is not in the ground truth"
        f" ({count} results like it); do the two files belong together?"
    )


def _vocabulary(categories: Rows, codes: IdCodes) -> Vocabulary:
    """Name the categories by code; names that several categories share get their id behind them."""
    names = [""] * len(codes)
    used = Counter(str(category.get("name", category["id"])) for category in categories)
    for category, code in zip(categories, codes.encode([category["id"] for category in categories])):
        name = str(category.get("name", category["id"]))
        names[code] = name if used[name] == 1 else f"{name} ({category['id']})"
    return Vocabulary(tuple(names))


@dataclass(frozen=True, slots=True)
class _RowReader:
    """Turns rows into columns for one pair of id spaces."""

    where: str
    images: IdCodes
    categories: IdCodes
    sizes: IndexArray

    def truth(self, rows: Rows, iou_type: IouType) -> tuple[Columns, dict[str, int]]:
        image, category = self._ids(rows, "image_id"), self._ids(rows, "category_id")
        unknown_image, unknown_category = image < 0, (image >= 0) & (category < 0)
        rows, image, category = self._keep(rows, image, category)
        excluded = _reasons({
            "annotation of an image that is not listed": int(unknown_image.sum()),
            "annotation of a category that is not listed": int(unknown_category.sum()),
        })
        name = self._naming(rows)
        crowd = np.array([bool(row.get("iscrowd", 0)) for row in rows], dtype=np.bool_)
        ignore = np.zeros(len(rows), dtype=np.bool_)
        geometry: Geometry
        if iou_type == "segm":
            geometry = self._masks(self._segmentations(rows, "annotations"), image, name)
            area = self._areas(rows, geometry.area)
        else:
            boxes = Boxes.from_xywh(self._table(rows, "bbox"))
            area = self._areas(rows, boxes.area)
            geometry = boxes
            if iou_type == "keypoints":
                flat = [self._field(row, "keypoints", index) for index, row in enumerate(rows)]
                box = np.stack([boxes.x, boxes.y, boxes.width, boxes.height], axis=1)
                keypoints = self._checked(keypoints_of_truth, flat, box=box, area=area, name=name)
                labelled = keypoints.labelled.sum(axis=1)
                counts = [row.get("num_keypoints", labelled[index]) for index, row in enumerate(rows)]
                ignore |= self._checked(np.array, counts, dtype=np.int64) == 0
                geometry = keypoints
        side = self._checked(
            columns, geometry, image, label=category, crowd=crowd, ignore=ignore, area=area,
            ids=[row.get("id", "none") for row in rows],
        )  # fmt: skip
        return side, excluded

    def results(self, rows: Rows, iou_type: IouType) -> CocoResults:
        image, category = self._ids(rows, "image_id"), self._ids(rows, "category_id")
        if (image < 0).any():
            row = int(np.argmax(image < 0))
            raise CocoFormatError(
                _foreign_image(self.where, row, rows[row]["image_id"], int((image < 0).sum()))
            )
        excluded = _reasons({UNKNOWN_CATEGORY: int((category < 0).sum())})
        boxed = bool(rows) and bool(rows[0].get("bbox"))
        rows, image, category = self._keep(rows, image, category)
        name = self._naming(rows)
        geometry: Geometry
        area: FloatArray | None = None
        notes: list[Note] = []
        if iou_type == "keypoints":
            flat = [self._field(row, "keypoints", index) for index, row in enumerate(rows)]
            geometry = self._checked(keypoints_of_results, flat, name=name)
        elif iou_type == "segm":
            if boxed:
                # As pycocotools: where results carry a box, its area is what size ranges look at, and it is the mask of
                # a result that has none.
                area = Boxes.from_xywh(self._table(rows, "bbox")).area
                shapes = [row["segmentation"] if "segmentation" in row else [row["bbox"]] for row in rows]
                notes = boxes_as_masks(sum("segmentation" not in row for row in rows))
            else:
                shapes = self._segmentations(rows, "results")
            geometry = self._masks(shapes, image, name)
        elif boxed or not rows or "segmentation" not in rows[0]:
            geometry = Boxes.from_xywh(self._table(rows, "bbox"))
        else:
            masks = self._masks(self._segmentations(rows, "results"), image, name)
            geometry, area = masks.bounding_boxes, masks.area
        scores = [row.get("score") for row in rows]
        for index, score in enumerate(scores):
            # NumPy would read true as 1 and "0.9" as 0.9.
            if score is not None and type(score) is not float and type(score) is not int:
                raise CocoFormatError(f"{name(index)}: score is {score!r}, not a number")
        side = self._checked(columns, geometry, image, label=category, confidence=scores, area=area)
        return CocoResults(side, excluded, tuple(notes))

    def _ids(self, rows: Rows, key: str) -> IndexArray:
        id_codes = self.images if key == "image_id" else self.categories
        try:
            values = [row[key] for row in rows]
            array = np.array(values) if values else np.zeros(0, dtype=np.int64)
            return id_codes.encode(array if array.dtype == np.int64 and array.ndim == 1 else values)
        except KeyError:
            row = next(index for index, row in enumerate(rows) if key not in row)
            raise CocoFormatError(f"{self.where}, row {row} has no {key!r}") from None
        except (ValueError, OverflowError) as error:
            raise CocoFormatError(f"{self.where}: {key}: {error}") from None

    @staticmethod
    def _keep(rows: Rows, image: IndexArray, category: IndexArray) -> tuple[Rows, IndexArray, IndexArray]:
        kept = (image >= 0) & (category >= 0)
        if kept.all():
            return rows, image, category
        return [row for row, keep in zip(rows, kept) if keep], image[kept], category[kept]

    def _naming(self, rows: Rows) -> Callable[[int], str]:
        return lambda index: f"{self.where}, row {index} (id {rows[index].get('id', 'none')!r})"

    def _field(self, row: dict[str, Any], key: str, index: int) -> Any:
        if key not in row:
            raise CocoFormatError(f"{self.where}, row {index} (id {row.get('id', 'none')!r}) has no {key!r}")
        return row[key]

    def _table(self, rows: Rows, key: str) -> FloatArray:
        try:
            values = [row[key] for row in rows]
            if set(map(len, values)) <= {4}:
                flat = np.fromiter(chain.from_iterable(values), dtype=np.float64, count=4 * len(rows))
                return flat.reshape(-1, 4)
        except KeyError:
            values = [self._field(row, key, index) for index, row in enumerate(rows)]
        except (TypeError, ValueError):
            pass
        wrong = next(
            index
            for index, value in enumerate(values)
            if not isinstance(value, list)
            or len(value) != 4
            or not all(isinstance(v, int | float) for v in value)
        )
        raise CocoFormatError(f"{self._naming(rows)(wrong)}: {key} is {values[wrong]!r}, not four numbers")

    def _segmentations(self, rows: Rows, kind: str) -> list[Any]:
        """Return what the rows are drawn with; a box is no mask, so a row without a segmentation is refused."""
        missing = [index for index, row in enumerate(rows) if not row.get("segmentation")]
        if missing:
            raise CocoFormatError(
                f"{self._naming(rows)(missing[0])} has no 'segmentation' ({len(missing)} {kind} like it): add it, or "
                "compare boxes with iou type bbox"
            )
        return [row["segmentation"] for row in rows]

    def _masks(self, shapes: list[Any], image: IndexArray, name: Callable[[int], str]) -> Any:
        sizes = self.sizes[image]
        if (sizes <= 0).any():
            at = int(image[np.argmax((sizes <= 0).any(axis=1))])
            raise CocoFormatError(f"image {self.images.ids[at]!r} has no width and height: masks need them")
        return self._checked(masks_of, shapes, sizes=sizes, name=name)

    def _areas(self, rows: Rows, default: FloatArray) -> FloatArray:
        given = [row.get("area") for row in rows]
        try:
            area = np.array([np.nan if value is None else value for value in given], dtype=np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise CocoFormatError(f"{self.where}: area must be a number ({error})") from None
        return np.where(np.isnan(area), default, area)

    def _checked(self, build: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a constructor and put the file's name in front of its error."""
        try:
            return build(*arguments, **named)
        except CocoFormatError:
            raise
        except (ValueError, TypeError, OverflowError) as error:
            text = str(error)
            raise CocoFormatError(text if text.startswith(self.where) else f"{self.where}, {text}") from None


def _reasons(counts: dict[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in counts.items() if count}
