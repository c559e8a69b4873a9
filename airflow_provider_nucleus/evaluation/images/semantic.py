"""Semantic masks: pixel counts of index images, and the scores read from them.

One image pair yields `PixelCounts`, a matrix of (truth class, predicted class) pixels; counts add up over
images, so a dataset of any size needs memory for one image and one matrix.

Some index values mean "not labelled" (0 in ADE20K, 255 in Cityscapes). Named in `ignore`, truth pixels with such a
value are left out and counted; a prediction of such a value on a labelled pixel is a miss of the true class and a
false alarm of none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.metric import Metric, mean, ratio, zero_when_undefined
from airflow_provider_nucleus.evaluation.overlap.masks import index_overlap
from airflow_provider_nucleus.rates import precision_terms, recall_terms
from airflow_provider_nucleus.undefined_reasons import ABSENT_FROM_GROUND_TRUTH, ABSENT_FROM_PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import IndexArray

__all__ = ["PixelClassScores", "PixelCounts", "SemanticScores", "pixel_counts", "semantic_scores"]

_NO_PIXELS = "no labelled pixel in the ground truth"


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels by [truth class, predicted class]; the last column counts predictions of no class."""

    matrix: IndexArray
    left_out: int
    """Pixels whose truth is an ignored index."""
    evaluated: tuple[int, ...]
    """Class indices that take part: all below `classes` except the ignored ones."""

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
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    *,
    classes: int,
    ignore: Collection[int] = (),
    truth_classes: NDArray[np.integer] | None = None,
    predicted_classes: NDArray[np.integer] | None = None,
) -> PixelCounts:
    """Count the pixels of one image pair over class codes below *classes*.

    Index values are the classes themselves, or *ignore* ("not labelled"); or, where every mask has its own list of
    segments, *truth_classes* and *predicted_classes* give the class of each index, -1 or nothing for "not labelled".
    Raises ValueError when the sizes differ or an image holds a value that is neither.
    """
    overlap = index_overlap(truth, predicted)
    ignored = frozenset(ignore)
    rows = _classes(
        overlap.ground_truth, truth_classes, classes=classes, ignored=ignored, side="ground truth"
    )
    columns = _classes(
        overlap.prediction, predicted_classes, classes=classes, ignored=ignored, side="prediction"
    )
    columns[columns == NONE] = classes
    labelled = rows != NONE
    matrix = np.bincount(
        rows[labelled] * (classes + 1) + columns[labelled],
        weights=overlap.pixels[labelled],
        minlength=classes * (classes + 1),
    )
    return PixelCounts(
        matrix=matrix.astype(np.int64).reshape(classes, classes + 1),
        left_out=int(overlap.pixels[~labelled].sum()),
        evaluated=tuple(label for label in range(classes) if label not in ignored),
    )


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
            precision=ratio(
                *precision_terms(int(shared[place]), int(named[place])), reason=ABSENT_FROM_PREDICTIONS
            ),
            recall=ratio(
                *recall_terms(int(shared[place]), int(true[place])), reason=ABSENT_FROM_GROUND_TRUTH
            ),
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


def _classes(
    index: IndexArray, table: NDArray[np.integer] | None, *, classes: int, ignored: frozenset[int], side: str
) -> IndexArray:
    """Translate index values to class codes, -1 for "not labelled"."""
    if table is None:
        codes = index.copy()
    else:
        codes = np.full(index.size, NONE, dtype=np.int64)
        listed = index < table.size
        codes[listed] = table[index[listed]]
    codes[np.isin(codes, list(ignored))] = NONE
    wrong = np.flatnonzero((codes < NONE) | (codes >= classes))
    if wrong.size:
        raise ValueError(f"{side}: index {index[wrong[0]]} is neither a class below {classes} nor ignored")
    return codes
