"""Measurements and the results of tasks: what of a measurement a task returns, and a measurement again from what it returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement, Numbers, Subject
from airflow_provider_nucleus.tasks.measurements import numbers_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["measurement_of_result", "result_members"]

_SUBJECT: Final = tuple(Subject.model_fields)


def result_members(measurement: Measurement) -> dict[str, Any]:
    """Return what every measuring task returns beside its own members: of what its numbers are, and what they rest on."""
    subject = measurement.subject
    return {
        "slice_id": subject.slice_id,
        "query": subject.query,
        "benchmark_version": subject.benchmark_version,
        "items": measurement.coverage.items,
        "coverage": measurement.coverage.model_dump(mode="json"),
        "fingerprint": measurement.fingerprint.model_dump(mode="json"),
        "measured_at": subject.measured_at,
    }


def measurement_of_result(result: Mapping[str, Any]) -> Measurement:
    """Return the measurement in what a measuring task returned, without rows; a note says how many labels the result lacks.

    Raises NucleusConfigError when the result is not one of a task that measures.
    """
    if not isinstance(result.get("fingerprint"), dict) or not isinstance(result.get("overall"), dict):
        raise NucleusConfigError(
            "The result of a task has no numbers with a fingerprint.",
            hint="Give what NucleusCalculateMetricsOperator or NucleusEvaluateModelOperator returned, or the place of a measurement.",
        )
    # Precision over classes has one number a label.
    per_label = {
        label: Numbers(values={"ap": value}) for label, value in (result.get("per_class_ap") or {}).items()
    }
    per_label |= {label: numbers_of(counts) for label, counts in (result.get("per_label") or {}).items()}
    notes = [dict(note) for note in result.get("notes") or ()]
    missing = int(result.get("labels") or 0) - len(per_label)
    if missing > 0:
        notes.append({
            "note": "labels_left_out",
            "count": missing,
            "text": f"{missing} labels are not in the task's result, which was too small for them; its report has all.",
        })
    coverage = Coverage.model_validate(result.get("coverage") or {})
    return Measurement(
        subject=Subject(**{name: result[name] for name in _SUBJECT if result.get(name) is not None}),
        fingerprint=Fingerprint.model_validate(result["fingerprint"]),
        coverage=coverage,
        iou_threshold=result.get("iou_threshold"),
        overall=numbers_of(result["overall"], items=coverage.items),
        per_label=per_label,
        notes=notes,
    )
