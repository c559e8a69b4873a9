"""The result of an evaluation as a task returns it: what decides, small enough for an XCom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.undefined_reasons import NO_GROUND_TRUTH, NO_PREDICTIONS, no_ground_truth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.schema.charts import EvaluationCharts
    from airflow_provider_nucleus.schema.evaluations import Evaluation

__all__ = ["evaluation_summary"]


def evaluation_summary(
    evaluation: Evaluation, charts: EvaluationCharts, resume_payload: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a task needs to decide with, small enough for an XCom once labels are cut."""
    found = charts.model_dump(mode="json")
    # The worst come first: they are what a gate looks at, and what must not be cut.
    ranked = sorted(charts.per_class_ap, key=lambda entry: (entry.ap, entry.class_label))
    return {
        "evaluation_id": evaluation.id,
        "benchmark_id": resume_payload["benchmark_id"],
        "model_id": resume_payload["model_id"],
        "model_run_id": resume_payload["model_run_id"],
        "not_copied": resume_payload.get("not_copied"),
        "iou_threshold": resume_payload["iou_threshold"],
        "map": found["map_summary"],
        "ap_by_size": found["ap_by_size"],
        "counts": found["total_counts"],
        "tide": found["tide_attribution"],
        "labels": len(ranked),
        "per_class_ap": {entry.class_label: entry.ap for entry in ranked},
        "options": evaluation.options,
        "notes": [note.model_dump(mode="json") for note in evaluation.notes or ()],
        "excluded": (evaluation.exclusion_stats or {}).get("totals"),
        "undefined": _undefined(charts),
    }


def _undefined(charts: EvaluationCharts) -> dict[str, str]:
    """Return why the numbers that are null are null."""
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
