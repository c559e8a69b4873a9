"""Counts of a calculation at an overlap threshold, overall, per label and of some items, and what was taken for what.

The rules are those of the summary that the provider leaves in XCom (`pair_counts.py`), so that page and task show
the same numbers:

==================================  ==============================================================================
row                                 counts as
==================================  ==============================================================================
true positive, overlap >= threshold  one TP under the ground truth's label
any other pair                      one FP under the prediction's label and one FN under the ground truth's
prediction without ground truth     one FP under its label
ground truth without prediction     one FN under its label
==================================  ==============================================================================

They are counted from `kept_counts`, which has them of every calculation, so that a former one has the numbers it had; only what was
taken for what needs the rows themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.requests.query.compile import EVERYTHING
from airflow_provider_nucleus.local.store.catalog.kept_counts import COUNTS_AT
from airflow_provider_nucleus.rates import (
    f1_terms,
    mean_overlap_terms,
    precision_terms,
    quotient,
    recall_terms,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.catalog.matches import MatchSet
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "GRID", "ConfusionCount", "ThresholdCounts", "confusions", "label_counts", "total", "totals_on_grid", "whole_counts",
]  # fmt: skip

GRID: Final = tuple(round(step / 20, 2) for step in range(21))
"""Thresholds whose totals are kept with a calculation, so that a long series of them is read at once."""


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


_LABELS: Final = """WITH m AS (
        SELECT truth_label, prediction_label, row_count, coalesce(list_filter(correct_overlaps, lambda overlap: overlap >= ?), []) AS found
        FROM kept_counts WHERE line_no = ? AND first_place <= ? AND until_place > ?{}),
    h AS (SELECT truth_label, prediction_label, len(found) AS hits, row_count - len(found) AS others, list_sum(found) AS overlap FROM m)
    SELECT label, sum(tp)::BIGINT, sum(fp)::BIGINT, sum(fn)::BIGINT, sum(overlap)::DOUBLE FROM (
        SELECT truth_label AS label, hits AS tp, 0 AS fp, 0 AS fn, overlap FROM h WHERE hits > 0
        UNION ALL SELECT prediction_label, 0, others, 0, 0 FROM h WHERE others > 0 AND prediction_label IS NOT NULL
        UNION ALL SELECT truth_label, 0, 0, others, 0 FROM h WHERE others > 0 AND truth_label IS NOT NULL)
    GROUP BY label ORDER BY label"""


def label_counts(
    cursor: Cursor, match_set: MatchSet, *, iou: float, items: Fragment = EVERYTHING
) -> list[ThresholdCounts]:
    """Return the counts of every label at an overlap threshold from 0 to 1, by label; `items` is a condition on items `i`."""
    chosen, parameters = "", []
    if items != EVERYTHING:
        chosen = f" AND item_no IN (SELECT i.item_no FROM items i WHERE {items.sql})"
        parameters = list(items.parameters)
    found = cursor.execute(
        _LABELS.format(chosen), [iou, match_set.line, match_set.place, match_set.place, *parameters]
    ).fetchall()
    return list(starmap(ThresholdCounts, found))


def totals_on_grid(session: Cursor) -> dict[str, Any]:
    """Return the counts of all labels together of a staged calculation at each threshold of `GRID`, to be kept with it."""
    found = session.execute(
        """WITH o AS (SELECT unnest(correct_overlaps) AS overlap FROM new_counts)
        SELECT t, (SELECT count(*) FROM o WHERE overlap >= t), (SELECT coalesce(sum(overlap), 0) FROM o WHERE overlap >= t)
        FROM (SELECT unnest($grid::DOUBLE[]) AS t) ORDER BY t""",
        {"grid": list(GRID)},
    ).fetchall()
    sides = session.execute(
        "SELECT coalesce(sum(row_count) FILTER (prediction_label IS NOT NULL), 0)::BIGINT, "
        "coalesce(sum(row_count) FILTER (truth_label IS NOT NULL), 0)::BIGINT FROM new_counts"
    ).fetchone()
    predictions, truth = sides or (0, 0)
    return {
        "predictions": predictions,
        "ground_truth": truth,
        "found": {f"{threshold:g}": [hits, overlap] for threshold, hits, overlap in found},
    }


# Rows of the same stretch of calculations are added up first: a year of calculations is one scan.
_WHOLE: Final = f"""WITH s AS (SELECT match_set_no, line_no, place FROM match_sets WHERE match_set_no IN (SELECT unnest($sets::BIGINT[]))),
    c AS (
        SELECT line_no, first_place, until_place, truth_label, prediction_label, row_count,
            coalesce(list_filter(correct_overlaps, lambda overlap: overlap >= $iou), []) AS found
        FROM kept_counts WHERE line_no IN (SELECT line_no FROM s) AND first_place <= (SELECT max(place) FROM s)),
    k AS (
        SELECT line_no, first_place, until_place, sum(len(found)) AS tp,
            coalesce(sum(row_count - len(found)) FILTER (prediction_label IS NOT NULL), 0) AS fp,
            coalesce(sum(row_count - len(found)) FILTER (truth_label IS NOT NULL), 0) AS fn, coalesce(sum(list_sum(found)), 0) AS overlap
        FROM c GROUP BY ALL)
    SELECT s.match_set_no, sum(tp)::BIGINT, sum(fp)::BIGINT, sum(fn)::BIGINT, sum(overlap)::DOUBLE
    FROM s JOIN k ON {COUNTS_AT.format("s")} GROUP BY s.match_set_no"""


def whole_counts(cursor: Cursor, match_sets: Sequence[MatchSet], *, iou: float) -> list[ThresholdCounts]:
    """Return the counts of all labels together of each calculation: at once where they are kept, else by counting."""
    known = {each.number: _kept_total(each, iou) for each in match_sets}
    others = [number for number, counts in known.items() if counts is None]
    if others:
        for number, *counts in cursor.execute(_WHOLE, {"sets": others, "iou": iou}).fetchall():
            known[number] = ThresholdCounts("", *counts)
    return [known[each.number] or ThresholdCounts("", 0, 0, 0, 0.0) for each in match_sets]


def _kept_total(match_set: MatchSet, iou: float) -> ThresholdCounts | None:
    kept = match_set.totals
    if kept is None or iou not in GRID or (found := kept["found"].get(f"{iou:g}")) is None:
        return None
    hits, overlap = found
    return ThresholdCounts("", hits, kept["predictions"] - hits, kept["ground_truth"] - hits, overlap)


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

    Nothing of a calculation whose rows are not kept any more.
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
