"""COCO's AP of a selection: read from the stored matching where that is exact, matched again where it is not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import group_sizes, group_starts
from airflow_provider_nucleus.evaluation.matching.coco import CocoOptions, pair_outcomes
from airflow_provider_nucleus.evaluation.matching.coco_order import without
from airflow_provider_nucleus.evaluation.readers.average_precision import (
    ActiveRows,
    RankedRows,
    counted_before,
    label_begins,
)
from airflow_provider_nucleus.evaluation.readers.mean_precision import Precisions, precisions
from airflow_provider_nucleus.evaluation.sides.areas import AreaRange
from airflow_provider_nucleus.local.errors import ConflictError
from airflow_provider_nucleus.local.evaluations.reading.result import ANY_AREA, COCO_OPTIONS

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray
    from airflow_provider_nucleus.evaluation.matching.coco import Bits
    from airflow_provider_nucleus.evaluation.matching.coco_order import PairOutcomes
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.evaluations.reading.selection import ApMasks
    from airflow_provider_nucleus.local.requests.filters import Range

__all__ = ["ChosenOrder", "ap_table", "chosen_order", "cut_range", "require_ap", "rows_of"]


@dataclass(frozen=True, slots=True, eq=False)
class ChosenOrder:
    """COCO's matching of the chosen objects, and the predictions that take part in it.

    `outcomes` has a column for each size of `COCO_OPTIONS`. `place` is where each prediction that has pairs lies
    in the stored order by (class, confidence); `offered` marks in that order the predictions that take part (None: all).
    """

    outcomes: PairOutcomes
    place: IndexArray
    offered: BoolArray | None


def require_ap(result: EvaluationResult) -> None:
    """Raise `ConflictError` for an evaluation whose labels leave no matching by confidence."""
    if result.no_ap is not None:
        raise ConflictError(f"Evaluation {result.id} has no matching by confidence: {result.no_ap}.")


def chosen_order(result: EvaluationResult, masks: ApMasks, *, every: bool = False) -> ChosenOrder | None:
    """Match the pairs of the chosen objects in order, None where the stored matching is exact without.

    *every* has all predictions take part, for counts, not only the most confident ones that AP looks at.
    """
    if not masks.again and not (every and result.arrays["long_row"].size):
        return None
    coco_order = result.coco_order
    offered = masks.predictions if every else _offered(result, masks.predictions)
    before = result.once("offered", lambda: _offered(result, None))
    dropped = np.zeros(len(coco_order.edges), dtype=np.bool_)
    if offered is not None:
        dropped |= ~offered[coco_order.edges.prediction]
    if masks.ground_truth is not None:
        dropped |= ~masks.ground_truth[coco_order.edges.ground_truth]
    # With some gone, others are among the most confident of their image and class.
    entering = None if before is None else ~(before[coco_order.edges.prediction] | dropped)
    place = result.arrays["edge_place"]
    if dropped.any() or (entering is not None and entering.any()):
        coco_order = without(coco_order, dropped, result.ap_truth, entering=entering)
        place = np.compress(~dropped, place)
    options = CocoOptions(areas=tuple(cut_range(area, masks.area) for area in COCO_OPTIONS.areas))
    outcomes = pair_outcomes(coco_order, result.ap_truth, options=options)
    in_order = None if offered is None else offered[result.arrays["coco_all_row"]]
    return ChosenOrder(outcomes, place[group_starts(coco_order.edges.prediction)], in_order)


def _offered(result: EvaluationResult, chosen: BoolArray | None) -> BoolArray | None:
    """Mark the most confident of the chosen predictions of each image and class (None: all predictions)."""
    rows, first = result.arrays["long_row"], result.arrays["long_first"]
    if not rows.size:
        return chosen
    offered = np.ones(len(result.predictions), dtype=np.bool_) if chosen is None else chosen.copy()
    kept = offered[rows]
    starts = np.flatnonzero(first)
    place = np.cumsum(kept) - kept
    place -= np.repeat(place[starts], group_sizes(starts, rows.size))
    offered[rows[place >= result.arrays["long_limit"]]] = False
    return offered


def ap_table(
    result: EvaluationResult, masks: ApMasks, coco_order: ChosenOrder | None, *, size: AreaRange
) -> Precisions:
    """Compute AP of the chosen objects in one of the sizes of `COCO_OPTIONS`, cut to the chosen range of areas.

    `coco_order` is that of `chosen_order`. AP of everything depends on no request, so it is computed once per result.
    """

    def compute() -> Precisions:
        if coco_order is not None:
            return precisions(_active(result, masks, coco_order, size=size))
        return precisions(rows_of(result, masks, None, size=size))

    return result.once(f"ap {size.name}", compute) if masks.everything else compute()


def rows_of(
    result: EvaluationResult, masks: ApMasks, coco_order: ChosenOrder | None, *, size: AreaRange
) -> RankedRows:
    """Return the ranked rows of the selection for one of the size ranges of `COCO_OPTIONS`."""
    ranked = result.coco[size.name]
    if coco_order is None:
        rows = ranked.rows(predictions=masks.predictions, ground_truth=masks.ground_truth)
        # Of all sizes alike: a size range has only the rows that count in it.
        return replace(rows, unscored=_unscored(result, masks))
    ranked = result.coco["all"]
    outcome = _outcome(result, masks, coco_order, size=size)
    counts = outcome.steady
    counts[outcome.row] = outcome.ignored != _EVERY
    kept: IndexArray = np.flatnonzero(counts)
    hit, ignored = np.zeros((2, counts.size), dtype=np.uint16)
    hit[outcome.row], ignored[outcome.row] = outcome.hit, outcome.ignored
    return RankedRows(
        label=ranked.label[kept],
        confidence=ranked.confidence[kept],
        hit=hit[kept],
        ignored=ignored[kept],
        positives=outcome.positives,
        thresholds=COCO_OPTIONS.thresholds,
        unscored=_unscored(result, masks),
    )


def _active(
    result: EvaluationResult, masks: ApMasks, coco_order: ChosenOrder, *, size: AreaRange
) -> ActiveRows:
    """Return of the same rows those that AP looks at, without putting all of them together."""
    outcome = _outcome(result, masks, coco_order, size=size)
    outcome.steady[outcome.row] = False
    kept = outcome.ignored != _EVERY
    row, ranked = outcome.row[kept], result.coco["all"]
    begins = result.once("begins", lambda: label_begins(ranked.label, labels=ranked.labels))
    label = ranked.label[row]
    return ActiveRows(
        row=row,
        label=label,
        before=counted_before(outcome.steady, row, begins[label]),
        hit=outcome.hit[kept],
        ignored=outcome.ignored[kept],
        positives=outcome.positives,
        thresholds=COCO_OPTIONS.thresholds,
        unscored=_unscored(result, masks),
    )


def _unscored(result: EvaluationResult, masks: ApMasks) -> BoolArray | None:
    """Mark the classes whose chosen predictions all lack a confidence."""
    ranked = result.coco["all"]
    if not ranked.unscored.row.size:
        return None
    kept = None if masks.predictions is None else masks.predictions[ranked.row]
    return ranked.unscored.mark_labels(
        ranked.label, kept, predictions=masks.predictions, labels=ranked.labels
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """Chosen predictions in the stored order: *steady* marks those that count, *row* those that are hit or ignored somewhere."""

    steady: BoolArray
    row: IndexArray
    hit: Bits
    ignored: Bits
    positives: IndexArray


def _outcome(result: EvaluationResult, masks: ApMasks, chosen: ChosenOrder, *, size: AreaRange) -> _Outcome:
    """Put the outcome of the few predictions that have pairs into the stored order of all of them."""
    truth, ranked = result.ap_truth, result.coco["all"]
    area, column = cut_range(size, masks.area), COCO_OPTIONS.areas.index(size)
    wanted = truth.counted if masks.ground_truth is None else truth.counted & masks.ground_truth
    there = wanted & ~area.outside(truth.area)
    inside = _inside(result, area, size=size, cut=masks.area is not None)
    hit, ignored = chosen.outcomes.hit[:, column], chosen.outcomes.ignored[:, column]
    # Both in one number, so that they are put into the order together.
    both = np.zeros(len(ranked.row), dtype=np.uint32)
    if inside is None:
        steady = np.ones(both.size, dtype=np.bool_) if chosen.offered is None else chosen.offered.copy()
    else:
        # What is ignored throughout is as good as absent, and of most predictions that is so in most sizes.
        steady = inside.copy() if chosen.offered is None else inside & chosen.offered
        ignored = np.where(inside[chosen.place], ignored, _EVERY & ~hit)
    both[chosen.place] = hit | (ignored.astype(np.uint32) << np.uint32(16))
    row = np.flatnonzero(both)
    both = both[row]
    return _Outcome(
        steady=steady,
        row=row,
        hit=both.astype(np.uint16),
        ignored=(both >> np.uint32(16)).astype(np.uint16),
        positives=np.bincount(np.compress(there, truth.label), minlength=ranked.labels),
    )


def _inside(result: EvaluationResult, area: AreaRange, *, size: AreaRange, cut: bool) -> BoolArray | None:
    """Mark the predictions, in the stored order, that have their own area in a range; None if all have."""

    def compute() -> BoolArray:
        outside = area.outside(result.arrays["coco_all_area"])
        return np.logical_not(outside, out=outside)

    if cut:
        return compute()
    return None if size is ANY_AREA else result.once(f"inside {size.name}", compute)


_EVERY: Final = np.uint16((1 << len(COCO_OPTIONS.thresholds)) - 1)
_NOTHING: Final = (1.0, 0.0)


def cut_range(area: AreaRange, limits: Range | None) -> AreaRange:
    """Return the part of a size range that lies inside the limits; one without any area if there is none."""
    if limits is None:
        return area
    low = area.low if limits.low is None else max(area.low, limits.low)
    high = area.high if limits.high is None else min(area.high, limits.high)
    # An object without an area in pixels has an infinite one, which no range of areas includes.
    high = min(high, float(np.finfo(np.float64).max))
    return AreaRange(area.name, *((low, high) if low <= high else _NOTHING))
