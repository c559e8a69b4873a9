"""TIDE (Bolya et al. 2020): the kinds of error under confidence-first matching, and the AP each kind costs.

Matching is tidecv's: the detections of an image from the most confident down, the first *max_detections* per image
(not per class), each taking the ground truth of its class that it overlaps most (the first on ties) among the free
ones, if by the foreground threshold or more. The kinds are those of `attribution`; a localization error may
overlap by exactly the foreground threshold, as in tidecv. Crowd and ignore regions are no ground truth; an unmatched
detection that lies in one of its class by more than the foreground threshold leaves the AP, but keeps its kind.

dAP of a kind is AP with these errors corrected less AP, floored at 0, as fractions of 1 (tidecv prints points of
100). AP is at the foreground threshold, 101 points, mean over classes with a detection or a ground truth; a class
with detections only counts 0, unlike in COCO.

| kind | correction |
| --- | --- |
| localization, classification | of all such errors at the same free ground truth the most confident one becomes a true positive (of the ground truth's class), the others are deleted; errors at taken ones are deleted |
| duplicate, background, both | deleted |
| missed | the ground truths do not count |
| false positives | all true positives before all false ones (not floored) |
| false negatives | no ground truth that was not found counts (not floored) |

Counts and dAP equal tidecv 1.0.1 (1e-12), its tie rule included: among equal confidences of different images a
correction puts all errors before all true positives. Deviations: where a correction leaves no class at all, dAP is
undefined instead of a division by zero, and so is AP without any ground truth (tidecv: 0); detections without
confidence, which tidecv does not have, are matched last and left out of AP, and so is a class that has no others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import (
    NONE,
    descending,
    frozen,
    group_sizes,
    group_starts,
    stable_order,
)
from airflow_provider_nucleus.evaluation.matching.greedy import resolve
from airflow_provider_nucleus.evaluation.matching.nucleus import prediction_order, truth_order
from airflow_provider_nucleus.evaluation.matching.pairs import Edges, overlapping_pairs
from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from airflow_provider_nucleus.evaluation.readers.attribution import (
    Attribution,
    ErrorKind,
    Overlaps,
    attribute,
)
from airflow_provider_nucleus.evaluation.readers.average_precision import (
    EXACT_RECALLS,
    RankedRows,
    average_precisions,
    true_positives_needed,
    unscored_labels,
)
from airflow_provider_nucleus.undefined_reasons import NO_CONFIDENCE, NO_GROUND_TRUTH

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray, IntArray
    from airflow_provider_nucleus.evaluation.sides.columns import Columns

__all__ = ["ApLost", "Tide", "tide", "tide_of_pairs"]


@dataclass(frozen=True, slots=True)
class ApLost:
    """AP that correcting each kind of error would add, fractions of 1."""

    classification: Metric
    localization: Metric
    both: Metric
    duplicate: Metric
    background: Metric
    missed: Metric
    false_positive: Metric
    false_negative: Metric


@dataclass(frozen=True, slots=True, eq=False)
class Tide:
    """The kind of every prediction, the AP, and what each kind costs."""

    foreground: float
    background: float
    max_detections: int
    attribution: Attribution
    match: IntArray
    """Per prediction, the ground truth it found, else -1."""
    in_region: BoolArray
    """Per prediction: unmatched inside a crowd or ignore region of its class, so not part of AP."""
    ap: Metric
    lost: ApLost


def tide(
    ground_truth: Columns,
    predictions: Columns,
    *,
    foreground: float = 0.5,
    background: float = 0.1,
    max_detections: int = 100,
) -> Tide:
    """Match by confidence at *foreground*, attribute the errors and price them.

    Raises ValueError unless 0 < background < foreground <= 1.
    """
    rows = _most_confident(predictions, max_detections)
    edges = overlapping_pairs(
        ground_truth,
        predictions,
        ground_truth_rows=truth_order(ground_truth),
        prediction_rows=rows,
        same_label=False,
    )
    same = ground_truth.label[edges.ground_truth] == predictions.label[edges.prediction]
    pairs = edges.take(same & (edges.overlap >= foreground))
    match = _match(pairs, predictions=len(predictions), truths=len(ground_truth))
    return _tide(
        ground_truth,
        predictions,
        rows=rows,
        match=match,
        overlaps=_overlaps(edges, same, count=len(predictions)),
        in_region=_in_region(ground_truth, predictions, rows=rows, hit=match != NONE, threshold=foreground),
        foreground=foreground,
        background=background,
        max_detections=max_detections,
    )


def tide_of_pairs(
    ground_truth: Columns,
    predictions: Columns,
    *,
    pairs: Edges,
    overlaps: Overlaps,
    foreground: float = 0.5,
    background: float = 0.1,
    max_detections: int = 100,
) -> Tide:
    """Attribute and price the errors of sides whose pairs are given; the geometry is not read.

    *pairs* are those of equal image and label by *foreground* or more, regions included (by the share of the
    detection inside), in any order. *overlaps* are the largest ones with counted ground truth. Detections without
    confidence have no pairs and are left out.
    """
    rows = _most_confident(predictions, max_detections)
    rows = rows[~np.isnan(predictions.confidence[rows])]
    rank = np.full(len(predictions), NONE, dtype=np.int64)
    rank[rows] = np.arange(rows.size)
    usable = (pairs.overlap >= foreground) & (rank[pairs.prediction] != NONE)
    usable = np.flatnonzero(usable)
    order = usable[
        np.lexsort((ground_truth.ordinal[pairs.ground_truth[usable]], rank[pairs.prediction[usable]]))
    ]
    ordered = pairs.take(order)
    counted = ground_truth.counted[ordered.ground_truth]
    match = _match(ordered.take(counted), predictions=len(predictions), truths=len(ground_truth))
    in_region = np.zeros(len(predictions), dtype=np.bool_)
    in_region[ordered.prediction[~counted & (ordered.overlap > foreground)]] = True
    in_region &= match == NONE
    return _tide(
        ground_truth,
        predictions,
        rows=rows,
        match=match,
        overlaps=overlaps,
        in_region=in_region,
        foreground=foreground,
        background=background,
        max_detections=max_detections,
    )


def _tide(
    ground_truth: Columns,
    predictions: Columns,
    *,
    rows: IndexArray,
    match: IntArray,
    overlaps: Overlaps,
    in_region: BoolArray,
    foreground: float,
    background: float,
    max_detections: int,
) -> Tide:
    considered = np.zeros(len(predictions), dtype=np.bool_)
    considered[rows] = True
    hit = match != NONE
    missing = ground_truth.counted.copy()
    missing[match[hit]] = False
    attribution = attribute(
        overlaps,
        true_positive=hit,
        considered=considered,
        missing=missing,
        foreground=foreground,
        background=background,
        localized=overlaps.correct_overlap > foreground,
    )
    ap, lost = _Prices(
        ground_truth, predictions, rows=rows, attribution=attribution, missing=missing, in_region=in_region
    ).result()
    return Tide(
        foreground=foreground,
        background=background,
        max_detections=max_detections,
        attribution=attribution,
        match=frozen(match),
        in_region=frozen(in_region),
        ap=ap,
        lost=lost,
    )


def _most_confident(predictions: Columns, limit: int) -> IndexArray:
    """Order predictions by (image, confidence, ordinal) and keep the first *limit* of each image."""
    rows = prediction_order(predictions)
    starts = group_starts(predictions.image[rows])
    rank = np.arange(rows.size) - np.repeat(starts, group_sizes(starts, rows.size))
    return rows[rank < limit]


def _match(edges: Edges, *, predictions: int, truths: int) -> IntArray:
    """Match by (detection, overlap descending, ground truth): the detections already lie in order."""
    starts = group_starts(edges.prediction)
    run = np.repeat(np.arange(starts.size), group_sizes(starts, edges.prediction.size))
    order = np.lexsort((-edges.overlap, run))
    taken = order[
        resolve(
            edges.ground_truth[order], edges.prediction[order], ground_truths=truths, predictions=predictions
        )
    ]
    match = np.full(predictions, NONE, dtype=np.int32)
    match[edges.prediction[taken]] = edges.ground_truth[taken]
    return match


def _overlaps(edges: Edges, same: BoolArray, *, count: int) -> Overlaps:
    correct, correct_overlap = edges.take(same).best_of_predictions().by_prediction(count)
    incorrect, incorrect_overlap = edges.take(~same).best_of_predictions().by_prediction(count)
    return Overlaps(
        correct=correct,
        correct_overlap=correct_overlap,
        incorrect=incorrect,
        incorrect_overlap=incorrect_overlap,
    )


def _in_region(
    ground_truth: Columns, predictions: Columns, *, rows: IndexArray, hit: BoolArray, threshold: float
) -> BoolArray:
    inside = np.zeros(len(predictions), dtype=np.bool_)
    regions = np.flatnonzero(~ground_truth.counted)
    if not regions.size:
        return inside
    regions = regions[np.argsort(ground_truth.image[regions], kind="stable")]
    # Ignore regions are measured like crowds: by the share of the detection that lies inside.
    as_crowds = replace(ground_truth, crowd=~ground_truth.counted)
    edges = overlapping_pairs(
        as_crowds,
        predictions,
        ground_truth_rows=regions,
        prediction_rows=rows[~hit[rows]],
        same_label=False,
        minimum=threshold,
        crowds=True,
    )
    covered = ground_truth.label[edges.ground_truth] == predictions.label[edges.prediction]
    inside[edges.prediction[covered]] = True
    return inside


class _Prices:
    """AP as it is and under each correction, over lists of detections in order of confidence."""

    def __init__(
        self,
        ground_truth: Columns,
        predictions: Columns,
        *,
        rows: IndexArray,
        attribution: Attribution,
        missing: BoolArray,
        in_region: BoolArray,
    ) -> None:
        self.truth_label = ground_truth.label
        self.counted = ground_truth.counted
        self.missing = missing
        self.missed = attribution.missed
        self.label = predictions.label
        self.kind = attribution.kind
        self.hit = attribution.kind == ErrorKind.TRUE_POSITIVE
        self.in_ap = ~in_region
        self.towards = attribution.towards
        self.first = self._first_at_its_truth(rows)
        self.classes = 1 + max(
            int(ground_truth.label.max(initial=-1)), int(predictions.label.max(initial=-1))
        )
        self.positives = self._per_class(self.counted)
        self.confidence = confidence = predictions.confidence
        unscored = np.isnan(confidence)
        scored = rows[~unscored[rows]]
        self.unscored = unscored_labels(self.label[unscored], self.label[~unscored], labels=self.classes)
        self.order = scored[descending(confidence[scored])]
        # tidecv lists the errors before the true positives once it corrects: that decides between equal confidences.
        listed = np.concatenate((scored[~self.hit[scored]], scored[self.hit[scored]]))
        self.corrected_order = listed[descending(confidence[listed])]

    def result(self) -> tuple[Metric, ApLost]:
        """Price all kinds."""
        if not self.counted.any():
            return self._none(NO_GROUND_TRUTH)
        if self.unscored is not None and self.unscored[self.positives > 0].all():
            return self._none(NO_CONFIDENCE)
        base = self._mean(self.order, self.label, self.hit, self.in_ap, self.positives)

        def gain(fixed: Metric) -> Metric:
            difference = fixed.minus(base)
            return Metric(max(difference.value, 0.0)) if difference.value is not None else difference

        return base, ApLost(
            classification=gain(self._redirected(ErrorKind.CLASSIFICATION)),
            localization=gain(self._redirected(ErrorKind.LOCALIZATION)),
            both=gain(self._without(ErrorKind.BOTH)),
            duplicate=gain(self._without(ErrorKind.DUPLICATE)),
            background=gain(self._without(ErrorKind.BACKGROUND)),
            missed=gain(self._without_missed(self.missed)),
            false_positive=self._hits_first().minus(base),
            false_negative=self._without_missed(self.missing).minus(base),
        )

    @staticmethod
    def _none(reason: str) -> tuple[Metric, ApLost]:
        nothing = undefined(reason)
        return nothing, ApLost(*[nothing] * 8)

    def _first_at_its_truth(self, rows: IndexArray) -> BoolArray:
        """Mark, for each ground truth not found, the most confident of the errors that point at it."""
        pointing = rows[self.towards[rows] != NONE]
        pointing = pointing[self.missing[self.towards[pointing]]]
        best = np.full(self.missing.size, NONE, dtype=np.int64)
        best[self.towards[pointing][::-1]] = pointing[::-1]
        first = np.zeros(self.label.size, dtype=np.bool_)
        first[best[best != NONE]] = True
        return first

    def _per_class(self, truths: BoolArray) -> IndexArray:
        return np.bincount(self.truth_label[truths], minlength=self.classes)

    def _without(self, kind: ErrorKind) -> Metric:
        kept = self.in_ap & (self.kind != kind)
        return self._mean(self.corrected_order, self.label, self.hit, kept, self.positives)

    def _redirected(self, kind: ErrorKind) -> Metric:
        errors = self.kind == kind
        fixed = errors & self.first
        label = self.label.copy()
        label[fixed] = self.truth_label[self.towards[fixed]]
        kept = (self.in_ap & ~errors) | fixed
        return self._mean(self.corrected_order, label, self.hit | fixed, kept, self.positives)

    def _without_missed(self, truths: BoolArray) -> Metric:
        positives = self.positives - self._per_class(truths)
        return self._mean(self.corrected_order, self.label, self.hit, self.in_ap, positives)

    def _hits_first(self) -> Metric:
        listed = self.order[self.in_ap[self.order]]
        found = np.bincount(self.label[listed[self.hit[listed]]], minlength=self.classes)
        reached = (true_positives_needed(self.positives, EXACT_RECALLS) <= found[:, None]).sum(axis=1)
        return self._mean_over(reached / len(EXACT_RECALLS), self.label[listed], self.positives)

    def _mean(
        self, order: IndexArray, label: IntArray, hit: BoolArray, kept: BoolArray, positives: IndexArray
    ) -> Metric:
        listed = order[kept[order]]
        listed = listed[stable_order(label[listed])]
        rows = RankedRows(
            label=label[listed],
            confidence=self.confidence[listed],
            hit=hit[listed].astype(np.uint16),
            ignored=None,
            positives=positives,
            thresholds=(0.5,),
        )
        return self._mean_over(average_precisions(rows, recalls=EXACT_RECALLS)[0], label[listed], positives)

    def _mean_over(self, aps: FloatArray, label: IntArray, positives: IndexArray) -> Metric:
        there = (positives > 0) | (np.bincount(label, minlength=self.classes) > 0)
        if self.unscored is not None:
            there &= ~self.unscored
        if not there.any():
            return undefined("no detection and no ground truth is left after this correction")
        return Metric(float(aps[there].sum()) / int(there.sum()))
