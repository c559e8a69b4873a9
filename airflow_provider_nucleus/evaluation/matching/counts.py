"""Counts of a Nucleus match at a threshold: true and false positives, false negatives, mean overlap.

At threshold t a prediction is a true positive when it is matched, its labels are right and its overlap is at
least t. A pair that is matched but below t (or wrongly labelled) is one false positive and one false negative.
Counts above a confidence are those of the match of what is left: `counts_at(matches.above(0.3), 0.5)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray, frozen
from airflow_provider_nucleus.rates import harmonic_mean, precision_terms, quotient, recall_terms
from airflow_provider_nucleus.undefined_reasons import NO_GROUND_TRUTH, NO_PREDICTIONS, NO_TRUE_POSITIVES

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches

__all__ = ["Counts", "LabelCounts", "counts_at", "counts_by_label", "true_positives"]


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
        """Share of the predictions that are correct: tp / (tp + fp)."""
        return quotient(*precision_terms(self.tp, self.tp + self.fp))

    @property
    def recall(self) -> float | None:
        """Share of the ground truth that was found: found / (found + fn)."""
        return quotient(*recall_terms(self.found, self.found + self.fn))

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; 0 when both are 0, None when either is undefined."""
        return harmonic_mean(self.precision, self.recall)

    @property
    def undefined(self) -> dict[str, str]:
        """Reasons why precision, recall, f1 or mean_overlap are None, by name."""
        reasons = {}
        if self.precision is None:
            reasons["precision"] = NO_PREDICTIONS
        if self.recall is None:
            reasons["recall"] = NO_GROUND_TRUTH
        if self.f1 is None:
            reasons["f1"] = reasons.get("precision") or reasons["recall"]
        if self.mean_overlap is None:
            reasons["mean_overlap"] = NO_TRUE_POSITIVES
        return reasons


@dataclass(frozen=True, slots=True, eq=False)
class LabelCounts:
    """The same numbers as columns, one entry per label code. Counts of disjoint images add up, exactly.

    The sum of the overlaps of true positives is kept as an integer in units of 2^-53, in two columns
    (*overlap_high* in units of 2^-27 and *overlap_low*): that way it does not depend on the order of summation, and
    partitions give bit for bit what one run gives.
    """

    threshold: float
    tp: IndexArray
    fp: IndexArray
    fn: IndexArray
    found: IndexArray
    overlap_high: IndexArray
    overlap_low: IndexArray

    def __add__(self, other: LabelCounts) -> LabelCounts:
        """Return the counts of both sets of images; raise ValueError when threshold or labels differ."""
        if self.threshold != other.threshold or self.tp.size != other.tp.size:
            raise ValueError("counts at different thresholds or of different vocabularies cannot be added")
        return LabelCounts(self.threshold, *(getattr(self, name) + getattr(other, name) for name in _COLUMNS))

    def of(self, label: int) -> Counts:
        """Return the numbers of one label."""
        return self._counts(*(int(getattr(self, name)[label]) for name in _COLUMNS))

    def total(self) -> Counts:
        """Return the numbers of all labels together."""
        return self._counts(*(int(getattr(self, name).sum()) for name in _COLUMNS))

    def _counts(self, tp: int, fp: int, fn: int, found: int, high: int, low: int) -> Counts:
        mean = ((high << _LOW_BITS) + low) / (tp << _UNIT_BITS) if tp else None
        return Counts(threshold=self.threshold, tp=tp, fp=fp, fn=fn, found=found, mean_overlap=mean)


_COLUMNS = ("tp", "fp", "fn", "found", "overlap_high", "overlap_low")
_UNIT_BITS = 53
_LOW_BITS = 26


def true_positives(matches: Matches, threshold: float) -> BoolArray:
    """Mark the predictions that are true positives at an overlap threshold in [0, 1]."""
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold is {threshold}, an overlap threshold lies in [0, 1]")
    return matches.correct & (matches.overlap >= threshold)


def counts_at(matches: Matches, threshold: float) -> Counts:
    """Count the whole comparison at an overlap threshold in [0, 1]."""
    labels = 1 + max(
        int(matches.ground_truth.label.max(initial=0)), int(matches.predictions.label.max(initial=0))
    )
    return counts_by_label(matches, threshold, labels=labels).total()


def counts_by_label(matches: Matches, threshold: float, *, labels: int) -> LabelCounts:
    """Count each of *labels* label codes: precision by the predicted label, recall by the ground truth's."""
    hits = true_positives(matches, threshold)
    truth, predictions = matches.ground_truth, matches.predictions
    label = predictions.label[hits]
    tp = np.bincount(label, minlength=labels)
    found = np.bincount(truth.label[matches.match[hits]], minlength=labels)
    predicted = np.bincount(predictions.label[predictions.counted], minlength=labels)
    # Overlaps of at least 1/2 are whole multiples of 2^-53; smaller ones are rounded to one.
    units = np.rint(matches.overlap[hits] * 2.0**_UNIT_BITS).astype(np.int64)
    high = np.bincount(label, weights=units >> _LOW_BITS, minlength=labels).astype(np.int64)
    low = np.bincount(label, weights=units & ((1 << _LOW_BITS) - 1), minlength=labels).astype(np.int64)
    return LabelCounts(
        threshold=threshold,
        tp=frozen(tp),
        fp=frozen(predicted - tp),
        fn=frozen(np.bincount(truth.label[truth.counted], minlength=labels) - found),
        found=frozen(found),
        overlap_high=frozen(high),
        overlap_low=frozen(low),
    )
