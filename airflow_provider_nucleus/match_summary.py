"""Counts, precision, recall, F1 and mean IoU, overall and per label, from the matches the server made.

The server's stored matches have no IoU threshold: a pair counts as associated however small its overlap. The summary
applies one, stated with the result:

==================================  =========================================================================
row                                 counts as
==================================  =========================================================================
true positive, IoU >= threshold     one TP, under the ground truth's label
true positive, IoU < threshold      one FP under the prediction's label and one FN under the ground truth's
pair with labels that do not match  the same FP and FN, and one `mislabelled` under the ground truth's label
prediction without ground truth     one FP under its label
ground truth without prediction     one FN under its label
==================================  =========================================================================

So TP + FN is the number of ground-truth objects and TP + FP the number of predictions, whatever the threshold. A pair is
a true positive when the server says so or its two labels are equal, as in the official client. F1 is
`2 TP / (2 TP + FP + FN)`; mean IoU is over the true positives. A number whose denominator is zero is None, with the
reason beside it, never 0 and never NaN.

Categories of whole items have no overlap. The embedded server names the family of each row, so theirs are counted
apart, by label alone, under `categories`; a server that does not name it is taken to list shapes only.

Memory follows the number of labels, plus the ids of pairs with labels that do not match.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.schema.matches import EvaluationMatch

__all__ = [
    "CountsByLabel",
    "MatchCounting",
    "MatchCounts",
    "MatchSummary",
    "is_category",
    "labels_agree",
    "pair_id",
    "summarize_matches",
]


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
        return self.overall, self.per_label.setdefault(name, MatchCounts())

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


@dataclass(slots=True)
class MatchSummary:
    """The summary of matches at one IoU threshold."""

    iou_threshold: float
    shapes: CountsByLabel = field(default_factory=CountsByLabel)
    categories: CountsByLabel = field(default_factory=CountsByLabel)

    @property
    def overall(self) -> MatchCounts:
        """The counts of all objects that have a shape."""
        return self.shapes.overall

    @property
    def per_label(self) -> dict[str, MatchCounts]:
        """The counts of each label of objects that have a shape."""
        return self.shapes.per_label

    def to_dict(self, *, max_labels: int | None = None) -> dict[str, Any]:
        """Return the summary as JSON-ready values.

        At most *max_labels* labels are kept, those with the most objects first; `labels` says how many there are in
        all. `categories` is there only if there are any; mean IoU means nothing for them and is left out.
        """
        result = {"iou_threshold": self.iou_threshold, **self.shapes.to_dict(max_labels=max_labels)}
        if self.categories.per_label:
            result["categories"] = _without_overlap(self.categories.to_dict(max_labels=max_labels))
        return result


def summarize_matches(
    matched: Iterable[EvaluationMatch],
    *,
    false_positives: Iterable[EvaluationMatch],
    false_negatives: Iterable[EvaluationMatch],
    iou_threshold: float,
) -> MatchSummary:
    """Summarize the rows of the modes `iou`, `false_positive` and `false_negative` at *iou_threshold* (0-1).

    A server may list a pair with labels that do not match among the pairs and again among the false positives or
    negatives; it is counted once. Raises ValueError when the threshold is outside 0-1.
    """
    counting = MatchCounting(iou_threshold=iou_threshold)
    for row in matched:
        counting.pair(row)
    for row in chain(false_positives, false_negatives):
        counting.unmatched(row)
    return counting.summary


class MatchCounting:
    """Counting of rows at an IoU threshold (0-1), one by one: first all pairs, then what has no partner.

    Raises ValueError when the threshold is outside 0-1.
    """

    def __init__(self, *, iou_threshold: float) -> None:
        if not 0 <= iou_threshold <= 1:
            raise ValueError(f"iou_threshold must lie between 0 and 1, not {iou_threshold!r}")
        self.summary = MatchSummary(iou_threshold=iou_threshold)
        # Categories agree or do not; they have no overlap that could be too small.
        self._counters = {
            False: _Counter(self.summary.shapes, threshold=iou_threshold),
            True: _Counter(self.summary.categories, threshold=0.0),
        }

    def pair(self, row: EvaluationMatch) -> None:
        """Count a row of the mode `iou`."""
        self._counters[is_category(row)].pair(row)

    def unmatched(self, row: EvaluationMatch) -> None:
        """Count a row of the modes `false_positive` and `false_negative`."""
        self._counters[is_category(row)].unmatched(row)


class _Counter:
    """Applies the table of the module docstring, row by row."""

    def __init__(self, counts: CountsByLabel, *, threshold: float) -> None:
        self._counts = counts
        self._threshold = threshold
        self._seen_pairs: set[tuple[str | None, str | None]] = set()

    def pair(self, row: EvaluationMatch) -> None:
        truth, predicted = row.ground_truth_annotation_label, row.model_prediction_label
        if not labels_agree(row):
            self._seen_pairs.add(pair_id(row))
            self._miss(truth, predicted, mislabelled=True)
        elif row.iou < self._threshold:
            self._miss(truth, predicted)
        else:
            for counts in self._counts.of(truth if truth is not None else predicted):
                counts.tp += 1
                counts.iou_sum += row.iou

    def unmatched(self, row: EvaluationMatch) -> None:
        truth, predicted = row.ground_truth_annotation_label, row.model_prediction_label
        if truth is not None and predicted is not None:
            if not labels_agree(row) and pair_id(row) not in self._seen_pairs:
                self.pair(row)
        elif predicted is not None:
            self._add(predicted, fp=1)
        else:
            self._add(truth, fn=1)

    def _miss(self, truth: str | None, predicted: str | None, *, mislabelled: bool = False) -> None:
        self._add(predicted, fp=1)
        self._add(truth, fn=1, mislabelled=int(mislabelled))

    def _add(self, label: str | None, *, fp: int = 0, fn: int = 0, mislabelled: int = 0) -> None:
        for counts in self._counts.of(label):
            counts.fp += fp
            counts.fn += fn
            counts.mislabelled += mislabelled


def labels_agree(row: EvaluationMatch) -> bool:
    """Return whether the labels of a pair may match: the server says so, or they are equal."""
    label = row.ground_truth_annotation_label
    return bool(row.true_positive) or (label is not None and label == row.model_prediction_label)


def pair_id(row: EvaluationMatch) -> tuple[str | None, str | None]:
    """Return the ids of both sides of a row."""
    return row.model_prediction_id, row.ground_truth_annotation_id


def _objects(counts: MatchCounts) -> int:
    return 2 * counts.tp + counts.fp + counts.fn


def is_category(row: EvaluationMatch) -> bool:
    """Return whether a row is about categories of whole items; a server that does not name the family lists shapes only."""
    return row.family == "category"


def _without_overlap(summary: dict[str, Any]) -> dict[str, Any]:
    for counts in (summary["overall"], *summary["per_label"].values()):
        counts.pop("mean_iou")
        counts.get("undefined", {}).pop("mean_iou", None)
        if not counts.get("undefined", True):
            del counts["undefined"]
    return summary
