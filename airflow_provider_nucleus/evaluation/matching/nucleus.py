"""Nucleus matching: one threshold-free, one-to-one match per image, highest overlap first.

| step | rule |
| --- | --- |
| candidates | pairs of one image that overlap, restricted by the `LabelMatchPolicy` |
| order | overlap descending, confidence descending (missing last), prediction ordinal, ground-truth ordinal |
| order | take a pair when both ends are free |
| leftovers | paired once more whatever their labels, for display only: never a true positive |

The result is an immutable table that every reader (counts, curves, confusion, error types) is a function of.
It is about the predictions that were matched and no others: taking predictions away sets ground truth free for those
that had to yield, so the numbers above a confidence are those of another match (`Matches.only`,
`Matches.above`).
This is not the matching behind COCO's AP, which goes by confidence at each threshold: see `coco`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import (
    NONE,
    BoolArray,
    FloatArray,
    IndexArray,
    IntArray,
    descending,
    frozen,
    stable_order,
)
from airflow_provider_nucleus.evaluation.matching.greedy import resolve
from airflow_provider_nucleus.evaluation.matching.pairs import Edges, overlapping_pairs
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.sides.columns import Columns

__all__ = [
    "CLASS_SENSITIVE",
    "Matches",
    "associable",
    "by_image_and_ordinal",
    "match",
    "match_edges",
    "match_pairs",
    "only_counted",
    "prediction_order",
    "truth_order",
]

CLASS_SENSITIVE = LabelMatchPolicy()


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """The match of two sides. Row numbers are those of the sides; -1 means none, an overlap of 0 likewise.

    One entry per prediction:

    - *match*, *overlap*: the ground truth it was matched to, at which overlap;
    - *correct*: it is matched and the labels are equal or listed, so it is a true positive at every threshold up to
      its overlap;
    - *displayed*, *displayed_overlap*: for an unmatched prediction, the unmatched ground truth displayed beside it;
    - *best_correct*, *best_correct_overlap*: the ground truth with a correct label it overlaps most, matched or not;
    - *best_incorrect*, *best_incorrect_overlap*: the same among the ground truths with another label.

    One entry per ground truth: *found_by*, the prediction matched to it, and *displayed_with*, the prediction displayed
    beside it. Rows of a side whose `counted` is false (crowds, ignored regions) take no part and are not counted.
    """

    ground_truth: Columns
    predictions: Columns
    rule: LabelMatchPolicy
    match: IntArray
    overlap: FloatArray
    correct: BoolArray
    displayed: IntArray
    displayed_overlap: FloatArray
    best_correct: IntArray
    best_correct_overlap: FloatArray
    best_incorrect: IntArray
    best_incorrect_overlap: FloatArray
    found_by: IntArray
    displayed_with: IntArray
    edges: Edges | None = field(default=None, repr=False)
    """All pairs that overlap, in the order in which they were offered; None where they are not kept."""

    def only(self, predictions: BoolArray) -> Matches:
        """Return the match of the predictions marked, as if the others did not exist.

        Row numbers stay what they are; the other predictions are not counted any more. Raises ValueError when the pairs
        were not kept.
        """
        if self.edges is None:
            raise ValueError("this match was read without its pairs, so predictions cannot be matched anew")
        chosen = only_counted(self.predictions, predictions)
        edges = self.edges.take(np.flatnonzero(chosen.counted[self.edges.prediction]))
        return match_edges(self.ground_truth, chosen, edges=edges, rule=self.rule)

    def above(self, minimum_confidence: float | None) -> Matches:
        """Return the match of the predictions of a confidence or more (those without one go too); all of them for None."""
        if minimum_confidence is None:
            return self
        return self.only(self.predictions.confidence >= minimum_confidence)

    def __repr__(self) -> str:
        return (
            f"Matches({len(self.ground_truth)} ground truths, {len(self.predictions)} predictions,"
            f" {int((self.match != NONE).sum())} matched)"
        )


def match(
    ground_truth: Columns, predictions: Columns, *, rule: LabelMatchPolicy = CLASS_SENSITIVE
) -> Matches:
    """Match two sides of the same kind of geometry (boxes and polygons may be mixed).

    Both sides must use the same image and label codes. Deterministic: the result depends on the rows' images,
    labels, shapes, confidences and ordinals, and on nothing else.
    """
    edges = overlapping_pairs(
        ground_truth,
        predictions,
        ground_truth_rows=truth_order(ground_truth),
        prediction_rows=prediction_order(predictions),
        same_label=False,
    )
    return match_edges(ground_truth, predictions, edges=edges, rule=rule)


def only_counted(side: Columns, rows: BoolArray) -> Columns:
    """Return a side of which only the rows marked are counted."""
    return replace(side, ignore=side.ignore | ~rows)


def truth_order(ground_truth: Columns) -> IndexArray:
    """Order the counted rows of the ground truth by (image, ordinal)."""
    rows = np.flatnonzero(ground_truth.counted)
    return by_image_and_ordinal(ground_truth, rows)


def prediction_order(predictions: Columns) -> IndexArray:
    """Order the counted predictions by (image, confidence descending with missing last, ordinal)."""
    rows = by_image_and_ordinal(predictions, np.flatnonzero(predictions.counted))
    confidence = predictions.confidence[rows]
    rows = rows[descending(np.where(np.isnan(confidence), -np.inf, confidence))]
    return rows[stable_order(predictions.image[rows])]


def by_image_and_ordinal(side: Columns, rows: IndexArray) -> IndexArray:
    """Order rows by (image, ordinal)."""
    image, ordinal = side.image[rows], side.ordinal[rows]
    step = np.diff(image)
    if not ((step < 0) | ((step == 0) & (np.diff(ordinal) < 0))).any():
        return rows
    rows = rows[stable_order(ordinal)]
    return rows[stable_order(side.image[rows])]


def match_edges(
    ground_truth: Columns, predictions: Columns, *, edges: Edges, rule: LabelMatchPolicy
) -> Matches:
    """Match two sides whose overlapping pairs are given (index masks have them from one histogram).

    The edges of one image must come in the order of `prediction_order`, and those of one prediction in the
    order of `truth_order`: that is what decides between equal overlaps.
    """
    edges = Edges(edges.ground_truth, edges.prediction, np.minimum(edges.overlap, 1.0))
    correct = rule.is_correct(ground_truth.label[edges.ground_truth], predictions.label[edges.prediction])
    taken = edges.take(
        _greedy(edges, np.flatnonzero(associable(edges, correct, rule)), ground_truth, predictions)
    )
    count, truths = len(predictions), len(ground_truth)
    matched, matched_overlap = taken.by_prediction(count)
    found_by = np.full(truths, NONE, dtype=np.int32)
    found_by[taken.ground_truth] = taken.prediction
    label_correct = np.zeros(count, dtype=np.bool_)
    label_correct[taken.prediction] = rule.is_correct(
        ground_truth.label[taken.ground_truth], predictions.label[taken.prediction]
    )

    left = np.flatnonzero((matched[edges.prediction] == NONE) & (found_by[edges.ground_truth] == NONE))
    beside = edges.take(_greedy(edges, left, ground_truth, predictions))
    displayed, displayed_overlap = beside.by_prediction(count)
    displayed_with = np.full(truths, NONE, dtype=np.int32)
    displayed_with[beside.ground_truth] = beside.prediction

    best_correct, best_correct_overlap = (
        edges.take(np.flatnonzero(correct)).best_of_predictions().by_prediction(count)
    )
    best_incorrect, best_incorrect_overlap = (
        edges.take(np.flatnonzero(~correct)).best_of_predictions().by_prediction(count)
    )
    return Matches(
        ground_truth=ground_truth,
        predictions=predictions,
        rule=rule,
        match=frozen(matched),
        overlap=frozen(matched_overlap),
        correct=frozen(label_correct),
        displayed=frozen(displayed),
        displayed_overlap=frozen(displayed_overlap),
        best_correct=frozen(best_correct),
        best_correct_overlap=frozen(best_correct_overlap),
        best_incorrect=frozen(best_incorrect),
        best_incorrect_overlap=frozen(best_incorrect_overlap),
        found_by=frozen(found_by),
        displayed_with=frozen(displayed_with),
        edges=edges,
    )


def match_pairs(
    ground_truth: Columns,
    predictions: Columns,
    *,
    ground_truth_rows: IndexArray,
    prediction_rows: IndexArray,
    overlap: FloatArray,
    rule: LabelMatchPolicy,
) -> Matches:
    """Match two sides from pairs of rows and their overlaps, in any order; pairs of rows not counted are left out."""
    usable = ground_truth.counted[ground_truth_rows] & predictions.counted[prediction_rows] & (overlap > 0)
    truth_rank = np.zeros(len(ground_truth), dtype=np.int64)
    truths = truth_order(ground_truth)
    truth_rank[truths] = np.arange(truths.size)
    prediction_rank = np.zeros(len(predictions), dtype=np.int64)
    ordered = prediction_order(predictions)
    prediction_rank[ordered] = np.arange(ordered.size)
    edges = Edges(ground_truth_rows, prediction_rows, overlap).take(np.flatnonzero(usable))
    order = np.lexsort((truth_rank[edges.ground_truth], prediction_rank[edges.prediction]))
    return match_edges(ground_truth, predictions, edges=edges.take(order), rule=rule)


def associable(edges: Edges, correct: BoolArray, rule: LabelMatchPolicy) -> BoolArray:
    """Return which overlapping pairs the label policy lets associate."""
    if not rule.class_agnostic:
        return correct
    return correct | (edges.overlap > rule.minimum_overlap)


def _greedy(
    edges: Edges, positions: NDArray[np.int64], ground_truth: Columns, predictions: Columns
) -> NDArray[np.int64]:
    """Take the chosen edges by overlap, ties in the order they lie in, and return the positions taken."""
    order = positions[descending(edges.overlap[positions])]
    taken = resolve(
        edges.ground_truth[order],
        edges.prediction[order],
        ground_truths=len(ground_truth),
        predictions=len(predictions),
    )
    return order[taken]
