"""Curves over confidence at one overlap threshold: precision against recall, and F1 with its best threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import descending, group_sizes, group_starts
from airflow_provider_nucleus.evaluation.metric import Metric, ratio, undefined
from airflow_provider_nucleus.evaluation.readers.average_precision import (
    COCO_RECALLS,
    envelopes,
    threshold_place,
)
from airflow_provider_nucleus.evaluation.readers.histograms import bucket_of
from airflow_provider_nucleus.rates import f1_terms, precision_terms, recall_terms
from airflow_provider_nucleus.undefined_reasons import (
    NO_CONFIDENCE,
    NO_GROUND_TRUTH,
    NO_OBJECTS,
    NO_PREDICTIONS,
    NO_PREDICTIONS_AT_CONFIDENCE,
    no_confidence,
)

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.readers.average_precision import RankedRows

__all__ = [
    "ConfidencePoint",
    "F1ByConfidence",
    "PrecisionRecallCurve",
    "f1_curve",
    "f1_of",
    "precision_recall_curves",
]


_FINE = 4096
"""Buckets of confidence that bound where the best F1 can lie."""


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionRecallCurve:
    """One label's curve at the recall levels it reaches; beyond the last one precision is 0.

    *precision* is the highest at this recall or beyond, *confidence* that of the true positive which reaches it (at
    recall 0 the first one; pycocotools gives the most confident prediction there, right or wrong). The curve of a
    label with ground truth and no true positive has no points and AP 0; one whose predictions all lack a confidence has
    none either, and no AP.
    """

    label: int
    positives: int
    recall: FloatArray
    precision: FloatArray
    confidence: FloatArray
    average_precision: Metric


def precision_recall_curves(rows: RankedRows, *, threshold: float) -> list[PrecisionRecallCurve]:
    """Return the curve of every label that has ground truth, at one of the thresholds of *rows*.

    Raises ValueError when the threshold is not among them.
    """
    (curve,) = envelopes(rows, thresholds=(threshold_place(rows.thresholds, threshold),))
    place = {int(label): number for number, label in enumerate(curve.labels)}
    curves = []
    nothing = np.zeros(0, dtype=np.float64)
    for label in np.flatnonzero(rows.positives).tolist():
        number = place.get(label)
        ap = Metric(0.0 if number is None else float(curve.precision[number].sum()) / len(COCO_RECALLS))
        if rows.unscored is not None and rows.unscored[label]:
            ap = undefined(no_confidence(of_label=True))
        reached = None if number is None else curve.reached[number]
        curves.append(
            PrecisionRecallCurve(
                label=label,
                positives=int(rows.positives[label]),
                recall=nothing if reached is None else COCO_RECALLS[reached],
                precision=nothing if reached is None else curve.precision[number, reached],
                confidence=nothing if reached is None else rows.confidence[curve.row[number, reached]],
                average_precision=ap,
            )
        )
    return curves


@dataclass(frozen=True, slots=True)
class ConfidencePoint:
    """Numbers of the predictions of *confidence* or more; precision is undefined when there are none."""

    confidence: float
    true_positives: int
    predictions: int
    precision: Metric
    recall: Metric
    f1: Metric


@dataclass(frozen=True, slots=True)
class F1ByConfidence:
    """F1 over a regular grid of confidences, and the best confidence over all distinct ones (the highest on ties)."""

    points: tuple[ConfidencePoint, ...]
    best: ConfidencePoint | None
    positives: int
    without_confidence: int
    reason: str | None
    """Why there is no best point."""


def f1_curve(
    rows: RankedRows, *, threshold: float, steps: int = 100, without_confidence: int = 0
) -> F1ByConfidence:
    """Read F1 against confidence over all labels of *rows* at one of their thresholds.

    Each point is about the predictions of its confidence or more, matched without the others (see
    `RankedMatch`). The grid has `steps + 1` points over 0..1. Raises ValueError when the threshold is not
    among those of the rows.
    """
    bit = np.uint16(1 << threshold_place(rows.thresholds, threshold))
    counted = np.ones(len(rows), dtype=np.bool_) if rows.ignored is None else (rows.ignored & bit) == 0
    hit = (rows.hit & bit) != 0
    return f1_of(
        rows.confidence[counted],
        hit[counted],
        positives=int(rows.positives.sum()),
        steps=steps,
        without_confidence=without_confidence,
    )


def f1_of(
    confidence: FloatArray, hit: BoolArray, *, positives: int, steps: int = 100, without_confidence: int = 0
) -> F1ByConfidence:
    """Read F1 against confidence from one true-positive flag per prediction, in any order."""
    bins = steps * (1 + _FINE // steps)
    bucket = bucket_of(np.clip(confidence, 0.0, 1.0), bins)
    kept = _from_above(np.bincount(bucket, minlength=bins))
    found = _from_above(np.bincount(bucket[hit], minlength=bins))
    top = confidence >= 1.0
    kept[-1], found[-1] = np.count_nonzero(top), np.count_nonzero(top & hit)
    stride = bins // steps
    points = tuple(
        _point(step / steps, int(found[step * stride]), int(kept[step * stride]), positives=positives)
        for step in range(steps + 1)
    )
    kept[-1] = found[-1] = 0
    reason = None
    if positives == 0:
        reason = NO_GROUND_TRUTH
    elif confidence.size == 0:
        reason = NO_CONFIDENCE if without_confidence else NO_PREDICTIONS
    if reason is not None:
        return F1ByConfidence(points, None, positives, without_confidence, reason)
    best = _best_point(confidence, hit, bucket=bucket, kept=kept, found=found, positives=positives)
    return F1ByConfidence(points, best, positives, without_confidence, None)


def _from_above(counts: IndexArray) -> IndexArray:
    """Sum from each bucket to the last; one entry more, for what lies above all of them."""
    return np.append(np.cumsum(counts[::-1])[::-1], 0).astype(np.int64)


def _best_point(
    confidence: FloatArray,
    hit: BoolArray,
    *,
    bucket: IndexArray,
    kept: IndexArray,
    found: IndexArray,
    positives: int,
) -> ConfidencePoint:
    """Find the best cut exactly, sorting only the buckets in which it can lie.

    *kept* and *found* count predictions and true positives from each bucket upwards.
    """
    inside = found[:-1] - found[1:]
    reached = np.where(kept[:-1] > kept[1:], np.divide(*f1_terms(found[:-1], kept[:-1], positives)), -1.0)
    # At best all true positives of the bucket come before its first error; without any, one error at least is kept.
    possible = np.divide(*f1_terms(found[:-1], kept[1:] + np.maximum(inside, 1), positives))
    candidates = (possible >= reached.max()) & (reached >= 0.0)
    rows = np.flatnonzero(candidates[bucket])
    rows = rows[descending(confidence[rows])]
    score, place = confidence[rows], bucket[rows]
    starts = group_starts(place)
    lengths = group_sizes(starts, rows.size)
    hits = np.cumsum(hit[rows])
    before: IndexArray = np.repeat(hits[starts] - hit[rows[starts]], lengths)
    number = np.arange(1, rows.size + 1) - np.repeat(starts, lengths) + kept[place + 1]
    found_here = hits - before + found[place + 1]
    # A cut falls below the last of equal confidences.
    last = np.flatnonzero(np.append(score[1:] != score[:-1], [True]))
    best = int(last[np.argmax(np.divide(*f1_terms(found_here[last], number[last], positives)))])
    return _point(float(score[best]), int(found_here[best]), int(number[best]), positives=positives)


def _point(level: float, found: int, kept: int, *, positives: int) -> ConfidencePoint:
    return ConfidencePoint(
        confidence=level,
        true_positives=found,
        predictions=kept,
        precision=ratio(*precision_terms(found, kept), reason=NO_PREDICTIONS_AT_CONFIDENCE),
        recall=ratio(*recall_terms(found, positives), reason=NO_GROUND_TRUTH),
        f1=ratio(*f1_terms(found, kept, positives), reason=NO_OBJECTS)
        if positives
        else undefined(NO_GROUND_TRUTH),
    )
