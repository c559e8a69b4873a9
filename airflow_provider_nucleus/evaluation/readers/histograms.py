"""Histograms of confidence and of overlap, split into true and false positives.

Buckets are of equal width over 0..1, closed on the left; the last one is closed on both sides. Bounds are exact
quotients (3/10, not 0.1 + 0.1 + 0.1), so a value equal to a bound always falls to its right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["Histogram", "bounds_of", "bucket_of", "overlap_histogram", "score_histogram"]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bucket; `bounds` has one entry more than the counts."""

    bounds: FloatArray
    true_positives: IndexArray
    false_positives: IndexArray
    left_out: int
    """Values that do not exist: predictions without confidence, or without any overlap."""

    @property
    def counts(self) -> IndexArray:
        """Both kinds together."""
        return self.true_positives + self.false_positives


def bounds_of(bins: int) -> FloatArray:
    """Return the `bins + 1` bounds of equal buckets over 0..1."""
    if bins < 1:
        raise ValueError(f"a histogram needs at least one bucket, not {bins}")
    return np.arange(bins + 1, dtype=np.float64) / bins


def bucket_of(values: NDArray[np.floating], bins: int) -> IndexArray:
    """Return the bucket of each value, left-closed; raise ValueError on a value outside 0..1 or NaN."""
    values = np.asarray(values, dtype=np.float64)
    if values.size and not (float(values.min()) >= 0.0 and float(values.max()) <= 1.0):
        raise ValueError("histogram values lie in 0..1")
    bounds = bounds_of(bins)
    buckets = np.minimum((values * bins).astype(np.int64), bins - 1)
    # The product rounds: one step either way puts the value between its exact bounds.
    buckets -= values < bounds[buckets]
    buckets += (values >= bounds[buckets + 1]) & (buckets < bins - 1)
    return buckets


def score_histogram(confidence: NDArray[np.floating], correct: BoolArray, *, bins: int = 20) -> Histogram:
    """Count predictions by confidence; NaN means no confidence and is left out. *correct* marks true positives."""
    return _histogram(np.asarray(confidence, dtype=np.float64), np.asarray(correct), bins)


def overlap_histogram(iou: NDArray[np.floating], correct: BoolArray, *, bins: int = 20) -> Histogram:
    """Count matched predictions by the IoU of their match; NaN or 0 means unmatched and is left out."""
    overlaps = np.asarray(iou, dtype=np.float64)
    return _histogram(np.where(overlaps > 0, overlaps, np.nan), np.asarray(correct), bins)


def _histogram(values: FloatArray, correct: BoolArray, bins: int) -> Histogram:
    finite = ~np.isnan(values)
    everything = bool(finite.all())
    buckets = bucket_of(values if everything else values[finite], bins)
    both = np.bincount(buckets * 2 + (correct if everything else correct[finite]), minlength=2 * bins).astype(
        np.int64
    )
    return Histogram(
        bounds=bounds_of(bins),
        true_positives=both[1::2],
        false_positives=both[0::2],
        left_out=int(values.size - np.count_nonzero(finite)),
    )
