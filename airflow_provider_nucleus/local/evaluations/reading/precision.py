"""COCO's AP of a selection: read from the stored matching where that is exact, matched again where it is not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import group_sizes, group_starts
from airflow_provider_nucleus.evaluation.matching.coco import CocoOptions, pair_outcomes
from airflow_provider_nucleus.evaluation.matching.coco_order import without
from airflow_provider_nucleus.evaluation.readers.average_precision import RankedRows
from airflow_provider_nucleus.evaluation.readers.mean_precision import Precisions, precisions
from airflow_provider_nucleus.evaluation.sides.areas import AreaRange
from airflow_provider_nucleus.local.errors import ConflictError
from airflow_provider_nucleus.local.evaluations.reading.result import COCO_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray
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


def chosen_order(result: EvaluationResult, masks: ApMasks) -> ChosenOrder | None:
    """Match the pairs of the chosen objects in order, None where the stored matching is exact without."""
    if not masks.again:
        return None
    coco_order = result.coco_order
    offered, before = (
        _offered(result, masks.predictions),
        result.once("offered", lambda: _offered(result, None)),
    )
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
        (rows,) = rows_of(result, masks, coco_order, areas=(size,))
        return precisions(rows)

    return result.once(f"ap {size.name}", compute) if masks.everything else compute()


def rows_of(
    result: EvaluationResult, masks: ApMasks, coco_order: ChosenOrder | None, *, areas: Sequence[AreaRange]
) -> list[RankedRows]:
    """Return the ranked rows of the selection for some of the size ranges of `COCO_OPTIONS`."""
    if coco_order is not None:
        found = _matched_again(result, masks, coco_order, areas)
    else:
        found = [
            result.coco[area.name].rows(predictions=masks.predictions, ground_truth=masks.ground_truth)
            for area in areas
        ]
    # Of all sizes alike: a size range has only the rows that count in it.
    unscored = _unscored(result, masks)
    return [replace(rows, unscored=unscored) for rows in found]


def _unscored(result: EvaluationResult, masks: ApMasks) -> BoolArray | None:
    """Mark the classes whose chosen predictions all lack a confidence."""
    ranked = result.coco["all"]
    if not ranked.unscored.row.size:
        return None
    kept = None if masks.predictions is None else masks.predictions[ranked.row]
    return ranked.unscored.mark_labels(
        ranked.label, kept, predictions=masks.predictions, labels=ranked.labels
    )


def _matched_again(
    result: EvaluationResult, masks: ApMasks, chosen: ChosenOrder, areas: Sequence[AreaRange]
) -> list[RankedRows]:
    """Put the outcome of the few predictions that have pairs into the stored order of all of them."""
    truth, ranked, own_area = result.ap_truth, result.coco["all"], result.arrays["coco_all_area"]
    wanted = truth.counted if masks.ground_truth is None else truth.counted & masks.ground_truth
    every = np.uint16((1 << len(COCO_OPTIONS.thresholds)) - 1)
    found: list[RankedRows] = []
    for size in areas:
        area, column = cut_range(size, masks.area), COCO_OPTIONS.areas.index(size)
        outside = area.outside(own_area)
        hit, ignored = chosen.outcomes.hit[:, column], chosen.outcomes.ignored[:, column]
        ignored = np.where(outside[chosen.place], every & ~hit, ignored)
        # What is ignored throughout is as good as absent, and of most predictions that is so in most sizes.
        counts = ~outside
        counts[chosen.place] = ignored != every
        if chosen.offered is not None:
            counts &= chosen.offered
        kept: IndexArray = np.flatnonzero(counts)
        # Both in one number, so that they are put into the order together.
        both = np.zeros(counts.size, dtype=np.uint32)
        both[chosen.place] = hit | (ignored.astype(np.uint32) << np.uint32(16))
        both = both[kept]
        there = wanted & ~area.outside(truth.area)
        found.append(
            RankedRows(
                label=ranked.label[kept],
                confidence=ranked.confidence[kept],
                hit=both.astype(np.uint16),
                ignored=(both >> np.uint32(16)).astype(np.uint16),
                positives=np.bincount(np.compress(there, truth.label), minlength=ranked.labels),
                thresholds=COCO_OPTIONS.thresholds,
            )
        )
    return found


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
