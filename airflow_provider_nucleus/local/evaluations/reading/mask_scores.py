"""Pixel scores of index masks: IoU per label, mean IoU, pixel accuracy, frequency-weighted IoU, panoptic quality.

Pixels are read from the masks that are stored now; which segments take part and what they are called is what the
evaluation has (labels grouped, excluded ones gone). A truth pixel of no segment is not labelled and left out; a predicted
pixel of no segment misses what is there. Labels of the option `ignore_labels` are none, on either side. Segments of one label in one mask are one class for the pixel scores and
different things for panoptic quality.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from airflow_provider_nucleus.evaluation.images.panoptic import (
    VOID,
    PanopticCounts,
    panoptic_counts,
    panoptic_scores,
)
from airflow_provider_nucleus.evaluation.images.semantic import PixelCounts, pixel_counts, semantic_scores
from airflow_provider_nucleus.evaluation.metric import ratio, undefined, zero_when_undefined
from airflow_provider_nucleus.local.engine.masks import MaskError, read_pixels
from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError
from airflow_provider_nucleus.local.store.ids import ITEM, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, KeysView, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray
    from airflow_provider_nucleus.evaluation.images.panoptic import PanopticClassScores
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.evaluations.reading.selection import Selection
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["mask_scores_of"]

_LABELS_LIMIT: Final = 2_000
"""Labels of masks: one matrix has labels x labels cells."""
_GROUPS_LIMIT: Final = 200
_CELLS_LIMIT: Final = 100_000_000
"""Cells of the matrices of all groups together, 8 bytes each."""
_CELLS_LISTED: Final = 10_000
"""Cells of the confusion matrix in an answer."""
_SEGMENTS_LIMIT: Final = 4_000
"""Segments of one mask: panoptic quality compares each with each."""

_PIXEL_SCORES: Final = (
    "mean_iou", "mean_iou_all_classes", "frequency_weighted_iou", "pixel_accuracy", "mean_accuracy",
)  # fmt: skip
_PANOPTIC_SCORES: Final = ("pq", "sq", "rq")
_THINGS: Final = ("true_positives", "false_positives", "false_negatives")
_NOWHERE: Final = "on neither side of any item"


def mask_scores_of(
    cursor: Cursor,
    result: EvaluationResult,
    selection: Selection,
    *,
    mask_path: Callable[[str], Path],
    every_label: bool,
    group_by: str | None = None,
) -> dict[str, Any]:
    """Score the chosen segments pixel by pixel, over all items and per value of an item metadata key.

    `every_label` says that labels were not chosen: the classes are then those of the whole evaluation, whichever items
    are chosen, so that means over all classes can be compared.

    Raises `BadRequestError` where the filters have no meaning for pixels or there is too much to count, and
    `ConflictError` when a mask is no longer what was evaluated.
    """
    masks = selection.ap
    if masks is None or masks.area is not None:
        raise BadRequestError(
            "Scores of masks need a choice of items and labels: leave out gtAreaRange, iouRange, labelEquality, "
            "hasGroundTruth and tideBackground."
        )
    truth = _Side(result, "truth", masks.ground_truth, every_label=every_label)
    predicted = _Side(result, "prediction", masks.predictions, every_label=every_label)
    classes = np.setdiff1d(np.union1d(truth.classes, predicted.classes), _ignored(result))
    if classes.size > _LABELS_LIMIT:
        raise BadRequestError(
            f"Masks have {classes.size} labels, of which {_LABELS_LIMIT} can be scored together: choose some with gtLabels."
        )
    groups = _groups(cursor, result, truth, group_by)
    values = dict.fromkeys(groups.values())
    if len(values) * classes.size**2 > _CELLS_LIMIT or len(values) > _GROUPS_LIMIT:
        raise BadRequestError(
            f"groupBy={group_by} makes {len(values)} groups of {classes.size} labels, which is too many: group by a key "
            f"with up to {_GROUPS_LIMIT} values."
        )
    sums = {value: _Sums(classes.size) for value in values}
    pixels = _Pixels(cursor, result, mask_path, [truth, predicted])
    for image in truth.images:
        sums[groups[image]].add(*pixels.pair(image, truth, predicted, classes))
    names = [result.labels.names[code] for code in classes.tolist()]
    total = _Sums(classes.size)
    for entry in sums.values():
        total.merge(entry)
    found = {
        **total.scores(names),
        **total.confusion(names),
        "ignore_labels": list(result.options.ignore_labels),
        "items_without_ground_truth": len(predicted.images - truth.images),
    }
    if group_by is not None:
        found["group_by"] = group_by
        found["groups"] = [{"value": value, **entry.scores(names)} for value, entry in sums.items()]
    return found


def _ignored(result: EvaluationResult) -> list[int]:
    """Return the codes of the labels that are in no pixel score, by their names as uploaded or as evaluated."""
    names = {result.taxonomy.canonical(label) for label in result.options.ignore_labels}
    return [result.labels.codes[name] for name in sorted(names) if name in result.labels.codes]


class _Side:
    """The chosen segments of one side, by image."""

    def __init__(
        self, result: EvaluationResult, name: str, chosen: BoolArray | None, *, every_label: bool
    ) -> None:
        arrays = result.arrays
        rows = np.flatnonzero(arrays[f"{name}_family"] == result.about["families"].index("mask"))
        label = arrays[f"{name}_label"]
        kept = rows if chosen is None else rows[chosen[rows]]
        self.classes = np.unique(label[rows if every_label else kept])
        kept = kept[np.argsort(arrays[f"{name}_image"][kept], kind="stable")]
        image = arrays[f"{name}_image"][kept]
        self._label, self._segment = label[kept], arrays[f"{name}_segment"][kept]
        self._number = arrays[f"{name}_number"][kept]
        starts = np.flatnonzero(np.diff(image, prepend=-1))
        ends = np.append(starts[1:], image.size)
        self._spans = {
            int(image[start]): (int(start), int(end)) for start, end in zip(starts, ends, strict=False)
        }

    @property
    def images(self) -> KeysView[int]:
        """Places of the items with a chosen segment, ascending."""
        return self._spans.keys()

    @property
    def numbers(self) -> list[int]:
        """Object numbers of the masks, by image."""
        return [int(self._number[start]) for start, _ in self._spans.values()]

    def mask(self, image: int) -> tuple[int, IndexArray, IndexArray]:
        """Return the object number of an image's mask, and index and label code of each segment."""
        start, end = self._spans[image]
        inside = slice(start, end)
        return (
            int(self._number[start]),
            self._segment[inside].astype(np.int64),
            self._label[inside].astype(np.int64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    """A mask as numbers of its segments, 0 for none, and the place of each segment's class (-1 for number 0)."""

    segment: NDArray[np.uint16]
    classes: IndexArray


class _Pixels:
    """Reads the masks of both sides, one image at a time."""

    def __init__(
        self, cursor: Cursor, result: EvaluationResult, path: Callable[[str], Path], sides: Sequence[_Side]
    ) -> None:
        self._result, self._path = result, path
        numbers = [number for side in sides for number in side.numbers]
        self._blobs: dict[int, str] = dict(
            cursor.execute(
                "SELECT object_no, blob FROM masks WHERE object_no IN (SELECT unnest(?::BIGINT[]))", [numbers]
            ).fetchall()
        )

    def pair(self, image: int, truth: _Side, predicted: _Side, classes: IndexArray) -> tuple[_Image, _Image]:
        """Return both masks of an image; without a predicted one, one without segments."""
        actual = self._read(image, truth, classes)
        if image not in predicted.images:
            return actual, _Image(np.zeros_like(actual.segment), np.array([VOID]))
        guess = self._read(image, predicted, classes)
        if guess.segment.shape != actual.segment.shape:
            raise self._changed(image, "ground truth and prediction differ in size")
        return actual, guess

    def _read(self, image: int, side: _Side, classes: IndexArray) -> _Image:
        number, index, code = side.mask(image)
        if index.size > _SEGMENTS_LIMIT:
            raise BadRequestError(
                f"A mask of item {self._name(image)} has {index.size} segments, {_SEGMENTS_LIMIT} can be scored."
            )
        blob = self._blobs.get(number)
        if blob is None:
            raise self._changed(image, "the mask is no longer stored")
        try:
            pixels = read_pixels(self._path(blob))
        except MaskError as error:
            raise self._changed(image, str(error)) from error
        table = np.zeros(max(int(pixels.max(initial=0)), int(index.max())) + 1, dtype=np.uint16)
        table[index] = np.arange(1, index.size + 1)
        place = (
            np.minimum(np.searchsorted(classes, code), classes.size - 1)
            if classes.size
            else np.zeros_like(code)
        )
        known = classes[place] == code if classes.size else np.zeros(code.size, dtype=np.bool_)
        return _Image(table[pixels], np.append(VOID, np.where(known, place, VOID)))

    def _name(self, image: int) -> str:
        return numbered(ITEM, int(self._result.items[image]))

    def _changed(self, image: int, reason: str) -> ConflictError:
        return ConflictError(
            f"A mask of item {self._name(image)} is not what evaluation {self._result.id} has seen ({reason}). Evaluate again."
        )


class _Sums:
    """Counts that add up over images."""

    def __init__(self, classes: int) -> None:
        self._items = 0
        self._pixels = PixelCounts(np.zeros((classes, classes + 1), dtype=np.int64), 0, tuple(range(classes)))
        none = np.zeros(classes, dtype=np.int64)
        self._segments = PanopticCounts(np.zeros(classes), none, none, none)
        self._iou_sum, self._iou_items = np.zeros(classes), none

    def add(self, truth: _Image, predicted: _Image) -> None:
        """Count an image."""
        classes = self._iou_sum.size
        pixels = pixel_counts(
            truth.segment, predicted.segment, classes=classes, truth_classes=truth.classes,
            predicted_classes=predicted.classes,
        )  # fmt: skip
        shared = np.diagonal(pixels.matrix)
        union = pixels.matrix.sum(axis=1) + pixels.matrix[:, :classes].sum(axis=0) - shared
        self._items += 1
        self._pixels += pixels
        self._segments += panoptic_counts(
            truth.segment, predicted.segment, truth_classes=truth.classes, predicted_classes=predicted.classes,
            classes=classes,
        )  # fmt: skip
        self._iou_sum += zero_when_undefined(shared, union)
        self._iou_items = self._iou_items + (union > 0)

    def merge(self, other: _Sums) -> None:
        """Add the counts of other images."""
        self._items += other._items
        self._pixels += other._pixels
        self._segments += other._segments
        self._iou_sum += other._iou_sum
        self._iou_items = self._iou_items + other._iou_items

    def confusion(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the pixels by true and predicted label, the largest cells first; null is a prediction of no label."""
        matrix = self._pixels.matrix
        truth, predicted = np.nonzero(matrix)
        pixels = matrix[truth, predicted]
        order = np.argsort(-pixels, kind="stable")[:_CELLS_LISTED]
        columns = (*names, None)
        return {
            "confusion": [
                {"truth": names[row], "predicted": columns[column], "pixels": count}
                for row, column, count in zip(
                    truth[order].tolist(), predicted[order].tolist(), pixels[order].tolist(), strict=True
                )
            ],
            "confusion_cells_left_out": int(pixels.size - order.size),
        }

    def scores(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the scores of the images counted; labels on neither side are left out of `per_class`."""
        pixel, segment = semantic_scores(self._pixels), panoptic_scores(self._segments)
        panoptic = {scores.label: scores for scores in segment.per_class}
        return {
            "items": self._items,
            "pixels": pixel.pixels,
            "pixels_not_labelled": pixel.left_out,
            "classes": len(names),
            **{name: getattr(pixel, name).to_dict() for name in _PIXEL_SCORES},
            "panoptic": {name: getattr(segment, name).to_dict() for name in _PANOPTIC_SCORES},
            "per_class": [
                {
                    "label": names[scores.label],
                    "truth_pixels": scores.truth_pixels,
                    "predicted_pixels": scores.predicted_pixels,
                    "intersection": scores.intersection,
                    "iou": scores.iou.to_dict(),
                    "item_mean_iou": ratio(
                        float(self._iou_sum[scores.label]),
                        int(self._iou_items[scores.label]),
                        reason=_NOWHERE,
                    ).to_dict(),
                    "precision": scores.precision.to_dict(),
                    "recall": scores.recall.to_dict(),
                    "panoptic": _things(panoptic.get(scores.label)),
                }
                for scores in pixel.per_class
                if scores.truth_pixels or scores.predicted_pixels
            ],
        }


def _things(scores: PanopticClassScores | None) -> dict[str, Any]:
    """Return the panoptic scores of one label."""
    if scores is None:
        nothing = undefined("no segment of this label that counts on either side").to_dict()
        return dict.fromkeys(_PANOPTIC_SCORES, nothing) | dict.fromkeys(_THINGS, 0)
    return {name: getattr(scores, name).to_dict() for name in _PANOPTIC_SCORES} | {
        name: getattr(scores, name) for name in _THINGS
    }


def _groups(cursor: Cursor, result: EvaluationResult, truth: _Side, key: str | None) -> dict[int, Any]:
    """Return per image the value of an item metadata key, as it is stored now; None where there is none."""
    if key is None:
        return dict.fromkeys(truth.images, None)
    numbers = result.items[list(truth.images)].tolist()
    stored = dict(
        cursor.execute(
            "SELECT item_no, metadata FROM items WHERE item_no IN (SELECT unnest(?::BIGINT[]))", [numbers]
        ).fetchall()
    )
    groups: dict[int, Any] = {}
    for image, number in zip(truth.images, numbers, strict=True):
        # A deleted item has no metadata any more; its masks are gone too, which is an error when they are read.
        value = orjson.loads(stored.get(number, "{}")).get(key)
        if not isinstance(value, str | int | float | bool | None):
            raise BadRequestError(
                f"groupBy={key}: the value of an item is {type(value).__name__}, not text or a number."
            )
        groups[image] = value
    return groups
