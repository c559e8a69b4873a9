"""Semantic masks: pixel counts of index images, and the scores read from them.

One image pair yields :class:`PixelCounts`, a matrix of (truth class, predicted class) pixels; counts add up over
images, so a dataset of any size needs memory for one image and one matrix.

Some index values mean "not labelled" (0 in ADE20K, 255 in Cityscapes). Named in ``ignore``, truth pixels with such a
value are left out and counted; a prediction of such a value on a labelled pixel is a miss of the true class and a
false alarm of none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.metric import Metric, mean, ratio, zero_when_undefined

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import IndexArray

_NO_PIXELS = "no labelled pixel in the ground truth"
_BLOCK = 1 << 20
"""Pixels histogrammed at a time: bounds the scratch memory at some 16 MB whatever the image size."""


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels by [truth class, predicted class]; the last column counts predictions of no class."""

    matrix: IndexArray
    left_out: int
    """Pixels whose truth is an ignored index."""
    evaluated: tuple[int, ...]
    """Class indices that take part: all below ``classes`` except the ignored ones."""

    def __add__(self, other: PixelCounts) -> PixelCounts:
        """Return the counts of both sets of images; raise ValueError when their classes differ."""
        if self.evaluated != other.evaluated:
            raise ValueError("pixel counts of different classes or ignored indices cannot be added")
        return PixelCounts(self.matrix + other.matrix, self.left_out + other.left_out, self.evaluated)


@dataclass(frozen=True, slots=True)
class PixelClassScores:
    """One class: its pixels on either side and its scores."""

    label: int
    truth_pixels: int
    predicted_pixels: int
    intersection: int
    iou: Metric
    precision: Metric
    recall: Metric


@dataclass(frozen=True, slots=True)
class SemanticScores:
    """The usual numbers of semantic segmentation over all images counted."""

    pixels: int
    left_out: int
    mean_iou: Metric
    """Mean over classes with a pixel in truth or prediction."""
    mean_iou_all_classes: Metric
    """The same over every class, absent ones as 0 (how the ADE20K benchmark publishes it)."""
    frequency_weighted_iou: Metric
    """IoU weighted by the share of truth pixels of the class."""
    pixel_accuracy: Metric
    mean_accuracy: Metric
    """Mean recall over classes with a truth pixel."""
    per_class: tuple[PixelClassScores, ...]
    """Every evaluated class, absent ones with an undefined IoU."""


def pixel_counts(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], *, classes: int, ignore: Collection[int] = ()
) -> PixelCounts:
    """Count the pixels of one image pair; index values are classes below *classes* or one of *ignore*.

    Raises ValueError when the sizes differ or an image holds any other value.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape:
        raise ValueError(
            f"truth is {truth.shape} and prediction {predicted.shape}: masks of one item have one size"
        )
    ignored = sorted(set(ignore))
    span = max([classes, *(value + 1 for value in ignored)])
    flat_truth, flat_predicted = truth.ravel(), predicted.ravel()
    pairs = np.zeros(span * span, dtype=np.int64)
    for start in range(0, flat_truth.size, _BLOCK):
        rows = flat_truth[start : start + _BLOCK].astype(np.int64)
        columns = flat_predicted[start : start + _BLOCK].astype(np.int64)
        _check_indices(rows, span, side="ground truth")
        _check_indices(columns, span, side="prediction")
        rows *= span
        rows += columns
        pairs += np.bincount(rows, minlength=span * span)
    square = pairs.reshape(span, span)
    for side, axis in (("ground truth", 1), ("prediction", 0)):
        stray = [value for value in np.flatnonzero(square.sum(axis=axis)).tolist() if value >= classes]
        if unknown := sorted(set(stray) - set(ignored)):
            raise ValueError(f"{side}: index {unknown[0]} is neither a class below {classes} nor ignored")

    left_out = int(square[ignored].sum()) if ignored else 0
    evaluated = tuple(label for label in range(classes) if label not in ignored)
    matrix = np.zeros((classes, classes + 1), dtype=np.int64)
    keep = np.array(evaluated, dtype=np.intp)
    matrix[np.ix_(keep, keep)] = square[np.ix_(keep, keep)]
    matrix[keep, classes] = square[keep].sum(axis=1) - matrix[keep, :classes].sum(axis=1)
    return PixelCounts(matrix, left_out, evaluated)


def semantic_scores(counts: PixelCounts) -> SemanticScores:
    """Read the scores from the pixels counted."""
    keep = np.array(counts.evaluated, dtype=np.intp)
    shared = np.diagonal(counts.matrix)[keep]
    true = counts.matrix.sum(axis=1)[keep]
    named = counts.matrix.sum(axis=0)[keep]
    union = true + named - shared
    iou = zero_when_undefined(shared, union)
    pixels = int(true.sum())
    per_class = tuple(
        PixelClassScores(
            label=label,
            truth_pixels=int(true[place]),
            predicted_pixels=int(named[place]),
            intersection=int(shared[place]),
            iou=ratio(int(shared[place]), int(union[place]), reason="no pixel of this class on either side"),
            precision=ratio(int(shared[place]), int(named[place]), reason="never predicted"),
            recall=ratio(int(shared[place]), int(true[place]), reason="not in the ground truth"),
        )
        for place, label in enumerate(counts.evaluated)
    )
    return SemanticScores(
        pixels=pixels,
        left_out=counts.left_out,
        mean_iou=mean([scores.iou for scores in per_class], reason=_NO_PIXELS),
        mean_iou_all_classes=ratio(float(iou.sum()), len(keep) if pixels else 0, reason=_NO_PIXELS),
        frequency_weighted_iou=ratio(float(true @ iou), pixels, reason=_NO_PIXELS),
        pixel_accuracy=ratio(int(shared.sum()), pixels, reason=_NO_PIXELS),
        mean_accuracy=mean([scores.recall for scores in per_class], reason=_NO_PIXELS),
        per_class=per_class,
    )


def _check_indices(values: IndexArray, span: int, *, side: str) -> None:
    if values.size and (int(values.min()) < 0 or int(values.max()) >= span):
        wrong = int(values.min()) if int(values.min()) < 0 else int(values.max())
        raise ValueError(f"{side}: index {wrong} is neither a class nor ignored")
