"""A measurement of the predictions of a confidence or more, from the pairs of the measurement of all of them.

What is left is counted by the same rules. Pairs only go away: a confident prediction that had to yield to a hesitant one of better fit stays
wrong, so that recall is a lower bound (`approximate`; measure anew above the cut where the shapes are at hand). Numbers that are no
quotients of counts, AP among them, are left out, and so is the profile.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from airflow_provider_nucleus.gating.measurement import MatchColumns, Measurement, Numbers
from airflow_provider_nucleus.gating.operating_point import operating_points_of
from airflow_provider_nucleus.rates import (
    f1_terms,
    mean_overlap_terms,
    precision_terms,
    quotient,
    recall_terms,
)
from airflow_provider_nucleus.undefined_reasons import (
    NO_GROUND_TRUTH,
    NO_OBJECTS,
    NO_PREDICTIONS,
    NO_TRUE_POSITIVES,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_nucleus.gating.operating_point import OperatingPoint

__all__ = ["BEST", "Cut", "above_confidence", "at_cut", "own_cut", "rows_above"]

BEST: Final = "best"
Cut: TypeAlias = float | str | None
"""A least confidence; `best`: of each measurement its own, that of the best F1; None: all predictions count."""


def at_cut(measurement: Measurement, cut: Cut) -> Measurement:
    """Return the measurement above *cut*; one without its matches only where it was made above that cut already.

    Raises ValueError where it cannot be counted anew.
    """
    if cut is None or (measurement.matches is None and _made_above(measurement, cut)):
        return measurement
    least = own_cut(operating_points_of(measurement).overall) if cut == BEST else float(cut)
    return measurement if least is None else above_confidence(measurement, least)


def own_cut(best: OperatingPoint) -> float | None:
    """Return the confidence of a best point; 0 of a model that predicted nothing, so that it is compared with others at their cuts."""
    return 0.0 if best.reason == NO_PREDICTIONS else best.confidence


def _made_above(measurement: Measurement, cut: float | str) -> bool:
    made = measurement.confidence_threshold
    return made is not None and cut in {BEST, made}


def above_confidence(measurement: Measurement, least: float) -> Measurement:
    """Return the measurement of the predictions of confidence *least* or more; those without a confidence go too.

    Raises ValueError where the measurement has no matches or states no overlap, or was made above a higher confidence already.
    """
    if measurement.matches is None or measurement.iou_threshold is None:
        raise ValueError(
            "this measurement was written without its matches: measure the model anew above the confidence"
        )
    if measurement.confidence_threshold is not None and measurement.confidence_threshold > least:
        raise ValueError(
            f"this measurement has the predictions from confidence {measurement.confidence_threshold:g} on, and none below: "
            f"measure the model anew from {least:g} on"
        )
    kept = rows_above(measurement.matches, least)
    before = sum(each is not None for each in measurement.matches.predicted)
    after = sum(each is not None for each in kept.predicted)
    slices = {
        key: {
            value: _numbers(kept, measurement.iou_threshold, items=set(places)).overall(items=len(places))
            for value, places in values.items()
        }
        for key, values in kept.groups.items()
    }
    counted = _numbers(kept, measurement.iou_threshold)
    note = {
        "note": "confidence_cut",
        "count": before - after,
        "text": f"{before - after:,} predictions below confidence {least:g} were taken out of the match, which was not made anew: recall is a "
        "lower bound",
    }
    return measurement.model_copy(
        update={
            "coverage": measurement.coverage.model_copy(
                update={"predictions": measurement.coverage.predictions - (before - after)}
            ),
            "confidence_threshold": least,
            "overall": counted.overall(items=measurement.overall.items),
            "per_label": counted.per_label(),
            "slices": slices,
            "profile": None,
            "notes": [*measurement.notes, note],
            "matches": kept,
        }
    )


def rows_above(matches: MatchColumns, least: float) -> MatchColumns:
    """Return the rows without the predictions below *least*; ground truth that loses its partner stays, alone."""
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    rows = zip(*(getattr(matches, name) for name in _COLUMNS), strict=True)
    for item, truth, predicted, overlap, confidence, truth_id, prediction_id, agrees in rows:
        row = (item, truth, predicted, overlap, confidence, truth_id, prediction_id, agrees)
        if predicted is not None and (confidence is None or confidence < least):
            if truth is None:
                continue
            row = (item, truth, None, 0.0, None, truth_id, None, False)
        for name, value in zip(_COLUMNS, row, strict=True):
            columns[name].append(value)
    return matches.model_copy(update=columns)


_COLUMNS = (
    "item",
    "truth",
    "predicted",
    "iou",
    "confidence",
    "truth_id",
    "prediction_id",
    "agrees",
)


@dataclass(slots=True)
class _PairSums:
    """Counts of everything or of one label."""

    hits: int = 0
    predictions: int = 0
    truths: int = 0
    overlap: float = 0.0

    def numbers(self, *, items: int | None = None) -> Numbers:
        undefined = {}
        if not self.predictions:
            undefined["precision"] = NO_PREDICTIONS
        if not self.truths:
            undefined["recall"] = NO_GROUND_TRUTH
        if not self.predictions and not self.truths:
            undefined["f1"] = NO_OBJECTS
        if not self.hits:
            undefined["mean_iou"] = NO_TRUE_POSITIVES
        return Numbers(
            values={
                "tp": self.hits,
                "fp": self.predictions - self.hits,
                "fn": self.truths - self.hits,
                "precision": quotient(*precision_terms(self.hits, self.predictions)),
                "recall": quotient(*recall_terms(self.hits, self.truths)),
                "f1": quotient(*f1_terms(self.hits, self.predictions, self.truths)),
                "mean_iou": quotient(*mean_overlap_terms(self.overlap, self.hits)),
            },
            undefined=undefined,
            items=items,
            ground_truth=self.truths,
            predictions=self.predictions,
        )


@dataclass(frozen=True, slots=True)
class _Counted:
    total: _PairSums
    by_label: dict[str, _PairSums]

    def overall(self, *, items: int | None) -> Numbers:
        return self.total.numbers(items=items)

    def per_label(self) -> dict[str, Numbers]:
        return {label: self.by_label[label].numbers() for label in sorted(self.by_label)}


def _numbers(matches: MatchColumns, threshold: float, *, items: Collection[int] | None = None) -> _Counted:
    counted = _Counted(_PairSums(), defaultdict(_PairSums))
    rows = zip(matches.item, matches.truth, matches.predicted, matches.iou, matches.agrees, strict=True)
    for item, truth, predicted, overlap, agrees in rows:
        if items is not None and item not in items:
            continue
        hit = agrees and truth is not None and predicted is not None and overlap >= threshold
        if truth is not None:
            for sums in (counted.total, counted.by_label[matches.labels[truth]]):
                sums.truths += 1
                sums.hits += hit
                sums.overlap += overlap if hit else 0.0
        if predicted is not None:
            # A true positive counts for its ground truth's label.
            label = matches.labels[truth if hit and truth is not None else predicted]
            for sums in (counted.total, counted.by_label[label]):
                sums.predictions += 1
    return counted
