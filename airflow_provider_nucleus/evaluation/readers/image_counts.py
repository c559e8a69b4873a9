"""Counts per item: what slices add up and what comparisons resample.

Precision, recall, F1 and mean IoU of any set of items, with any multiplicity, are functions of sums of these columns,
so a slice or a bootstrap replicate is one product with a weight per item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import frozen
from airflow_provider_nucleus.evaluation.matching.counts import true_positives
from airflow_provider_nucleus.evaluation.metric import Metric, ratio
from airflow_provider_nucleus.rates import f1_terms, mean_overlap_terms, precision_terms, recall_terms
from airflow_provider_nucleus.undefined_reasons import (
    NO_GROUND_TRUTH,
    NO_OBJECTS,
    NO_PREDICTIONS,
    NO_TRUE_POSITIVES,
)

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches

__all__ = [
    "GROUND_TRUTHS",
    "NUMBERS",
    "OVERLAP_SUM",
    "PREDICTIONS",
    "TRUE_POSITIVES",
    "ImageCounts",
    "image_counts",
    "numbers_of",
    "quotients",
]

TRUE_POSITIVES, PREDICTIONS, GROUND_TRUTHS, OVERLAP_SUM = range(4)
"""Columns of `ImageCounts.table`."""

NUMBERS = ("precision", "recall", "f1", "mean_iou")
"""The numbers that these counts give; mean IoU is over the true positives."""

_REASONS = {
    "precision": NO_PREDICTIONS,
    "recall": NO_GROUND_TRUTH,
    "f1": NO_OBJECTS,
    "mean_iou": NO_TRUE_POSITIVES,
}


@dataclass(frozen=True, slots=True, eq=False)
class ImageCounts:
    """Per item: true positives, predictions, ground truths and the overlaps of the true positives summed up."""

    threshold: float
    table: FloatArray
    """[item, column]; counts are whole numbers, exact in float64."""

    def total(self, weights: FloatArray | IndexArray | None = None) -> FloatArray:
        """Return the four sums over items, or over each row of *weights* ([..., items])."""
        summed = self.table.sum(axis=0) if weights is None else weights @ self.table
        return np.asarray(summed, dtype=np.float64)


def image_counts(matches: Matches, threshold: float, *, images: int) -> ImageCounts:
    """Count a match per item at an overlap threshold; *images* is the number of items, empty ones included."""
    truths, predictions = matches.ground_truth, matches.predictions
    hits = np.flatnonzero(true_positives(matches, threshold))
    table = np.zeros((images, 4), dtype=np.float64)
    table[:, TRUE_POSITIVES] = np.bincount(predictions.image[hits], minlength=images)
    table[:, PREDICTIONS] = np.bincount(predictions.image[predictions.counted], minlength=images)
    table[:, GROUND_TRUTHS] = np.bincount(truths.image[truths.counted], minlength=images)
    table[:, OVERLAP_SUM] = np.bincount(
        predictions.image[hits], weights=matches.overlap[hits], minlength=images
    )
    return ImageCounts(threshold=threshold, table=frozen(table))


def quotients(total: FloatArray) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return numerator and denominator of each of `NUMBERS` for totals of shape [..., 4]."""
    hits, named, true = total[..., TRUE_POSITIVES], total[..., PREDICTIONS], total[..., GROUND_TRUTHS]
    return {
        "precision": precision_terms(hits, named),
        "recall": recall_terms(hits, true),
        "f1": f1_terms(hits, named, true),
        "mean_iou": mean_overlap_terms(total[..., OVERLAP_SUM], hits),
    }


def numbers_of(total: FloatArray) -> dict[str, Metric]:
    """Return precision, recall, F1 and mean IoU of one total."""
    return {
        name: ratio(float(numerator), float(denominator), reason=_REASONS[name])
        for name, (numerator, denominator) in quotients(total).items()
    }
