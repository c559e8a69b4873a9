"""COCO files to columns: ground truth documents and result lists, for boxes, masks or keypoints.

What cannot be evaluated is either an error that names the row, or it is left out and counted with the reason in
`excluded`; nothing disappears silently. The rules are those of uploads (`coco/`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.coco.entries import CocoCategories, CocoImages
from airflow_provider_nucleus.coco.errors import CocoError, placed
from airflow_provider_nucleus.coco.layouts import looks_like
from airflow_provider_nucleus.evaluation.coco_files.bulk import BULK_BYTES, BoxRows, read_box_rows
from airflow_provider_nucleus.evaluation.coco_files.documents import (
    CocoFormatError,
    collector_paused,
    file_name,
    lacks,
    read_document,
)
from airflow_provider_nucleus.evaluation.coco_files.fields import Rows
from airflow_provider_nucleus.evaluation.coco_files.ids import IdCodes
from airflow_provider_nucleus.evaluation.coco_files.rows import (
    UNKNOWN_CATEGORY,
    IouType,
    RowReader,
    foreign_image,
)
from airflow_provider_nucleus.evaluation.notes import Note, boxes_as_masks
from airflow_provider_nucleus.evaluation.overlap.keypoints import KeypointArrays
from airflow_provider_nucleus.evaluation.sides.columns import Columns, columns
from airflow_provider_nucleus.evaluation.sides.labels import Vocabulary
from airflow_provider_nucleus.keypoint_tolerances import Tolerances, tolerances_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.coco.entries import CocoCategory
    from airflow_provider_nucleus.coco.ids import Identifier
    from airflow_provider_nucleus.evaluation.arrays import IndexArray
    from airflow_provider_nucleus.keypoint_tolerances import ChosenSigmas

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


@dataclass(frozen=True, slots=True, eq=False)
class CocoTruth:
    """A ground truth document: its ids, its vocabulary and its annotations of one kind.

    *sizes* holds height and width per image, 0 where the document has none. *excluded* counts rows left out by
    reason. *tolerances* are those of its keypoints, *without_area* is how many objects with keypoints state no area. *ids* are those of
    the annotations as texts, where they were asked for.
    """

    name: str
    images: IdCodes
    categories: IdCodes
    vocabulary: Vocabulary
    sizes: IndexArray
    iou_type: IouType
    columns: Columns
    excluded: Mapping[str, int]
    tolerances: Tolerances | None = None
    without_area: int = 0
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CocoResults:
    """A result list encoded against one ground truth; *excluded* counts rows left out by reason.

    *numbers* are the places of the results in their file, from 1. *notes* say of rows that they were taken for something they do not say they are.
    """

    columns: Columns
    excluded: Mapping[str, int]
    numbers: IndexArray
    notes: tuple[Note, ...] = ()


@collector_paused()
def read_truth(
    source: Path | bytes,
    *,
    iou_type: IouType = "bbox",
    keypoint_sigmas: ChosenSigmas | None = None,
    with_ids: bool = False,
) -> CocoTruth:
    """Read a COCO document (a path or its bytes), plain or compressed.

    *keypoint_sigmas* are the tolerances of keypoints, where they are chosen; *with_ids* keeps the ids of the annotations. Raises CocoFormatError, or OSError when it cannot be opened.
    """
    name = file_name(source)
    document: Any
    document, head = read_document(source)
    if isinstance(document, list):
        raise CocoFormatError(
            f"{name}: is a list: ground truth is an object with images, categories, annotations"
            + (f"; it looks like {likeness}" if (likeness := looks_like(head)) else "")
        )
    sections = ("annotations", "categories", "images")
    if missing := [key for key in sections if not isinstance(document, dict) or key not in document]:
        raise lacks(name, missing, head)
    for key in sections:
        if not isinstance(document[key], list):
            raise CocoFormatError(f"{name}: {key}: must be a list")
    images, sizes = _images(document["images"], name)
    categories = _categories(document["categories"], name)
    codes = IdCodes.of(categories)
    reader = RowReader(
        file=name, truth_file=name, images=images, categories=codes, sizes=sizes, with_ids=with_ids
    )
    rows = reader.truth(document["annotations"], iou_type)
    side, tolerances = rows.columns, None
    if isinstance(side.geometry, KeypointArrays):
        try:
            tolerances = tolerances_of(_keypoint_names(categories, side.geometry), keypoint_sigmas)
        except ValueError as error:
            raise CocoFormatError(f"{name}: {error}") from None
        side = replace(side, geometry=replace(side.geometry, sigmas=np.array(tolerances.sigmas)))
    return CocoTruth(
        name=name,
        images=images,
        categories=codes,
        vocabulary=Vocabulary(tuple(categories[number].name for number in codes.ids)),
        sizes=sizes,
        iou_type=iou_type,
        columns=side,
        excluded=rows.excluded,
        tolerances=tolerances,
        without_area=rows.without_area,
        ids=rows.ids,
    )


@collector_paused()
def read_results(source: Path | bytes, truth: CocoTruth) -> CocoResults:
    """Read a COCO result list (a path or its bytes) against a ground truth, for the kind the truth was read for.

    Results of categories the ground truth does not have are left out and counted, as pycocotools leaves them out. A
    result on an image it does not have raises CocoFormatError: then the two files do not belong together.
    """
    name = file_name(source)
    if isinstance(source, Path) and truth.iou_type == "bbox" and source.stat().st_size >= BULK_BYTES:
        bulk = read_box_rows(source)
        if bulk is not None:
            return _bulk_results(bulk, truth, name=name)
    rows, head = read_document(source)
    if isinstance(rows, dict) and isinstance(rows.get("annotations"), list):
        rows = rows["annotations"]
    likeness = looks_like(head)
    if not isinstance(rows, list) or likeness not in {None, "COCO results"}:
        raise CocoFormatError(
            f"{name}: is not a COCO result list: a JSON list of objects with image_id, category_id and what was found"
            + (f"; it looks like {likeness}" if likeness else "")
        )
    reader = RowReader(
        file=name,
        truth_file=truth.name,
        images=truth.images,
        categories=truth.categories,
        sizes=truth.sizes,
    )
    read = reader.results(rows, truth.iou_type)
    _check_keypoints(read.columns, truth, name)
    return CocoResults(read.columns, read.excluded, read.numbers, tuple(boxes_as_masks(read.stand_ins)))


def _images(entries: list[Any], name: str) -> tuple[IdCodes, IndexArray]:
    """Return the ids of the images in order, and height and width of each, 0 where they are not given."""
    images = CocoImages()
    read = []
    for row, entry in enumerate(entries, 1):
        try:
            read.append(images.add(entry, named=False))
        except CocoError as error:
            raise CocoFormatError(placed(error, file=name, row=row)) from None
    codes = IdCodes.of(image.id for image in read)
    sizes = np.zeros((len(codes), 2), dtype=np.int64)
    for image in read:
        sizes[codes.codes[image.id]] = image.height or 0, image.width or 0
    return codes, sizes


def _categories(entries: list[Any], name: str) -> dict[Identifier, CocoCategory]:
    categories = CocoCategories()
    for row, entry in enumerate(entries, 1):
        try:
            categories.add(entry)
        except CocoError as error:
            raise CocoFormatError(placed(error, file=name, row=row)) from None
    return categories.labelled()


def _keypoint_names(
    categories: Mapping[Identifier, CocoCategory], keypoints: KeypointArrays
) -> tuple[str, ...]:
    """Return the names of the keypoints: those of the categories, where all that name any agree, else their positions."""
    count = keypoints.x.shape[1]
    named = {category.keypoints for category in categories.values() if category.keypoints}
    names = named.pop() if len(named) == 1 else ()
    return names if len(names) == count else tuple(str(position) for position in range(count))


def _check_keypoints(side: Columns, truth: CocoTruth, name: str) -> None:
    own, other = side.geometry, truth.columns.geometry
    if (
        isinstance(own, KeypointArrays)
        and isinstance(other, KeypointArrays)
        and len(own)
        and len(other)
        and own.x.shape[1] != other.x.shape[1]
    ):
        raise CocoFormatError(
            f"{name}: keypoints: its objects have {own.x.shape[1]} points, those of {truth.name} have {other.x.shape[1]}"
        )


def _bulk_results(rows: BoxRows, truth: CocoTruth, *, name: str) -> CocoResults:
    """Encode results that were read as columns; the same rules as row by row."""
    image, category = truth.images.encode(rows.image_id), truth.categories.encode(rows.category_id)
    if (image < 0).any():
        row = int(np.argmax(image < 0))
        count = int((image < 0).sum())
        raise foreign_image(name, row, int(rows.image_id[row]), truth=truth.name, count=count)
    unknown = int((category < 0).sum())
    boxes, score, numbers = rows.boxes, rows.score, np.arange(1, image.size + 1)
    if unknown:
        kept = np.flatnonzero(category >= 0)
        image, category, boxes, score = image[kept], category[kept], boxes.take(kept), score[kept]
        numbers = numbers[kept]
    excluded = {UNKNOWN_CATEGORY: unknown} if unknown else {}
    return CocoResults(columns(boxes, image, label=category, confidence=score), excluded, numbers)
