"""The result of an evaluation as a task returns it: what decides, small enough for an XCom."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.tasks.measured_results import flat_numbers, result_members

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.schema.evaluations import Evaluation

__all__ = ["evaluation_summary"]


def evaluation_summary(
    evaluation: Evaluation, measurement: Measurement, resume_payload: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a task needs to decide with, small enough for an XCom once labels are cut."""
    found = measurement.details["charts"]
    # The worst come first: they are what a gate looks at, and what must not be cut.
    ranked = sorted(found["per_class_ap"], key=itemgetter("ap", "class_label"))
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
        "overall": flat_numbers(measurement.overall),
        "labels": len(ranked),
        "per_class_ap": {entry["class_label"]: entry["ap"] for entry in ranked},
        "options": evaluation.options,
        "notes": measurement.notes,
        "excluded": measurement.details["excluded"],
        "undefined": measurement.details["undefined"],
        **result_members(measurement),
        "new_items": resume_payload.get("new_items"),
    }
