"""Counts of the pairs of a match, overall and per label, with precision, recall, F1 and mean IoU.

Rows count by their overlap and their labels; a pair whose labels may match is a true positive where it overlaps enough:

==================================  =========================================================================
row                                 counts as
==================================  =========================================================================
true positive, IoU >= threshold     one TP, under the ground truth's label
true positive, IoU < threshold      one FP under the prediction's label and one FN under the ground truth's
pair with labels that do not match  the same FP and FN, and one `mislabelled` under the ground truth's label
prediction without ground truth     one FP under its label
ground truth without prediction     one FN under its label
==================================  =========================================================================

So TP + FN is the number of ground-truth objects and TP + FP the number of predictions, whatever the threshold. F1 is
`2 TP / (2 TP + FP + FN)`; mean IoU is over the true positives. A number whose denominator is zero is None, with the
reason beside it, never 0 and never NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_nucleus.rates import (
    f1_terms,
    mean_overlap_terms,
    precision_terms,
    quotient,
    recall_terms,
)
from airflow_provider_nucleus.undefined_reasons import (
    NO_GROUND_TRUTH,
    NO_OBJECTS,
    NO_PREDICTIONS,
    NO_TRUE_POSITIVES,
)

__all__ = ["CountsByLabel", "MatchCounts"]


@dataclass(slots=True)
class MatchCounts:
    """The counts of one label, or of all of them."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    mislabelled: int = 0
    iou_sum: float = 0.0
    """Sum of the overlaps of the true positives."""

    def to_dict(self) -> dict[str, Any]:
        """Return counts and ratios as JSON-ready values; `undefined` says why a number is None."""
        predictions, ground_truth = self.tp + self.fp, self.tp + self.fn
        undefined: dict[str, str] = {}
        if not predictions:
            undefined["precision"] = NO_PREDICTIONS
        if not ground_truth:
            undefined["recall"] = NO_GROUND_TRUTH
        if not predictions and not ground_truth:
            undefined["f1"] = NO_OBJECTS
        if not self.tp:
            undefined["mean_iou"] = NO_TRUE_POSITIVES
        result: dict[str, Any] = {
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
            "mislabelled": self.mislabelled,
            "predictions": predictions,
            "ground_truth": ground_truth,
            "precision": quotient(*precision_terms(self.tp, predictions)),
            "recall": quotient(*recall_terms(self.tp, ground_truth)),
            "f1": quotient(*f1_terms(self.tp, predictions, ground_truth)),
            "mean_iou": quotient(*mean_overlap_terms(self.iou_sum, self.tp)),
        }
        if undefined:
            result["undefined"] = undefined
        return result


@dataclass(slots=True)
class CountsByLabel:
    """Counts overall and per label."""

    overall: MatchCounts = field(default_factory=MatchCounts)
    per_label: dict[str, MatchCounts] = field(default_factory=dict)

    def of(self, label: str | None) -> tuple[MatchCounts, MatchCounts]:
        """Return what an object with *label* counts in: everything, and its label."""
        # A row without any label still is an object; it must not vanish from the totals.
        name = "" if label is None else label
        found = self.per_label.get(name)
        if found is None:
            found = self.per_label[name] = MatchCounts()
        return self.overall, found

    def pair(
        self, truth: str | None, predicted: str | None, *, overlap: float, threshold: float, agrees: bool
    ) -> None:
        """Count a pair; *agrees* says that its labels may match."""
        if agrees and overlap >= threshold:
            for counts in self.of(truth if truth is not None else predicted):
                counts.tp += 1
                counts.iou_sum += overlap
        else:
            self.add(predicted, fp=1)
            self.add(truth, fn=1, mislabelled=0 if agrees else 1)

    def add(self, label: str | None, *, fp: int = 0, fn: int = 0, mislabelled: int = 0) -> None:
        """Count what has no partner under its label."""
        for counts in self.of(label):
            counts.fp += fp
            counts.fn += fn
            counts.mislabelled += mislabelled

    def to_dict(self, *, max_labels: int | None = None) -> dict[str, Any]:
        """Return the counts as JSON-ready values, labels in alphabetical order, at most the *max_labels* busiest."""
        names = sorted(self.per_label)
        if max_labels is not None and len(names) > max_labels:
            busiest = sorted(names, key=lambda name: (-_objects(self.per_label[name]), name))[:max_labels]
            names = sorted(busiest)
        return {
            "overall": self.overall.to_dict(),
            "labels": len(self.per_label),
            "per_label": {name: self.per_label[name].to_dict() for name in names},
        }


def _objects(counts: MatchCounts) -> int:
    return 2 * counts.tp + counts.fp + counts.fn
