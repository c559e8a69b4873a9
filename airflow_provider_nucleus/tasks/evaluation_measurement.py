"""Measurements from the charts of an evaluation (Evaluations V2): average precision, and counts at an overlap."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.gating.measurement import Measurement, Numbers, numbers_of
from airflow_provider_nucleus.pair_counts import MatchCounts
from airflow_provider_nucleus.undefined_reasons import NO_GROUND_TRUTH, NO_PREDICTIONS, no_ground_truth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Subject
    from airflow_provider_nucleus.schema.charts import EvaluationCharts

__all__ = ["chart_measurement", "truth_counts"]

_MAPS: Final = {"ap": "map_at5095", "ap50": "map_at50", "ap75": "map_at75"}
_SIZES: Final = ("small", "medium", "large")
_BACKGROUND: Final = frozenset({"", "__background__"})
"""Labels of the missing side in a confusion matrix."""


def chart_measurement(
    charts: EvaluationCharts,
    *,
    subject: Subject,
    fingerprint: Fingerprint,
    coverage: Coverage,
    iou_threshold: float,
    notes: Sequence[Mapping[str, Any]] = (),
    details: Mapping[str, Any] | None = None,
) -> Measurement:
    """Return the numbers of charts: average precision by COCO's rules, counts and their ratios at *iou_threshold*.

    Counts by label are read off the confusion matrix, and only there where they add up to the total counts: where different labels
    may match, a cell off its diagonal may be a true positive.
    """
    return Measurement(
        subject=subject,
        fingerprint=fingerprint,
        coverage=coverage,
        iou_threshold=iou_threshold,
        overall=_overall(charts, items=coverage.with_ground_truth),
        per_label=_per_label(charts),
        notes=list(map(dict, notes)),
        details={
            **(details or {}),
            "undefined": _undefined_reasons(charts),
            "charts": charts.model_dump(mode="json"),
        },
    )


def _overall(charts: EvaluationCharts, *, items: int | None) -> Numbers:
    totals = charts.total_counts
    counts = _without_overlap(MatchCounts(tp=totals.tp, fp=totals.fp, fn=totals.fn))
    reasons = _undefined_reasons(charts)
    maps = {name: getattr(charts.map_summary, member) for name, member in _MAPS.items()}
    maps |= {f"ap_{size}": getattr(charts.ap_by_size, size) for size in _SIZES}
    undefined = {
        name: reasons.get(_MAPS.get(name, name), "not computed")
        for name, value in maps.items()
        if value is None
    }
    return numbers_of({**counts, **maps, "undefined": counts.get("undefined", {}) | undefined}, items=items)


def _per_label(charts: EvaluationCharts) -> dict[str, Numbers]:
    found: dict[str, dict[str, Any]] = {entry.class_label: {"ap": entry.ap} for entry in charts.per_class_ap}
    # Whatever may match, an object of the ground truth is in one cell.
    for label, count in truth_counts(charts):
        found.setdefault(label, {})["ground_truth"] = int(count)
    for label, counts in _counts_by_label(charts).items():
        found.setdefault(label, {}).update(_without_overlap(counts))
    return {label: numbers_of(values) for label, values in sorted(found.items())}


def _counts_by_label(charts: EvaluationCharts) -> dict[str, MatchCounts]:
    """Return the counts of each label, none where the matrix does not add up to the total counts."""
    found: dict[str, MatchCounts] = {}
    for cell in charts.confusion_matrix:
        truth = None if cell.gt_label in _BACKGROUND else found.setdefault(cell.gt_label, MatchCounts())
        predicted = (
            None if cell.pred_label in _BACKGROUND else found.setdefault(cell.pred_label, MatchCounts())
        )
        if truth is predicted and truth is not None:
            truth.tp += cell.count
            continue
        if truth is not None:
            truth.fn += cell.count
        if predicted is not None:
            predicted.fp += cell.count
    totals = charts.total_counts
    sums = tuple(sum(getattr(counts, name) for counts in found.values()) for name in ("tp", "fp", "fn"))
    return found if sums == (totals.tp, totals.fp, totals.fn) else {}


def _without_overlap(counts: MatchCounts) -> dict[str, Any]:
    """Return counts and ratios; charts have no overlap of pairs and know no mislabelled ones."""
    values = counts.to_dict()
    for name in ("mean_iou", "mislabelled"):
        values.pop(name)
    undefined = {name: reason for name, reason in values.pop("undefined", {}).items() if name != "mean_iou"}
    return values | ({"undefined": undefined} if undefined else {})


def truth_counts(charts: EvaluationCharts) -> list[tuple[str, str]]:
    """Return the objects to be found as far as charts name them: how many of each label, in the order of the labels."""
    found: Counter[str] = Counter()
    for cell in charts.confusion_matrix:
        if cell.gt_label not in _BACKGROUND:
            found[cell.gt_label] += cell.count
    return [(label, str(count)) for label, count in sorted(found.items())]


def _undefined_reasons(charts: EvaluationCharts) -> dict[str, str]:
    """Return why the numbers that are null are null, by their names in the charts."""
    counts = charts.total_counts
    if counts.tp + counts.fn == 0:
        reason = NO_GROUND_TRUTH
    elif counts.tp + counts.fp == 0:
        reason = NO_PREDICTIONS
    else:
        reason = "no label has both ground truth and a ranking"
    maps = charts.map_summary.model_dump()
    sizes = charts.ap_by_size.model_dump()
    return {name: reason for name, value in maps.items() if value is None} | {
        f"ap_{name}": no_ground_truth(size="this") if counts.tp + counts.fn else reason
        for name, value in sizes.items()
        if value is None
    }
