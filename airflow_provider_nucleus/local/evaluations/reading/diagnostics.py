"""Numbers that the compatible charts have no place for, under names and routes of their own."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.matching.coco import COCO_THRESHOLDS
from airflow_provider_nucleus.evaluation.matching.pairs import Edges
from airflow_provider_nucleus.evaluation.metric import Metric
from airflow_provider_nucleus.evaluation.notes import beyond_limit_of_errors
from airflow_provider_nucleus.evaluation.readers.attribution import Overlaps
from airflow_provider_nucleus.evaluation.readers.calibration import calibration
from airflow_provider_nucleus.evaluation.readers.curves import f1_curve, precision_recall_curves
from airflow_provider_nucleus.evaluation.readers.histograms import overlap_histogram, score_histogram
from airflow_provider_nucleus.evaluation.readers.tide import Tide, tide_of_pairs
from airflow_provider_nucleus.evaluation_options import DEFAULT_MAX_DETECTIONS
from airflow_provider_nucleus.gating.curve_outcomes import curve_outcomes
from airflow_provider_nucleus.gating.measurement import Fingerprint
from airflow_provider_nucleus.gating.operating_point import operating_points
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.evaluations.reading.charts import counted_predictions, curve_rows
from airflow_provider_nucleus.local.evaluations.reading.precision import chosen_order, require_ap, rows_of
from airflow_provider_nucleus.local.evaluations.reading.result import COCO_OPTIONS

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray
    from airflow_provider_nucleus.evaluation.readers.average_precision import RankedRows
    from airflow_provider_nucleus.evaluation.readers.curves import ConfidencePoint
    from airflow_provider_nucleus.evaluation.readers.histograms import Histogram
    from airflow_provider_nucleus.evaluation.sides.columns import Columns
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.evaluations.reading.selection import Selection

__all__ = [
    "CurveFamily",
    "calibration_of",
    "curves_of",
    "errors_of",
    "f1_of_selection",
    "histograms_of",
    "operating_points_of_selection",
]

CurveFamily: TypeAlias = Literal["nucleus", "coco"]


def histograms_of(result: EvaluationResult, selection: Selection) -> dict[str, Any]:
    """Return histograms of overlap and of confidence, split into true and false positives at the threshold."""
    kept = _kept(result, selection)
    overlap = selection.view.matches.overlap[kept]
    confidence = result.predictions.confidence[kept]
    hits = selection.hits[kept]
    return {
        "overlap": _histogram(overlap_histogram(overlap, hits), left_out="unmatched"),
        "confidence": _histogram(score_histogram(confidence, hits), left_out="without_confidence"),
    }


def _histogram(found: Histogram, *, left_out: str) -> dict[str, Any]:
    bounds = found.bounds.tolist()
    rows = zip(
        bounds, bounds[1:], found.true_positives.tolist(), found.false_positives.tolist(), strict=False
    )
    return {
        "buckets": [
            {"min": low, "max": high, "true_positives": correct, "false_positives": incorrect}
            for low, high, correct, incorrect in rows
        ],
        left_out: found.left_out,
    }


def curves_of(result: EvaluationResult, selection: Selection, *, family: CurveFamily) -> list[dict[str, Any]]:
    """Return precision, recall and the confidence at each point, per label, of either family of matching.

    COCO's has a curve for each family of objects of a label.
    """
    rows = _ranked_rows(result, selection, family)
    return [
        {
            **_class_of(result, curve.label, family),
            "ground_truths": curve.positives,
            "average_precision": curve.average_precision.to_dict(),
            "recall": curve.recall.tolist(),
            "precision": curve.precision.tolist(),
            "confidence": curve.confidence.tolist(),
        }
        for curve in precision_recall_curves(rows, threshold=selection.threshold)
    ]


def _class_of(result: EvaluationResult, code: int, family: CurveFamily) -> dict[str, str]:
    if family == "nucleus":
        return {"label": result.labels.names[code]}
    classes = result.arrays
    return {
        "label": result.labels.names[classes["class_label"][code]],
        "objects": result.about["families"][classes["class_family"][code]],
    }


def f1_of_selection(result: EvaluationResult, selection: Selection, *, family: CurveFamily) -> dict[str, Any]:
    """Return F1 against confidence with precision and recall, and the best cut."""
    # F1 counts at one confidence after the other, and counts are never cut.
    rows = _ranked_rows(result, selection, family, ground_truth=result.f1_truth, every=True)
    assert selection.ap is not None, "there are no rows without"
    unscored, left = result.curve_unscored.row, selection.ap.predictions
    curve = f1_curve(
        rows,
        threshold=selection.threshold,
        without_confidence=unscored.size if left is None else int(np.count_nonzero(left[unscored])),
    )
    return {
        "points": [_point(point) for point in curve.points],
        "best": None if curve.best is None else _point(curve.best),
        "reason": curve.reason,
    }


def operating_points_of_selection(
    result: EvaluationResult, selection: Selection, **chosen: Any
) -> dict[str, Any]:
    """Return the best cut per label and over all, each cut matched anew; *chosen* are the choices of `operating_points`.

    Labels of the evaluation that occur on neither side of what is selected are not listed.
    """
    rows = _ranked_rows(result, selection, "nucleus", ground_truth=result.f1_truth)
    assert selection.ap is not None, "there are no rows without"
    unscored, left = result.curve_unscored, selection.ap.predictions
    labels = unscored.label if left is None else unscored.label[left[unscored.row]]
    points = operating_points(
        curve_outcomes(rows, result.labels.names, unscored=labels.tolist()),
        # The reader knows of which evaluation it asked, and when.
        fingerprint=Fingerprint(data=""),
        iou_threshold=selection.threshold,
        **chosen,
    )
    return points.model_dump(mode="json", exclude={"subject", "fingerprint", "schema_"})


def _point(point: ConfidencePoint) -> dict[str, Any]:
    return {
        "confidence": point.confidence,
        "true_positives": point.true_positives,
        "predictions": point.predictions,
        "precision": point.precision.to_dict(),
        "recall": point.recall.to_dict(),
        "f1": point.f1.to_dict(),
    }


def _ranked_rows(
    result: EvaluationResult,
    selection: Selection,
    family: CurveFamily,
    *,
    ground_truth: Columns | None = None,
    every: bool = False,
) -> RankedRows:
    """Return the rows of a curve.

    *ground_truth* is for those of Nucleus' match (see `curve_rows`), *every* for those of COCO's (see `chosen_order`).
    """
    if selection.ap is None:
        raise BadRequestError(
            "Curves need a choice of objects: leave out iouRange, labelEquality, hasGroundTruth and tideBackground."
        )
    if family == "nucleus":
        return curve_rows(result, selection, selection.ap, ground_truth=ground_truth)
    require_ap(result)
    if all(abs(selection.threshold - threshold) > 1e-9 for threshold in COCO_THRESHOLDS):
        raise BadRequestError(
            f"COCO's matching was done at {', '.join(f'{threshold:.2f}' for threshold in COCO_THRESHOLDS)}; choose one of them "
            "or family=nucleus."
        )
    coco_order = chosen_order(result, selection.ap, every=every)
    return rows_of(result, selection.ap, coco_order, size=COCO_OPTIONS.areas[0])


def calibration_of(result: EvaluationResult, selection: Selection, *, bins: int) -> dict[str, Any]:
    """Compare confidences with outcomes at the threshold."""
    kept = _kept(result, selection)
    found = calibration(result.predictions.confidence[kept], selection.hits[kept], bins=bins)
    return {
        "ece": found.ece.to_dict(),
        "mce": found.mce.to_dict(),
        "brier": found.brier.to_dict(),
        "counted": found.counted,
        "without_confidence": found.without_confidence,
        "bins": [
            {
                "lower": entry.lower,
                "upper": entry.upper,
                "count": entry.count,
                "true_positives": entry.true_positives,
                "mean_confidence": entry.mean_confidence.to_dict(),
                "accuracy": entry.accuracy.to_dict(),
            }
            for entry in found.bins
        ],
    }


def errors_of(result: EvaluationResult) -> dict[str, Any]:
    """Return TIDE as published: counts and the AP each kind costs (dAP), at an overlap of 0.5, of everything.

    Matching is by confidence, so the counts are not those of `tideAttribution`. Only objects that have a place in
    AP take part, and of the predictions those with a confidence. Raises `ConflictError` where AP is not defined.
    """
    require_ap(result)
    limit = result.options.max_detections or DEFAULT_MAX_DETECTIONS
    found, beyond = _tide(result, limit)
    names = {entry: getattr(found.lost, entry) for entry in found.lost.__dataclass_fields__}
    return {
        "foreground": found.foreground,
        "background": found.background,
        "max_detections": found.max_detections,
        "notes": [note.to_dict() for note in beyond_limit_of_errors(beyond, limit=limit)],
        "ap": found.ap.to_dict(),
        "counts": asdict(found.attribution.counts()),
        "lost_ap": {name: value.to_dict() for name, value in names.items() if isinstance(value, Metric)},
    }


def _tide(result: EvaluationResult, limit: int) -> tuple[Tide, int]:
    """Return the errors of the *limit* most confident predictions of each item, and how many more there are."""
    matches = result.matches
    overlaps = Overlaps(
        matches.best_correct,
        matches.best_correct_overlap,
        matches.best_incorrect,
        matches.best_incorrect_overlap,
    )
    truth, predictions = result.ap_truth, result.ap_predictions
    rows, truths = np.flatnonzero(predictions.label != NONE), np.flatnonzero(truth.label != NONE)
    if np.unique(result.arrays["class_family"]).size > 1:
        # Each family has its own most confident detections of an item, as if evaluated alone.
        truth, predictions = _apart(result, truth, "truth"), _apart(result, predictions, "prediction")
    on_item = np.bincount(predictions.image[rows])
    beyond = int(np.maximum(on_item - limit, 0).sum())
    if rows.size == len(predictions) and truths.size == len(truth):
        edges = result.coco_order.edges
        found = tide_of_pairs(truth, predictions, pairs=edges, overlaps=overlaps, max_detections=limit)
        return found, beyond
    new_row, new_truth = _places(rows, len(predictions)), _places(truths, len(truth))
    edges = result.coco_order.edges
    found = tide_of_pairs(
        truth.take(truths),
        predictions.take(rows),
        pairs=Edges(new_truth[edges.ground_truth], new_row[edges.prediction], edges.overlap),
        overlaps=Overlaps(
            np.append(new_truth, NONE)[overlaps.correct[rows]].astype(np.int32),
            overlaps.correct_overlap[rows],
            np.append(new_truth, NONE)[overlaps.incorrect[rows]].astype(np.int32),
            overlaps.incorrect_overlap[rows],
        ),
        max_detections=limit,
    )
    return found, beyond


def _apart(result: EvaluationResult, side: Columns, name: str) -> Columns:
    """Take the objects of each family of an item for those of an item of their own."""
    families = len(result.about["families"])
    return replace(side, image=side.image * np.int32(families) + result.arrays[f"{name}_family"])


def _places(rows: IndexArray, count: int) -> IndexArray:
    places = np.full(count, NONE, dtype=np.int64)
    places[rows] = np.arange(rows.size, dtype=np.int64)
    return places


def _kept(result: EvaluationResult, selection: Selection) -> BoolArray:
    kept = counted_predictions(result, selection)
    return selection.view.matches.predictions.counted if kept is None else kept
