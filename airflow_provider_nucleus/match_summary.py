"""Counts, precision, recall, F1 and mean IoU, overall and per label, from the matches the server made.

The server's stored matches have no IoU threshold: a pair counts as associated however small its overlap. The summary
applies one, stated with the result; `pair_counts` has the rules. A pair is a true positive when the server says so or
its two labels are equal, as in the official client.

Categories of whole items have no overlap. The embedded server names the family of each row, so theirs are counted
apart, by label alone, under `categories`; a server that does not name it is taken to list shapes only.

Memory follows the number of labels, plus the ids of pairs with labels that do not match.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.pair_counts import CountsByLabel, MatchCounts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.schema.matches import EvaluationMatch

__all__ = [
    "MatchCounting",
    "MatchSummary",
    "is_category",
    "labels_agree",
    "pair_id",
    "summarize_matches",
]


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
    """Counts row by row; a pair with labels that do not match, which a server may list twice, once."""

    def __init__(self, counts: CountsByLabel, *, threshold: float) -> None:
        self._counts = counts
        self._threshold = threshold
        self._seen_pairs: set[tuple[str | None, str | None]] = set()

    def pair(self, row: EvaluationMatch) -> None:
        agrees = labels_agree(row)
        if not agrees:
            self._seen_pairs.add(pair_id(row))
        self._counts.pair(
            row.ground_truth_annotation_label,
            row.model_prediction_label,
            overlap=row.iou,
            threshold=self._threshold,
            agrees=agrees,
        )

    def unmatched(self, row: EvaluationMatch) -> None:
        truth, predicted = row.ground_truth_annotation_label, row.model_prediction_label
        if truth is not None and predicted is not None:
            if not labels_agree(row) and pair_id(row) not in self._seen_pairs:
                self.pair(row)
        elif predicted is not None:
            self._counts.add(predicted, fp=1)
        else:
            self._counts.add(truth, fn=1)


def labels_agree(row: EvaluationMatch) -> bool:
    """Return whether the labels of a pair may match: the server says so, or they are equal."""
    label = row.ground_truth_annotation_label
    return bool(row.true_positive) or (label is not None and label == row.model_prediction_label)


def pair_id(row: EvaluationMatch) -> tuple[str | None, str | None]:
    """Return the ids of both sides of a row."""
    return row.model_prediction_id, row.ground_truth_annotation_id


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
