"""A measurement of the predictions of a confidence or more, from the pairs of the measurement of all of them.

What is left is counted by the same rules. Pairs only go away: a confident prediction that had to yield to a hesitant one of better fit stays
wrong, so that recall is a lower bound (`approximate`; measure anew above the cut where the shapes are at hand). Numbers that are no
quotients of counts, AP among them, are left out, and so is the profile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from airflow_provider_nucleus.gating.measurement import MatchColumns, Measurement, Numbers, numbers_of
from airflow_provider_nucleus.gating.operating_point import operating_points_of
from airflow_provider_nucleus.pair_counts import CountsByLabel
from airflow_provider_nucleus.undefined_reasons import NO_PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_nucleus.gating.operating_point import OperatingPoint
    from airflow_provider_nucleus.pair_counts import MatchCounts

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
            value: _numbers(
                _counts(kept, measurement.iou_threshold, items=set(places)).overall, items=len(places)
            )
            for value, places in values.items()
        }
        for key, values in kept.groups.items()
    }
    counted = _counts(kept, measurement.iou_threshold)
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
            "overall": _numbers(counted.overall, items=measurement.overall.items),
            "per_label": {label: _numbers(counted.per_label[label]) for label in sorted(counted.per_label)},
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


def _counts(
    matches: MatchColumns, threshold: float, *, items: Collection[int] | None = None
) -> CountsByLabel:
    counts = CountsByLabel()
    rows = zip(matches.item, matches.truth, matches.predicted, matches.iou, matches.agrees, strict=True)
    for item, truth, predicted, overlap, agrees in rows:
        if items is not None and item not in items:
            continue
        if truth is None:
            if predicted is not None:
                counts.add(matches.labels[predicted], fp=1)
        elif predicted is None:
            counts.add(matches.labels[truth], fn=1)
        else:
            counts.pair(
                matches.labels[truth],
                matches.labels[predicted],
                overlap=overlap,
                threshold=threshold,
                agrees=agrees,
            )
    return counts


def _numbers(counts: MatchCounts, *, items: int | None = None) -> Numbers:
    known = counts.to_dict()
    del known["mislabelled"]
    return numbers_of(known, items=items)
