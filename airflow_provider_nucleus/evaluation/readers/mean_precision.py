"""AP per label, its mean over labels, and AP by size, as metrics, from ranked rows of either family.

Read from a `RankedMatch` these are numbers of Nucleus matches, which go by overlap and not by
confidence: they are NOT COCO's AP and must not be published as mAP. Read from a
`RankedCoco` they are COCO's. A label without ground truth has no AP and enters no mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from airflow_provider_nucleus.evaluation.readers.average_precision import average_precisions, threshold_place
from airflow_provider_nucleus.evaluation.sides.areas import LARGE, MEDIUM, SMALL
from airflow_provider_nucleus.undefined_reasons import (
    NO_CONFIDENCE,
    NO_GROUND_TRUTH,
    no_confidence,
    no_ground_truth,
)

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.readers.average_precision import ActiveRows, RankedRows
    from airflow_provider_nucleus.evaluation.readers.ranked import RankedCoco, RankedMatch

__all__ = ["Precisions", "precision_by_size", "precisions"]


@dataclass(frozen=True, slots=True, eq=False)
class Precisions:
    """AP per [threshold, label] and the ground truths per label it rests on.

    *unscored* marks labels that have predictions, none of which has a confidence: those have no AP and enter no mean.
    """

    values: FloatArray
    positives: IndexArray
    thresholds: tuple[float, ...]
    unscored: BoolArray | None = None

    def of_label(self, label: int, *, threshold: float | None = None) -> Metric:
        """Return one label's AP, the mean over all thresholds or at one of them."""
        if self.positives[label] == 0:
            return undefined(no_ground_truth(of_label=True))
        if self.unscored is not None and self.unscored[label]:
            return undefined(no_confidence(of_label=True))
        return Metric(float(self.values[self._at(threshold), label].mean()))

    def mean(self, *, threshold: float | None = None) -> Metric:
        """Return the mean over labels that have an AP, and over all thresholds or at one of them."""
        there = self.positives > 0
        if not there.any():
            return undefined(NO_GROUND_TRUTH)
        if self.unscored is not None:
            there &= ~self.unscored
            if not there.any():
                return undefined(NO_CONFIDENCE)
        return Metric(float(self.values[self._at(threshold)][:, there].mean()))

    def _at(self, threshold: float | None) -> slice:
        if threshold is None:
            return slice(None)
        place = threshold_place(self.thresholds, threshold)
        return slice(place, place + 1)


def precisions(rows: RankedRows | ActiveRows) -> Precisions:
    """Compute AP for every threshold and label."""
    return Precisions(
        values=average_precisions(rows),
        positives=rows.positives,
        thresholds=rows.thresholds,
        unscored=rows.unscored,
    )


def precision_by_size(
    ranked: RankedMatch | RankedCoco,
    *,
    predictions: BoolArray | None = None,
    ground_truth: BoolArray | None = None,
) -> dict[str, Metric]:
    """Return mean AP over thresholds and labels for small, medium and large ground truth (COCO's closed ranges)."""
    sizes = {}
    for area in (SMALL, MEDIUM, LARGE):
        rows = ranked.rows(predictions=predictions, ground_truth=ground_truth, area=area)
        value = precisions(rows).mean()
        sizes[area.name] = undefined(no_ground_truth(size=area.name)) if not np.any(rows.positives) else value
    return sizes
