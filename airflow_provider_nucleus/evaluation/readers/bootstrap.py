"""Paired bootstrap over items: every replicate draws as many items as there are, with replacement.

All models of a comparison are read on the same draws, so what is estimated is the spread of their difference. A
replicate is a weight per item (how often it was drawn), and every number of a replicate is computed from weights:
nothing is matched again and no row is copied. Replicate r of a seed is the same draw whatever else is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import group_sizes, group_starts
from airflow_provider_nucleus.evaluation.readers.average_precision import (
    COCO_RECALLS,
    true_positives_needed,
    unscored_labels,
)

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.readers.ranked import RankedCoco

__all__ = ["WeightedPrecision", "draw"]


def draw(images: int, *, seed: int, replicate: int) -> IndexArray:
    """Return how often each of *images* items was drawn in one replicate."""
    rng = np.random.default_rng((seed, replicate))
    return np.bincount(rng.integers(images, size=images), minlength=images)


class WeightedPrecision:
    """COCO's AP of items that count as often as their weight says, as if they had been evaluated that many times.

    Equal to evaluating copies of the images, up to the order of equal confidences inside one image.
    """

    def __init__(self, coco: RankedCoco) -> None:
        rows = coco.rows()
        truths = coco.ground_truth
        wanted = np.flatnonzero(truths.counted & ~coco.options.areas[0].outside(truths.area))
        self.thresholds = rows.thresholds
        self.labels = coco.labels
        self._image = coco.prediction_image[coco.row]
        self._label = rows.label
        self._unscored_image = coco.prediction_image[coco.unscored.row]
        self._unscored_label = coco.unscored.label
        self._truth_image = truths.image[wanted]
        self._truth_label = truths.label[wanted]
        self._steps = [
            _Step(rows.label, rows.hit, rows.ignored, bit=np.uint16(1 << place))
            for place in range(len(rows.thresholds))
        ]

    def mean(self, weights: IndexArray) -> FloatArray:
        """Return AP per threshold, the mean over labels that have an AP under *weights*; NaN when there is none."""
        positives = np.bincount(
            self._truth_label, weights=weights[self._truth_image], minlength=self.labels
        ).astype(np.int64)
        row_weight = weights[self._image]
        there = np.count_nonzero((positives > 0) & ~self._unscored(weights, row_weight))
        if there == 0:
            return np.full(len(self._steps), np.nan)
        needed = true_positives_needed(positives, COCO_RECALLS)
        seen = np.zeros(row_weight.size + 1, dtype=np.int64)
        np.cumsum(row_weight, out=seen[1:])
        sums = [step.sum_of_precisions(row_weight, seen, needed=needed) for step in self._steps]
        return np.array(sums) / (len(COCO_RECALLS) * there)

    def _unscored(self, weights: IndexArray, row_weight: IndexArray) -> BoolArray | np.bool_:
        """Mark the labels whose drawn predictions all lack a confidence: these have no AP."""
        drawn = weights[self._unscored_image] > 0
        if not drawn.any():
            return np.False_
        unscored = unscored_labels(
            self._unscored_label[drawn], self._label[row_weight > 0], labels=self.labels
        )
        return np.False_ if unscored is None else unscored


@dataclass(frozen=True, slots=True)
class _KindRows:
    """Positions of the rows of one kind: the rows, and for each true positive how many of them precede it."""

    row: IndexArray
    until: IndexArray
    since: IndexArray

    def weight(self, row_weight: IndexArray) -> IndexArray:
        total = np.zeros(self.row.size + 1, dtype=np.int64)
        np.cumsum(row_weight[self.row], out=total[1:])
        difference: IndexArray = total[self.until] - total[self.since]
        return difference


class _Step:
    """One threshold: the true positives by label, and the rows not counted before each of them."""

    def __init__(
        self,
        label: np.ndarray[tuple[int], np.dtype[np.integer]],
        hit: np.ndarray[tuple[int], np.dtype[np.uint16]],
        ignored: np.ndarray[tuple[int], np.dtype[np.uint16]] | None,
        *,
        bit: np.uint16,
    ) -> None:
        self.row = np.flatnonzero(hit & bit)
        labels = label[self.row]
        self.first_row = np.searchsorted(label, labels, side="left")
        starts = group_starts(labels)
        lengths = group_sizes(starts, labels.size)
        self.label = labels[starts].astype(np.int64)
        self.start, self.end = starts, starts + lengths
        self.run_start = np.repeat(starts, lengths)
        left_out = np.zeros(0, dtype=np.int64) if ignored is None else np.flatnonzero(ignored & bit)
        self.left_out = (
            _KindRows(
                row=left_out,
                until=np.searchsorted(left_out, self.row, side="right"),
                since=np.searchsorted(left_out, self.first_row, side="left"),
            )
            if left_out.size
            else None
        )

    def sum_of_precisions(self, row_weight: IndexArray, seen: IndexArray, *, needed: IndexArray) -> float:
        """Return the envelope summed over recall levels and labels."""
        if self.row.size == 0:
            return 0.0
        found = np.zeros(self.row.size + 1, dtype=np.int64)
        np.cumsum(row_weight[self.row], out=found[1:])
        counted = seen[self.row + 1] - seen[self.first_row]
        if self.left_out is not None:
            counted -= self.left_out.weight(row_weight)
        own = found[1:] - found[self.run_start]
        precision = np.divide(own, counted, out=np.zeros(own.size), where=counted > 0)
        before = found[self.start]
        levels = needed[self.label]
        reached = levels <= (found[self.end] - before)[:, None]
        if not reached.any():
            return 0.0
        places = np.searchsorted(found[1:], (before[:, None] + levels)[reached], side="left")
        peaks = np.zeros(levels.shape)
        peaks[reached] = np.maximum.reduceat(precision, places)
        return float(np.maximum.accumulate(peaks[:, ::-1], axis=1).sum())
