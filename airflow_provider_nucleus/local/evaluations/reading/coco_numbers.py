"""COCO's named numbers with average recall, family by family, and its matching at one threshold.

Boxes and polygons have COCO's twelve numbers, keypoints its ten; cuboids have no area in pixels, so theirs by size are
undefined. Families are apart here: a label that two families share has one AP in each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.matching.coco import (
    COCO_THRESHOLDS,
    match_coco,
    match_coco_edges,
    most_confident,
)
from airflow_provider_nucleus.evaluation.matching.pairs import Edges
from airflow_provider_nucleus.evaluation.metric import ratio, undefined
from airflow_provider_nucleus.evaluation.notes import beyond_limit
from airflow_provider_nucleus.evaluation.readers.coco import CocoResult, coco_result
from airflow_provider_nucleus.evaluation.readers.summarize import average_precision
from airflow_provider_nucleus.local.engine.shape_families import SHAPE_FAMILIES
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.evaluations.reading.precision import cut_range, require_ap
from airflow_provider_nucleus.local.evaluations.reading.shape_reload import read_again
from airflow_provider_nucleus.rates import precision_terms, recall_terms
from airflow_provider_nucleus.undefined_reasons import (
    NO_CONFIDENCE,
    NO_PREDICTIONS_COUNTED,
    no_confidence,
    no_ground_truth,
)

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray
    from airflow_provider_nucleus.evaluation.matching.coco import CocoOptions, CocoRows
    from airflow_provider_nucleus.evaluation.metric import Metric
    from airflow_provider_nucleus.evaluation.sides.columns import Columns
    from airflow_provider_nucleus.local.engine.shape_families import OverlapKind, ShapeFamily
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.evaluations.reading.selection import Selection
    from airflow_provider_nucleus.local.requests.filters import Range
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["coco_of"]

_NO_SIZE: Final = ("APs", "APm", "APl", "ARs", "ARm", "ARl")


def coco_of(
    cursor: Cursor, result: EvaluationResult, selection: Selection, *, kind: OverlapKind
) -> dict[str, Any]:
    """Return the numbers of every family that has objects.

    Raises `BadRequestError` where they have no meaning under the filters, `ConflictError` where the labels
    leave no AP.
    """
    if selection.ap is None:
        raise BadRequestError(
            "COCO's numbers need a choice of objects: leave out iouRange, labelEquality, hasGroundTruth and tideBackground."
        )
    require_ap(result)
    compared = [each for each in SHAPE_FAMILIES.values() if kind in {"exact", each.overlap}]
    found = {each.name: _Family(result, selection, each) for each in compared}
    present = {name: family for name, family in found.items() if family.present}
    if kind != "exact" and not present:
        titles = " or ".join(each.title for each in compared)
        raise BadRequestError(f"iou={kind} is for {titles}, of which this evaluation has none.")
    return {
        "iou": kind,
        "iou_threshold": selection.threshold,
        "families": {name: family.numbers(cursor, kind) for name, family in present.items()},
    }


class _Family:
    """The chosen objects of one family, as rows of the result."""

    def __init__(self, result: EvaluationResult, selection: Selection, family: ShapeFamily) -> None:
        masks = selection.ap
        assert masks is not None
        self._result, self._family, self._threshold = result, family, selection.threshold
        code = result.about["families"].index(family.name)
        of_truth, of_predictions = (
            result.arrays[f"{side}_family"] == code for side in ("truth", "prediction")
        )
        self.present = bool(of_truth.any() or of_predictions.any())
        self._truths = _rows(of_truth, masks.ground_truth)
        self._predictions = _rows(of_predictions, masks.predictions)
        self._options = _within(family.coco.limited(result.options.max_detections), masks.area)

    def numbers(self, cursor: Cursor, kind: OverlapKind) -> dict[str, Any]:
        """Match by confidence and return the numbers of all labels and of each."""
        stored_threshold = any(abs(self._threshold - threshold) < 1e-9 for threshold in COCO_THRESHOLDS)
        if kind == "exact" and stored_threshold:
            every = at = self._stored()
        else:
            every, at = self._again(cursor, kind)
        # Counts at one threshold are about all predictions, AP about the most confident ones.
        limit = self._options.max_detections[-1]
        rows = most_confident(every, limit=limit)
        coco = coco_result(rows, options=self._options)
        one = (
            coco
            if at is every
            else coco_result(most_confident(at, limit=limit), options=self._at_threshold(self._options))
        )
        match = _Match(one, at, self._threshold)
        beyond = len(every) - len(rows)
        numbers = dict(coco.numbers)
        if not self._family.sized:
            numbers |= dict.fromkeys(_NO_SIZE, undefined(f"{self._family.title} have no area in pixels"))
        return {
            "ground_truths": int(rows.positives[:, 0].sum()),
            "predictions": int(self._predictions.size),
            "without_confidence": rows.excluded,
            "beyond_limit": beyond,
            "max_detections": list(self._options.max_detections),
            "numbers": {name: metric.to_dict() for name, metric in numbers.items()},
            "at_threshold": match.of_all(),
            "per_class": [self._label(label, coco, match) for label in _labels(every).tolist()],
            "notes": [note.to_dict() for note in beyond_limit(beyond, limit=limit)],
        }

    def _at_threshold(self, options: CocoOptions) -> CocoOptions:
        return replace(options, thresholds=(self._threshold,), areas=options.areas[:1])

    @property
    def _unlimited(self) -> CocoOptions:
        return replace(self._options, max_detections=(max(1, self._predictions.size),))

    def _stored(self) -> CocoRows:
        """Match the pairs that the evaluation has kept."""
        result, edges = self._result, self._result.coco_order.edges
        truth = _places(self._truths, len(result.truth))[edges.ground_truth]
        prediction = _places(self._predictions, len(result.predictions))[edges.prediction]
        kept = np.flatnonzero((truth != NONE) & (prediction != NONE))
        return match_coco_edges(
            result.truth.take(self._truths),
            self._ranked(result.predictions.take(self._predictions)),
            Edges(truth[kept], prediction[kept], edges.overlap[kept]),
            labels=len(result.labels),
            options=self._unlimited,
        )

    def _ranked(self, predictions: Columns) -> Columns:
        """Put the chosen predictions under the labels AP ranks them by, which allowed label matches may change."""
        if not self._result.taxonomy.pairs:
            return predictions
        return replace(predictions, label=self._result.ranked_under[self._predictions])

    def _again(self, cursor: Cursor, kind: OverlapKind) -> tuple[CocoRows, CocoRows]:
        """Match the shapes anew: at COCO's thresholds, and at the requested one."""
        truth, predictions = read_again(
            cursor, self._result, self._family.name, truth_rows=self._truths, prediction_rows=self._predictions,
            kind=kind,
        )  # fmt: skip
        predictions = self._ranked(predictions)
        labels = len(self._result.labels)
        return (
            match_coco(truth, predictions, labels=labels, options=self._unlimited),
            match_coco(truth, predictions, labels=labels, options=self._at_threshold(self._unlimited)),
        )

    def _label(self, label: int, coco: CocoResult, at: _Match) -> dict[str, Any]:
        return {
            "label": self._result.labels.names[label],
            "ground_truths": int(coco.tables.positives[label, 0]),
            "AP": coco.label_ap(label).to_dict(),
            "AP50": coco.label_ap(label, threshold=0.5).to_dict(),
            "AP75": coco.label_ap(label, threshold=COCO_THRESHOLDS[5]).to_dict(),
            "AR": coco.label_ar(label).to_dict(),
            "at_threshold": at.of_label(label),
        }


class _Match:
    """The confidence-first match at one threshold: who found what, per label."""

    def __init__(self, coco: CocoResult, rows: CocoRows, threshold: float) -> None:
        thresholds = coco.tables.options.thresholds
        place = int(np.argmin(np.abs(np.array(thresholds) - threshold)))
        hit, ignored = (
            (bits[:, 0] >> np.uint16(place)) & np.uint16(1) != 0 for bits in (rows.hit, rows.ignored)
        )
        labels = coco.tables.unscored.size
        self._coco, self._threshold = coco, thresholds[place]
        self._positives = coco.tables.positives[:, 0]
        self._hits, self._wrong, self._ignored = (
            np.bincount(rows.label[chosen], minlength=labels)
            for chosen in (hit, ~hit & ~ignored, ~hit & ignored)
        )
        self._unscored = len(rows) == 0 and rows.excluded > 0

    def of_all(self) -> dict[str, Any]:
        """Return AP and counts over all labels."""
        average = average_precision(self._coco.tables, threshold=self._threshold)
        unscored = undefined(NO_CONFIDENCE) if self._unscored else None
        return self._numbers(average, slice(None), unscored)

    def of_label(self, label: int) -> dict[str, Any]:
        """Return AP and counts of one label."""
        average = self._coco.label_ap(label, threshold=self._threshold)
        without = self._coco.tables.unscored[label]
        unscored = undefined(no_confidence(of_label=True)) if without else None
        return self._numbers(average, slice(label, label + 1), unscored)

    def _numbers(self, average: Metric, labels: slice, unscored: Metric | None) -> dict[str, Any]:
        correct, incorrect, ignored, total = (
            int(counts[labels].sum()) for counts in (self._hits, self._wrong, self._ignored, self._positives)
        )
        precision = unscored or ratio(
            *precision_terms(correct, correct + incorrect), reason=NO_PREDICTIONS_COUNTED
        )
        recall = unscored or ratio(*recall_terms(correct, total), reason=no_ground_truth(counted=True))
        return {
            "AP": average.to_dict(),
            "tp": correct,
            "fp": incorrect,
            "fn": total - correct,
            "ignored": ignored,
            "precision": precision.to_dict(),
            "recall": recall.to_dict(),
        }


def _rows(of_family: BoolArray, chosen: BoolArray | None) -> IndexArray:
    return np.flatnonzero(of_family if chosen is None else of_family & chosen)


def _within(options: CocoOptions, limits: Range | None) -> CocoOptions:
    return (
        options
        if limits is None
        else replace(options, areas=tuple(cut_range(a, limits) for a in options.areas))
    )


def _labels(rows: CocoRows) -> IndexArray:
    """Return the labels that occur on either side."""
    there = rows.positives[:, 0] > 0
    there[rows.label] = True
    return np.flatnonzero(there)


def _places(rows: IndexArray, count: int) -> IndexArray:
    places = np.full(count, NONE, dtype=np.int64)
    places[rows] = np.arange(rows.size, dtype=np.int64)
    return places
