"""Matched predictions sorted once, so that any choice of rows gives curves without sorting or matching again.

Two sources, two families of numbers that never share a name: `RankedMatch` reads Nucleus matches (highest
overlap first, among the predictions above each confidence), `RankedCoco` the confidence-first matches of COCO. Both
hand out `RankedRows` for the rows chosen by masks and for one size range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE, descending, stable_order
from airflow_provider_nucleus.evaluation.matching.coco import (
    BOX_OPTIONS,
    COCO_THRESHOLDS,
    MAX_THRESHOLDS,
    CocoOptions,
    CocoRows,
    ranked_predictions,
)
from airflow_provider_nucleus.evaluation.matching.gains import Gains, curve_pairs, gains
from airflow_provider_nucleus.evaluation.matching.nucleus import by_image_and_ordinal
from airflow_provider_nucleus.evaluation.readers.average_precision import RankedRows, unscored_labels
from airflow_provider_nucleus.evaluation.sides.areas import ALL, AreaRange

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray, IntArray
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches
    from airflow_provider_nucleus.evaluation.readers.average_precision import Bits
    from airflow_provider_nucleus.evaluation.sides.columns import Columns

__all__ = [
    "RankedCoco",
    "RankedMatch",
    "Unscored",
    "by_gained_label",
    "correct_labels",
    "rank_coco",
    "rank_match",
    "unscored_columns",
    "unscored_of",
]


@dataclass(frozen=True, slots=True, eq=False)
class Unscored:
    """The predictions without confidence, which no curve can hold: row numbers and labels."""

    row: IndexArray
    label: IntArray

    def __len__(self) -> int:
        return int(self.row.size)

    def mark_labels(
        self, label: IntArray, kept: BoolArray | None, *, predictions: BoolArray | None, labels: int
    ) -> BoolArray | None:
        """Mark the labels whose chosen predictions are all unscored (None: no label).

        *label* is that of the ranked predictions, *kept* marks the chosen ones among them and *predictions* among all.
        """
        if not len(self):
            return None
        unscored = self.label if predictions is None else self.label[predictions[self.row]]
        return unscored_labels(unscored, label if kept is None else label[kept], labels=labels)


@dataclass(frozen=True, slots=True, eq=False)
class RankedMatch:
    """The predictions of a Nucleus match that have a confidence, by (label, confidence, image, ordinal), and what each adds.

    Every point of a curve over confidence is about the predictions above it, and reads the match of those alone: a row is
    a true positive at the thresholds at which it leads to one more ground truth found (see `gains`), so that the
    true positives of the first rows are what a match of the first rows finds. *row* is the prediction's row number, by its
    place in the ranking, which is what *gains* name. A prediction that leads to ground truth of another, listed label is
    ranked under that label, so that recall stays below 1. *unscored* are those that have no confidence.
    """

    ground_truth: Columns
    row: IndexArray
    label: IntArray
    confidence: FloatArray
    own_area: FloatArray
    gains: Gains
    thresholds: tuple[float, ...]
    labels: int
    unscored: Unscored

    @property
    def without_confidence(self) -> int:
        """Number of predictions without a confidence."""
        return len(self.unscored)

    def rows(
        self,
        *,
        predictions: BoolArray | None = None,
        ground_truth: BoolArray | None = None,
        area: AreaRange = ALL,
    ) -> RankedRows:
        """Choose rows by masks over predictions and ground truth, and a size range.

        A true positive follows its ground truth: when that is masked out or out of range, the prediction is not
        counted at the thresholds where it is one. A false positive follows its own area. Masks choose what is counted,
        not what is matched: rank the match of other predictions for that.
        """
        wanted = self.ground_truth.counted
        if ground_truth is not None:
            wanted = wanted & ground_truth
        kept: BoolArray | None = None if predictions is None else predictions[self.row]
        unscored = self.unscored.mark_labels(self.label, kept, predictions=predictions, labels=self.labels)
        every = np.uint16((1 << len(self.thresholds)) - 1)
        hit, ignored = self._bits(self.gains.bits), None
        if area is not ALL:
            wanted = wanted & ~area.outside(self.ground_truth.area)
            # A row that is never a true positive and out of range is never counted: leave it out at once.
            outside = area.outside(self.own_area)
            in_play = (hit != 0) | ~outside
            kept = in_play if kept is None else kept & in_play
        if ground_truth is not None or area is not ALL:
            ignored = self._bits(np.where(wanted[self.gains.ground_truth], np.uint16(0), self.gains.bits))
            if area is not ALL:
                # Only rows that are true positives somewhere are both in play and out of range.
                correct = np.flatnonzero(hit)
                correct = correct[outside[correct]]
                ignored[correct] |= every & ~hit[correct]
            hit &= ~ignored
        # Positions are gathered several times faster than a mask is applied several times.
        chosen: IndexArray | slice = slice(None) if kept is None else np.flatnonzero(kept)
        return RankedRows(
            label=self.label[chosen],
            confidence=self.confidence[chosen],
            hit=hit[chosen],
            ignored=None if ignored is None else ignored[chosen],
            positives=np.bincount(self.ground_truth.label[wanted], minlength=self.labels),
            thresholds=self.thresholds,
            unscored=unscored,
        )

    def _bits(self, gained: Bits) -> Bits:
        """Spread the bits of gains over the rows; those of one row are different bits."""
        bits = np.zeros(self.row.size, dtype=np.uint16)
        if len(self.thresholds) == 1:
            bits[self.gains.place] = gained
        else:
            np.bitwise_or.at(bits, self.gains.place, gained)
        return bits


def rank_match(
    matches: Matches, *, labels: int, thresholds: tuple[float, ...] = COCO_THRESHOLDS
) -> RankedMatch:
    """Rank the predictions of a Nucleus match; *labels* is the number of label codes.

    With several thresholds and listed labels, a prediction that leads to ground truth of two labels is ranked under that
    of the lowest threshold. Raises ValueError unless there are 1 to 16 ascending thresholds, for a match whose pairs
    were not kept, and for a class-agnostic one: there a more confident prediction of a wrong label takes away what
    was found, and no row says so.
    """
    if not 1 <= len(thresholds) <= MAX_THRESHOLDS or list(thresholds) != sorted(set(thresholds)):
        raise ValueError(f"thresholds {thresholds} must be 1 to {MAX_THRESHOLDS} ascending numbers")
    if matches.edges is None:
        raise ValueError("this match was read without its pairs, so its predictions cannot be ranked")
    if matches.rule.class_agnostic:
        raise ValueError(
            "a class-agnostic match has no curve over confidence: give both sides one label instead"
        )
    predictions, truths = matches.predictions, matches.ground_truth
    scored = by_image_and_ordinal(
        predictions, np.flatnonzero(predictions.counted & ~np.isnan(predictions.confidence))
    )
    ranked = scored[descending(predictions.confidence[scored])]
    found = _gains(matches, ranked, thresholds)
    row, label, found = by_gained_label(ranked, predictions.label, truths.label, found)
    return RankedMatch(
        ground_truth=truths,
        row=row,
        label=label,
        confidence=predictions.confidence[row],
        own_area=predictions.area[row],
        gains=found,
        thresholds=thresholds,
        labels=labels,
        unscored=unscored_of(matches),
    )


def _gains(matches: Matches, ranked: IndexArray, thresholds: tuple[float, ...]) -> Gains:
    """Return what predictions add that come in by confidence; those without one come in never."""
    predictions, truths, edges = matches.predictions, matches.ground_truth, matches.edges
    assert edges is not None
    rows = np.flatnonzero(edges.overlap >= thresholds[0])
    correct = matches.rule.is_correct(
        truths.label[edges.ground_truth[rows]], predictions.label[edges.prediction[rows]]
    )
    pairs = curve_pairs(
        edges.take(rows[correct]),
        truths,
        predictions,
        ranked=ranked,
        least=thresholds[0],
        across_labels=bool(matches.rule.allowed),
    )
    return gains(pairs, thresholds=thresholds)


def by_gained_label(
    ranked: IndexArray, label: IntArray, truth_label: IntArray, found: Gains
) -> tuple[IndexArray, IntArray, Gains]:
    """Sort ranked rows by the label under which they are ranked, and return them, those labels and the gains.

    *label* is that of every prediction. One that leads to ground truth is ranked under the label of that.
    """
    under: IntArray = label[ranked]
    # Of several entries the last one written stays: that of the lowest threshold, which is the lowest bit.
    last = np.argsort(found.bits & -found.bits, kind="stable")[::-1]
    under[found.place[last]] = truth_label[found.ground_truth[last]]
    order = stable_order(under)
    return ranked[order], under[order], found.moved(order)


def unscored_of(matches: Matches) -> Unscored:
    """Return the counted predictions without confidence, under the labels `rank_match` would rank them."""
    row = np.flatnonzero(np.isnan(matches.predictions.confidence) & matches.predictions.counted)
    return Unscored(row, correct_labels(matches, row))


def correct_labels(matches: Matches, rows: IndexArray) -> IntArray:
    """Return the labels of predictions, of those rightly matched that of their ground truth."""
    label: IntArray = matches.predictions.label[rows].copy()
    matched = np.flatnonzero(matches.correct[rows] & (matches.match[rows] != NONE))
    label[matched] = matches.ground_truth.label[matches.match[rows[matched]]]
    return label


@dataclass(frozen=True, slots=True, eq=False)
class RankedCoco:
    """The predictions of a COCO evaluation by (label, confidence, image), with the outcome in every size range.

    *row* is the prediction's row number; *hit* and *ignored* hold one bit per threshold, [row, size range].
    """

    ground_truth: Columns
    prediction_image: IntArray
    """The image of every prediction, by the prediction's row number."""
    row: IndexArray
    label: IntArray
    confidence: FloatArray
    hit: Bits
    ignored: Bits
    options: CocoOptions
    labels: int
    unscored: Unscored

    @property
    def without_confidence(self) -> int:
        """Number of predictions without a confidence."""
        return len(self.unscored)

    def above(self, minimum_confidence: float | None) -> RankedCoco:
        """Return the same of the predictions of a confidence or more, exactly; all of it for None.

        A prediction takes nothing from a more confident one, so those left are matched as before.
        """
        if minimum_confidence is None:
            return self
        rows = np.flatnonzero(self.confidence >= minimum_confidence)
        return replace(
            self,
            row=self.row[rows],
            label=self.label[rows],
            confidence=self.confidence[rows],
            hit=self.hit[rows],
            ignored=self.ignored[rows],
            unscored=Unscored(self.unscored.row[:0], self.unscored.label[:0]),
        )

    def rows(
        self,
        *,
        predictions: BoolArray | None = None,
        ground_truth: BoolArray | None = None,
        area: AreaRange | None = None,
    ) -> RankedRows:
        """Choose rows by masks over predictions and ground truth, and one of the size ranges evaluated.

        The numbers are those of an evaluation of the chosen rows alone when the masks keep or drop whole images or
        labels. COCO matches by confidence, so leaving out the least confident predictions is exact as well; for
        any other choice match again.
        """
        column = 0 if area is None else self.options.areas.index(area)
        kept = None if predictions is None else predictions[self.row]
        chosen: IndexArray | slice = slice(None) if kept is None else np.flatnonzero(kept)
        wanted = self.ground_truth.counted & ~self.options.areas[column].outside(self.ground_truth.area)
        if ground_truth is not None:
            wanted &= ground_truth
        ignored = self.ignored[chosen, column]
        return RankedRows(
            label=self.label[chosen],
            confidence=self.confidence[chosen],
            hit=self.hit[chosen, column],
            ignored=ignored if ignored.any() else None,
            positives=np.bincount(self.ground_truth.label[wanted], minlength=self.labels),
            thresholds=self.options.thresholds,
            unscored=self.unscored.mark_labels(self.label, kept, predictions=predictions, labels=self.labels),
        )


def rank_coco(
    rows: CocoRows, ground_truth: Columns, predictions: Columns, *, options: CocoOptions = BOX_OPTIONS
) -> RankedCoco:
    """Sort the matched rows of `match_coco`, made from the same two sides with the same options."""
    row, _ = ranked_predictions(predictions, limit=options.max_detections[-1])
    if row.size != len(rows):
        raise ValueError(
            f"{len(rows)} matched rows do not come from these predictions, which give {row.size}"
        )
    order = descending(rows.confidence)
    order = order[stable_order(rows.label[order])]
    return RankedCoco(
        ground_truth=ground_truth,
        prediction_image=predictions.image,
        row=row[order],
        label=rows.label[order].astype(np.int32, copy=False),
        confidence=rows.confidence[order],
        # Column by column in memory: a reader looks at one size range at a time.
        hit=np.asfortranarray(rows.hit[order]),
        ignored=np.asfortranarray(rows.ignored[order]),
        options=options,
        labels=rows.positives.shape[0],
        unscored=unscored_columns(predictions),
    )


def unscored_columns(predictions: Columns) -> Unscored:
    """Return the predictions without confidence, under their own labels."""
    row = np.flatnonzero(np.isnan(predictions.confidence) & predictions.counted)
    return Unscored(row, predictions.label[row])
