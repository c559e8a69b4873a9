"""COCO's AP of a selection: read from the stored matching where that is exact, matched again where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_nucleus.evaluation.areas import AreaRange
from airflow_provider_nucleus.evaluation.average_precision import RankedRows
from airflow_provider_nucleus.evaluation.coco_match import CocoOptions, coco_outcomes
from airflow_provider_nucleus.evaluation.coco_walk import without
from airflow_provider_nucleus.evaluation.mean_precision import Precisions, precisions
from airflow_provider_nucleus.local.evaluating.loaded import COCO_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.evaluation.arrays import IndexArray
    from airflow_provider_nucleus.evaluation.coco_walk import CocoWalk
    from airflow_provider_nucleus.local.evaluating.filters import Range
    from airflow_provider_nucleus.local.evaluating.loaded import Loaded
    from airflow_provider_nucleus.local.evaluating.selection import ApMasks

__all__ = ["ap_by_size", "ap_table", "chosen_walk", "rows_of"]


def chosen_walk(loaded: Loaded, masks: ApMasks) -> CocoWalk | None:
    """Walk the pairs of the chosen objects, None where the stored matching is exact without."""
    if not masks.again:
        return None
    walk = loaded.walk
    dropped = np.zeros(len(walk.edges), dtype=np.bool_)
    if masks.predictions is not None:
        dropped |= ~masks.predictions[walk.edges.prediction]
    if masks.ground_truth is not None:
        dropped |= ~masks.ground_truth[walk.edges.ground_truth]
    return without(walk, dropped, loaded.truth, loaded.predictions) if dropped.any() else walk


def ap_table(loaded: Loaded, masks: ApMasks, walk: CocoWalk | None) -> Precisions:
    """Compute AP of the chosen objects, of all sizes; ``walk`` is that of :func:`chosen_walk`.

    That of everything depends on no question, so it is computed once per result.
    """
    if masks.everything:
        return loaded.once("ap", lambda: _ap_table(loaded, masks, walk))
    return _ap_table(loaded, masks, walk)


def _ap_table(loaded: Loaded, masks: ApMasks, walk: CocoWalk | None) -> Precisions:
    (rows,) = rows_of(loaded, masks, walk, areas=COCO_OPTIONS.areas[:1])
    return precisions(rows, without_confidence=_without_confidence(loaded, masks))


def ap_by_size(loaded: Loaded, masks: ApMasks, walk: CocoWalk | None) -> dict[str, Precisions]:
    """Compute AP of the chosen objects by size; the ranges are COCO's, cut to the chosen range of areas."""
    if masks.everything:
        return loaded.once("ap by size", lambda: _ap_by_size(loaded, masks, walk))
    return _ap_by_size(loaded, masks, walk)


def _ap_by_size(loaded: Loaded, masks: ApMasks, walk: CocoWalk | None) -> dict[str, Precisions]:
    areas, unscored = COCO_OPTIONS.areas[1:], _without_confidence(loaded, masks)
    tables = (
        precisions(rows, without_confidence=unscored) for rows in rows_of(loaded, masks, walk, areas=areas)
    )
    return dict(zip((area.name for area in areas), tables, strict=True))


def rows_of(
    loaded: Loaded, masks: ApMasks, walk: CocoWalk | None, *, areas: Sequence[AreaRange]
) -> list[RankedRows]:
    """Return the ranked rows of the selection for some of the size ranges of :data:`COCO_OPTIONS`."""
    if walk is not None:
        return _matched_again(loaded, masks, walk, areas)
    return [
        loaded.coco[area.name].rows(predictions=masks.predictions, ground_truth=masks.ground_truth)
        for area in areas
    ]


def _without_confidence(loaded: Loaded, masks: ApMasks) -> int:
    missing = np.isnan(loaded.predictions.confidence)
    return int(np.count_nonzero(missing if masks.predictions is None else missing & masks.predictions))


def _matched_again(
    loaded: Loaded, masks: ApMasks, walk: CocoWalk, areas: Sequence[AreaRange]
) -> list[RankedRows]:
    options = CocoOptions(areas=tuple(_cut(area, masks.area) for area in areas))
    hit, ignored = coco_outcomes(walk, loaded.truth, loaded.predictions, options=options)
    ranked = loaded.coco["all"]
    wanted = loaded.truth.counted if masks.ground_truth is None else loaded.truth.counted & masks.ground_truth
    every = np.uint16((1 << len(options.thresholds)) - 1)
    result: list[RankedRows] = []
    for column, area in enumerate(options.areas):
        # What is ignored throughout is as good as absent, and of most predictions that is so in most sizes.
        counts = ignored[:, column] != every
        if masks.predictions is not None:
            counts &= masks.predictions
        kept: IndexArray = np.flatnonzero(counts[ranked.row])
        row = ranked.row[kept]
        there = wanted & ~area.outside(loaded.truth.area)
        result.append(
            RankedRows(
                label=ranked.label[kept],
                confidence=ranked.confidence[kept],
                hit=hit[row, column],
                ignored=ignored[row, column],
                positives=np.bincount(loaded.truth.label[there], minlength=len(loaded.labels)),
                thresholds=options.thresholds,
            )
        )
    return result


_NOTHING: Final = (1.0, 0.0)


def _cut(area: AreaRange, limits: Range | None) -> AreaRange:
    """Return the part of a size range that lies inside the limits; one without any area if there is none."""
    if limits is None:
        return area
    low = area.low if limits.low is None else max(area.low, limits.low)
    high = area.high if limits.high is None else min(area.high, limits.high)
    # An object without an area in pixels has an infinite one, which no range of areas includes.
    high = min(high, float(np.finfo(np.float64).max))
    return AreaRange(area.name, *((low, high) if low <= high else _NOTHING))
