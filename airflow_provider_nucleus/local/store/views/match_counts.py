"""Counts of a stored match at an overlap threshold, overall and per label, and what was taken for what.

The rules are those of the summary that the provider leaves in XCom (`match_summary.py`), so that page and task show
the same numbers:

==================================  ==============================================================================
row                                 counts as
==================================  ==============================================================================
true positive, overlap >= threshold  one TP under the ground truth's label
any other pair                      one FP under the prediction's label and one FN under the ground truth's
prediction without ground truth     one FP under its label
ground truth without prediction     one FN under its label
==================================  ==============================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING

from airflow_provider_nucleus.rates import (
    f1_terms,
    mean_overlap_terms,
    precision_terms,
    quotient,
    recall_terms,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.local.store.catalog.matches import MatchSet
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ConfusionCount", "ThresholdCounts", "confusions", "label_counts", "total"]


@dataclass(frozen=True, slots=True)
class ThresholdCounts:
    """Counts at one threshold; `overlap` is the sum over the true positives. A ratio over nothing is None."""

    label: str
    tp: int
    fp: int
    fn: int
    overlap: float

    @property
    def predictions(self) -> int:
        """Predictions counted here."""
        return self.tp + self.fp

    @property
    def ground_truth(self) -> int:
        """Ground-truth objects counted here."""
        return self.tp + self.fn

    @property
    def precision(self) -> float | None:
        """Share of the predictions that are correct."""
        return quotient(*precision_terms(self.tp, self.predictions))

    @property
    def recall(self) -> float | None:
        """Share of the ground truth that was found."""
        return quotient(*recall_terms(self.tp, self.ground_truth))

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
        return quotient(*f1_terms(self.tp, self.predictions, self.ground_truth))

    @property
    def mean_iou(self) -> float | None:
        """Mean overlap of the true positives."""
        return quotient(*mean_overlap_terms(self.overlap, self.tp))


@dataclass(frozen=True, slots=True)
class ConfusionCount:
    """A cell of the confusion: how often ground truth of one label lies under a prediction of another."""

    ground_truth: str
    prediction: str
    count: int


def label_counts(cursor: Cursor, match_set: MatchSet, *, iou: float) -> list[ThresholdCounts]:
    """Return the counts of every label at an overlap threshold from 0 to 1, by label."""
    found = cursor.execute(
        """WITH m AS (
            SELECT *, kind = 'matched' AND true_positive AND iou >= ? AS hit FROM matches WHERE match_set_no = ?)
        SELECT label, sum(tp)::BIGINT, sum(fp)::BIGINT, sum(fn)::BIGINT, sum(overlap) FROM (
            SELECT truth_label AS label, 1 AS tp, 0 AS fp, 0 AS fn, iou AS overlap FROM m WHERE hit
            UNION ALL SELECT prediction_label, 0, 1, 0, 0 FROM m WHERE NOT hit AND prediction_no IS NOT NULL
            UNION ALL SELECT truth_label, 0, 0, 1, 0 FROM m WHERE NOT hit AND truth_no IS NOT NULL)
        GROUP BY label ORDER BY label""",
        [iou, match_set.number],
    ).fetchall()
    return list(starmap(ThresholdCounts, found))


def total(labels: Iterable[ThresholdCounts]) -> ThresholdCounts:
    """Return the counts of all labels together."""
    labels = list(labels)
    return ThresholdCounts(
        label="",
        tp=sum(counts.tp for counts in labels),
        fp=sum(counts.fp for counts in labels),
        fn=sum(counts.fn for counts in labels),
        overlap=sum(counts.overlap for counts in labels),
    )


def confusions(cursor: Cursor, match_set: MatchSet, *, iou: float, limit: int) -> list[ConfusionCount]:
    """Return the commonest pairs of different labels that overlap by at least `iou` without being a true positive.

    These are pairs that `class_agnostic` matched, and ground truth that was not found and lies beside a false positive.
    """
    found = cursor.execute(
        """SELECT truth, prediction_label, count(*) AS pairs FROM (
            SELECT coalesce(truth_label, beside_label) AS truth, prediction_label FROM matches
            WHERE match_set_no = ? AND prediction_no IS NOT NULL AND NOT true_positive
            AND CASE WHEN kind = 'matched' THEN iou ELSE beside_iou END >= ?)
        GROUP BY truth, prediction_label ORDER BY pairs DESC, truth, prediction_label LIMIT ?""",
        [match_set.number, iou, limit],
    ).fetchall()
    return list(starmap(ConfusionCount, found))
