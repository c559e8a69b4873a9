"""Calibration: whether a confidence of 0.8 comes true eight times in ten.

Expected calibration error (Naeini 2015, Guo 2017): predictions are put into equal bins of confidence, each closed on
the right (0 belongs to the first); ECE = sum over bins of (share of predictions) x |accuracy - mean confidence|, and
the maximum calibration error is the largest such gap. "Accuracy" is the share of true positives under whatever rule
the caller's *correct* column states: for detection a match at an IoU threshold, for categories the exact label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.metric import Metric, ratio, undefined
from airflow_provider_nucleus.evaluation.readers.histograms import bounds_of
from airflow_provider_nucleus.undefined_reasons import NO_CONFIDENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray

__all__ = ["Calibration", "ReliabilityBin", "calibration"]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bin of confidence (lower, upper]; its means are undefined while it is empty."""

    lower: float
    upper: float
    count: int
    true_positives: int
    mean_confidence: Metric
    accuracy: Metric


@dataclass(frozen=True, slots=True)
class Calibration:
    """The two errors, the Brier score, and the bins of the reliability diagram."""

    ece: Metric
    mce: Metric
    brier: Metric
    """Mean squared distance between confidence and outcome."""
    bins: tuple[ReliabilityBin, ...]
    counted: int
    without_confidence: int


def calibration(confidence: NDArray[np.floating], correct: BoolArray, *, bins: int = 10) -> Calibration:
    """Compare confidences (0..1, NaN = missing and left out) with outcomes.

    Raises ValueError on a confidence outside 0..1 or when the columns differ in length.
    """
    confidence, correct = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.bool_)
    if confidence.shape != correct.shape:
        raise ValueError(f"{confidence.size} confidences for {correct.size} outcomes")
    scored = ~np.isnan(confidence)
    scores, outcomes = confidence[scored], correct[scored]
    if scores.size and not (float(scores.min()) >= 0.0 and float(scores.max()) <= 1.0):
        raise ValueError("confidences lie in 0..1")

    bounds = bounds_of(bins)
    places = np.maximum(np.searchsorted(bounds, scores, side="left") - 1, 0)
    counts = np.bincount(places, minlength=bins)
    hits = np.bincount(places[outcomes], minlength=bins)
    sums = np.bincount(places, weights=scores, minlength=bins)
    rows = tuple(
        ReliabilityBin(
            lower=float(bounds[place]),
            upper=float(bounds[place + 1]),
            count=int(counts[place]),
            true_positives=int(hits[place]),
            mean_confidence=ratio(float(sums[place]), int(counts[place]), reason="empty bin"),
            accuracy=ratio(int(hits[place]), int(counts[place]), reason="empty bin"),
        )
        for place in range(bins)
    )
    total = int(scores.size)
    if not total:
        nothing = undefined(NO_CONFIDENCE)
        return Calibration(nothing, nothing, nothing, rows, 0, int(confidence.size))
    filled = counts > 0
    gaps = np.abs(hits - sums)
    return Calibration(
        ece=Metric(float(gaps.sum()) / total),
        mce=Metric(float((gaps[filled] / counts[filled]).max())),
        brier=Metric(float(np.mean((scores - outcomes) ** 2))),
        bins=rows,
        counted=total,
        without_confidence=int(confidence.size - total),
    )
