"""The charts of an evaluation: nine answers, each a reader of the engine over the selected rows.

Two families of numbers, never mixed under one name (see `provenance`): `mapSummary`, `perClassAp` and
`apBySize` are COCO's, over its ten thresholds; everything that depends on `iouThreshold` reads the one Nucleus match.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.matching.coco import COCO_THRESHOLDS
from airflow_provider_nucleus.evaluation.metric import mean
from airflow_provider_nucleus.evaluation.readers.attribution import Attribution, Overlaps, attribute
from airflow_provider_nucleus.evaluation.readers.confusion import BACKGROUND, confusion
from airflow_provider_nucleus.evaluation.readers.curves import precision_recall_curves
from airflow_provider_nucleus.evaluation.readers.histograms import bounds_of
from airflow_provider_nucleus.evaluation.readers.slicing import total_counts
from airflow_provider_nucleus.evaluation.sides.areas import ALL
from airflow_provider_nucleus.local.evaluations.computing.result_builder import BUCKETS
from airflow_provider_nucleus.local.evaluations.reading.precision import ap_table, chosen_order, cut_range
from airflow_provider_nucleus.local.evaluations.reading.result import ANY_AREA, COCO_OPTIONS

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray
    from airflow_provider_nucleus.evaluation.metric import Metric
    from airflow_provider_nucleus.evaluation.readers.average_precision import RankedRows
    from airflow_provider_nucleus.evaluation.readers.mean_precision import Precisions
    from airflow_provider_nucleus.evaluation.sides.columns import Columns
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.evaluations.reading.selection import ApMasks, Selection

__all__ = ["BACKGROUND_LABEL", "attribution", "charts", "counted_predictions", "curve_rows"]

BACKGROUND_LABEL: Final = "__background__"
"""Stands for the missing side in the confusion matrix; never a label of a filter schema."""

_THRESHOLDS: Final = tuple(round(threshold, 2) for threshold in COCO_THRESHOLDS)
_SUMMARY: Final = (("mapAt50", 0), ("mapAt75", 5), ("mapAt5095", None))

# NumPy releases the interpreter for the long steps, so that threads use the cores.
_POOL: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="charts")


def charts(result: EvaluationResult, selection: Selection) -> dict[str, Any]:
    """Compute the body of a charts answer; an undefined number is null or left out, never 0 or -1."""
    rest = _POOL.submit(_rest, result, selection)
    if selection.ap is None:
        tide = _POOL.submit(_attribution, result, selection)
        return {
            "mapSummary": dict.fromkeys((name for name, _ in _SUMMARY), None),
            "perClassAp": [],
            "computedIouRanges": list(_THRESHOLDS),
            "prCurve": [],
            "apBySize": dict.fromkeys(("small", "medium", "large"), None),
            **rest.result(),
            "tideAttribution": tide.result(),
        }
    masks = selection.ap
    curve = _POOL.submit(_curve, result, selection, masks)
    # A match that is still to be made is waited for as late as possible.
    early = _POOL.submit(_attribution, result, selection) if selection.matched is None else None
    coco_order = chosen_order(result, masks)
    sizes = COCO_OPTIONS.areas
    computed = _POOL.map(lambda size: ap_table(result, masks, coco_order, size=size), sizes)
    tide = early or _POOL.submit(_attribution, result, selection)
    tables = list(computed)
    return {
        **_precision(result, tables[0]),
        "computedIouRanges": list(_THRESHOLDS),
        "prCurve": curve.result(),
        "apBySize": {
            size.name: table.mean().value for size, table in zip(sizes[1:], tables[1:], strict=True)
        },
        **rest.result(),
        "tideAttribution": tide.result(),
    }


def _precision(result: EvaluationResult, table: Precisions) -> dict[str, Any]:
    per_label = ((result.labels.names[code], ap) for code, ap in class_means(result, table).items())
    return {
        "mapSummary": {
            name: table.mean(threshold=None if place is None else COCO_THRESHOLDS[place]).value
            for name, place in _SUMMARY
        },
        "perClassAp": [{"classLabel": name, "ap": ap.value} for name, ap in per_label if ap.defined],
    }


def class_means(result: EvaluationResult, table: Precisions) -> dict[int, Metric]:
    """Return AP by label, the mean over the families in which the label has one (see `computing.ap_classes`)."""
    by_label: dict[int, list[Metric]] = {}
    for place, label in enumerate(result.arrays["class_label"].tolist()):
        by_label.setdefault(label, []).append(table.of_label(place))
    return {
        label: found[0] if len(found) == 1 else mean(found, reason="no AP in any family")
        for label, found in sorted(by_label.items())
    }


def curve_rows(
    result: EvaluationResult, selection: Selection, masks: ApMasks, *, ground_truth: Columns | None = None
) -> RankedRows:
    """Return the chosen objects for curves over confidence: by what they are, not by what they were matched to.

    *ground_truth* says what there is to be found; that of curves of precision against recall by default.

    Every point of a curve reads a match of its own, in which a prediction may have another partner than in that of all.
    """
    ranked = result.ranked(selection.threshold, selection.matched, ground_truth=ground_truth)
    area = ALL if masks.area is None else cut_range(ANY_AREA, masks.area)
    return ranked.rows(predictions=masks.predictions, ground_truth=masks.ground_truth, area=area)


def _curve(result: EvaluationResult, selection: Selection, masks: ApMasks) -> list[dict[str, Any]]:
    curves = precision_recall_curves(curve_rows(result, selection, masks), threshold=selection.threshold)
    return [
        {"classLabel": result.labels.names[curve.label], "recall": recall, "precision": precision}
        for curve in curves
        for recall, precision in zip(curve.recall.tolist(), curve.precision.tolist(), strict=True)
    ]


def _rest(result: EvaluationResult, selection: Selection) -> dict[str, Any]:
    counts = total_counts(
        selection.view.matches,
        selection.threshold,
        predictions=selection.predictions,
        ground_truth=selection.ground_truth,
        hits=selection.hits,
    )
    kept = counted_predictions(result, selection)
    bucket = result.arrays["prediction_bucket"]
    counted = bucket if kept is None else np.compress(kept, bucket)
    # So few values are counted faster one by one than by bincount, which widens all of them first.
    histogram = [int(np.count_nonzero(counted == number)) for number in range(BUCKETS)]
    bounds = bounds_of(BUCKETS).tolist()
    return {
        "totalCounts": {
            "tp": counts.true_positives,
            "fp": counts.false_positives,
            "fn": counts.false_negatives,
            "predsWithConfidence": counts.with_confidence,
        },
        "scoreHistogram": [
            {"bucketMin": low, "bucketMax": high, "count": count}
            for low, high, count in zip(bounds, bounds[1:], histogram, strict=False)
        ]
        if any(histogram)
        else [],
        "confusionMatrix": _confusion(result, selection),
    }


def counted_predictions(result: EvaluationResult, selection: Selection) -> BoolArray | None:
    """Mark the chosen predictions that are counted, None for all: a true positive of unwanted ground truth is not."""
    kept = selection.predictions
    if selection.ground_truth is not None:
        unwanted = np.zeros(len(result.predictions), dtype=np.bool_)
        rows = np.flatnonzero(selection.hits)
        unwanted[rows] = ~selection.ground_truth[selection.view.matches.match[rows]]
        kept = ~unwanted if kept is None else kept & ~unwanted
    return kept


def _confusion(result: EvaluationResult, selection: Selection) -> list[dict[str, Any]]:
    truth = selection.ground_truth
    if truth is not None:
        # A pair is shown whole: the other end of a chosen error stays visible, whether or not it was chosen.
        truth = truth.copy()
        partner = selection.view.partner
        errors = (partner != NONE) & ~selection.hits
        if selection.predictions is not None:
            errors &= selection.predictions
        displayed = errors & (selection.view.partner_overlap >= selection.threshold)
        truth[partner[displayed]] = True
    found = confusion(
        selection.view.matches,
        selection.threshold,
        labels=len(result.labels),
        predictions=selection.predictions,
        ground_truth=truth,
        hits=selection.hits,
    )
    names = (*result.labels.names, BACKGROUND_LABEL)
    assert BACKGROUND == -1
    return [
        {"gtLabel": names[truth_code], "predLabel": names[predicted], "count": count}
        for truth_code, predicted, count in zip(
            found.truth.tolist(), found.predicted.tolist(), found.count.tolist(), strict=True
        )
    ]


def _attribution(result: EvaluationResult, selection: Selection) -> dict[str, int]:
    kept = counted_predictions(result, selection)
    found = asdict(attribution(result, selection, kept).counts(ground_truth=selection.ground_truth))
    found["truePositive"] = found.pop("true_positive")
    return found


def attribution(result: EvaluationResult, selection: Selection, kept: BoolArray | None) -> Attribution:
    """Attribute the errors of the counted predictions; what others have found is missed like the rest."""
    matches = selection.view.matches
    considered = matches.predictions.counted if kept is None else kept
    hits = selection.hits & considered
    missing = result.truth.counted.copy()
    missing[matches.match[hits]] = False
    return attribute(
        Overlaps(
            matches.best_correct,
            matches.best_correct_overlap,
            matches.best_incorrect,
            matches.best_incorrect_overlap,
        ),
        true_positive=hits,
        considered=considered,
        missing=missing,
        foreground=selection.threshold,
        background=selection.background,
        localized=matches.best_correct_overlap >= selection.threshold,
    )
