"""Counts of a Nucleus match at a threshold: true and false positives, false negatives, mean overlap.

At threshold t a prediction is a true positive when it is matched, its labels are right and its overlap is at
least t. A pair that is matched but below t (or wrongly labelled) is one false positive and one false negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray, frozen

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.matching import Matches


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of one comparison, or of one label of it, at one threshold; a ratio over nothing is None.

    *tp* counts predictions, *found* the ground truths they found; over a whole comparison the two are equal, for a
    single label they differ only when pairs of different labels are allowed to match. *mean_overlap* is the mean
    over the true positives.
    """

    threshold: float
    tp: int
    fp: int
    fn: int
    found: int
    mean_overlap: float | None

    @property
    def precision(self) -> float | None:
        """Share of the predictions that are right: tp / (tp + fp)."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Share of the ground truth that was found: found / (found + fn)."""
        return _ratio(self.found, self.found + self.fn)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; 0 when both are 0, None when either is undefined."""
        precision, recall = self.precision, self.recall
        if precision is None or recall is None:
            return None
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class LabelCounts:
    """The same numbers as columns, one entry per label code."""

    threshold: float
    tp: IndexArray
    fp: IndexArray
    fn: IndexArray
    found: IndexArray
    overlap_sum: FloatArray

    def of(self, label: int) -> Counts:
        """Return the numbers of one label."""
        tp = int(self.tp[label])
        return Counts(
            threshold=self.threshold,
            tp=tp,
            fp=int(self.fp[label]),
            fn=int(self.fn[label]),
            found=int(self.found[label]),
            mean_overlap=float(self.overlap_sum[label]) / tp if tp else None,
        )


def true_positives(
    matches: Matches, threshold: float, *, minimum_confidence: float | None = None
) -> BoolArray:
    """Mark the predictions that are true positives at an overlap threshold in [0, 1].

    With *minimum_confidence*, predictions below it (or without confidence) are not: reading a stored match at a
    higher confidence does not match again, so a ground truth whose match falls away counts as missed.
    """
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold is {threshold}, an overlap threshold lies in [0, 1]")
    hits: BoolArray = matches.right & (matches.overlap >= threshold)
    if minimum_confidence is not None:
        hits &= matches.predictions.confidence >= minimum_confidence
    return hits


def counts_at(matches: Matches, threshold: float, *, minimum_confidence: float | None = None) -> Counts:
    """Count the whole comparison at an overlap threshold in [0, 1]."""
    hits = true_positives(matches, threshold, minimum_confidence=minimum_confidence)
    tp = int(hits.sum())
    return Counts(
        threshold=threshold,
        tp=tp,
        fp=int(_kept(matches, minimum_confidence).sum()) - tp,
        fn=int(matches.ground_truth.counted.sum()) - tp,
        found=tp,
        mean_overlap=float(matches.overlap[hits].sum()) / tp if tp else None,
    )


def counts_by_label(
    matches: Matches, threshold: float, *, labels: int, minimum_confidence: float | None = None
) -> LabelCounts:
    """Count each of *labels* label codes: precision by the predicted label, recall by the ground truth's."""
    hits = true_positives(matches, threshold, minimum_confidence=minimum_confidence)
    truth, predictions = matches.ground_truth, matches.predictions
    right_label = predictions.label[hits]
    tp = np.bincount(right_label, minlength=labels)
    predicted = np.bincount(predictions.label[_kept(matches, minimum_confidence)], minlength=labels)
    found = np.bincount(truth.label[matches.match[hits]], minlength=labels)
    sums = np.zeros(labels)
    np.add.at(sums, right_label, matches.overlap[hits])
    return LabelCounts(
        threshold=threshold,
        tp=frozen(tp),
        fp=frozen(predicted - tp),
        fn=frozen(np.bincount(truth.label[truth.counted], minlength=labels) - found),
        found=frozen(found),
        overlap_sum=frozen(sums),
    )


def _kept(matches: Matches, minimum_confidence: float | None) -> BoolArray:
    kept = matches.predictions.counted
    if minimum_confidence is not None:
        kept = kept & (matches.predictions.confidence >= minimum_confidence)
    return kept


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
