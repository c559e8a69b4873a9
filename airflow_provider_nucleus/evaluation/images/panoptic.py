"""Panoptic quality (Kirillov et al. 2019): PQ = SQ x RQ, per class and averaged.

A predicted and a true segment of one class match when their IoU exceeds 0.5, which makes the match unique. Void truth
pixels (class -1) are taken out of the predicted area first; a predicted segment that lies by more than half on void or
on crowd regions of its class is neither match nor false alarm; crowd regions are never missed. These are the rules of
the reference implementation (panopticapi), except that several crowd regions of one class count together.

Per class: RQ = TP / (TP + FP/2 + FN/2) is the F1 of segments, SQ = mean IoU of the matches, PQ = sum of IoU over the
same denominator. Counts add up over images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.metric import Metric, ratio, undefined
from airflow_provider_nucleus.evaluation.overlap.masks import index_overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray

__all__ = [
    "VOID",
    "PanopticClassScores",
    "PanopticCounts",
    "PanopticScores",
    "panoptic_counts",
    "panoptic_scores",
]

VOID = -1
"""The class of segments that are not labelled."""


@dataclass(frozen=True, slots=True)
class PanopticCounts:
    """Per class: the sum of IoU over matches, and segments matched, false and missed."""

    iou_sum: FloatArray
    true_positives: IndexArray
    false_positives: IndexArray
    false_negatives: IndexArray

    def __add__(self, other: PanopticCounts) -> PanopticCounts:
        """Return the counts of both sets of images."""
        return PanopticCounts(
            self.iou_sum + other.iou_sum,
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )


@dataclass(frozen=True, slots=True)
class PanopticClassScores:
    """One class; SQ is undefined without a match, all three without any segment."""

    label: int
    true_positives: int
    false_positives: int
    false_negatives: int
    pq: Metric
    sq: Metric
    rq: Metric


@dataclass(frozen=True, slots=True)
class PanopticScores:
    """Means over the classes that have a segment; a class without a match enters the mean SQ as 0 (panopticapi)."""

    pq: Metric
    sq: Metric
    rq: Metric
    per_class: tuple[PanopticClassScores, ...]


def panoptic_counts(
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    *,
    truth_classes: NDArray[np.integer],
    predicted_classes: NDArray[np.integer],
    classes: int,
    truth_crowd: BoolArray | None = None,
) -> PanopticCounts:
    """Match the segments of one image pair.

    *truth* and *predicted* hold a segment number per pixel; `truth_classes[n]` is the class of segment n, or
    `VOID`. Raises ValueError when the sizes differ or a pixel names a segment without a class entry.
    """
    overlap = index_overlap(truth, predicted)
    truth_classes = np.asarray(truth_classes, dtype=np.int64)
    predicted_classes = np.asarray(predicted_classes, dtype=np.int64)
    for side, index, table in (
        ("ground truth", overlap.ground_truth, truth_classes),
        ("prediction", overlap.prediction, predicted_classes),
    ):
        if index.size and int(index.max()) >= table.size:
            raise ValueError(f"{side}: a pixel names a segment outside 0..{table.size - 1}")
    crowd = np.zeros(len(truth_classes), dtype=np.bool_) if truth_crowd is None else np.asarray(truth_crowd)

    shared = np.zeros((len(truth_classes), len(predicted_classes)), dtype=np.int64)
    shared[overlap.ground_truth, overlap.prediction] = overlap.pixels
    true_area, named_area = shared.sum(axis=1), shared.sum(axis=0)
    void_overlap = shared[truth_classes == VOID].sum(axis=0)

    same = (truth_classes[:, None] == predicted_classes[None, :]) & (truth_classes != VOID)[:, None]
    union = true_area[:, None] + (named_area - void_overlap)[None, :] - shared
    matched = same & ~crowd[:, None] & (2 * shared > union)
    rows, columns = np.nonzero(matched)

    lost = (truth_classes != VOID) & ~crowd & (true_area > 0)
    lost[rows] = False
    crowd_overlap = (shared * (same & crowd[:, None])).sum(axis=0)
    false = (
        (predicted_classes != VOID) & (named_area > 0) & (2 * (void_overlap + crowd_overlap) <= named_area)
    )
    false[columns] = False
    return PanopticCounts(
        iou_sum=np.bincount(
            truth_classes[rows], weights=shared[rows, columns] / union[rows, columns], minlength=classes
        ).astype(np.float64),
        true_positives=np.bincount(truth_classes[rows], minlength=classes).astype(np.int64),
        false_positives=np.bincount(predicted_classes[false], minlength=classes).astype(np.int64),
        false_negatives=np.bincount(truth_classes[lost], minlength=classes).astype(np.int64),
    )


def panoptic_scores(counts: PanopticCounts) -> PanopticScores:
    """Read PQ, SQ and RQ from the counts."""
    per_class = []
    for label, (iou_sum, hits, false, lost) in enumerate(
        zip(
            counts.iou_sum.tolist(),
            counts.true_positives.tolist(),
            counts.false_positives.tolist(),
            counts.false_negatives.tolist(),
            strict=True,
        )
    ):
        weight = hits + false / 2 + lost / 2
        if weight:
            per_class.append(
                PanopticClassScores(
                    label=label,
                    true_positives=hits,
                    false_positives=false,
                    false_negatives=lost,
                    pq=Metric(iou_sum / weight),
                    sq=ratio(iou_sum, hits, reason="no segment of this class matched"),
                    rq=Metric(hits / weight),
                )
            )
    if not per_class:
        nothing = undefined("no segment on either side")
        return PanopticScores(nothing, nothing, nothing, ())
    return PanopticScores(
        pq=_mean_with_zeros([scores.pq for scores in per_class]),
        sq=_mean_with_zeros([scores.sq for scores in per_class]),
        rq=_mean_with_zeros([scores.rq for scores in per_class]),
        per_class=tuple(per_class),
    )


def _mean_with_zeros(metrics: list[Metric]) -> Metric:
    return Metric(sum(metric.value or 0.0 for metric in metrics) / len(metrics))
