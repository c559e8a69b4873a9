"""Results of tasks that measure: what of a measurement they return (`gating.side_reading` makes a measurement of it again)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.gating.measurement import Subject
from airflow_provider_nucleus.tasks.reports import leave_report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.gating.measurement import Measurement, Numbers

__all__ = [
    "flat_numbers",
    "label_numbers",
    "left_measurement",
    "measuring_subject",
    "result_members",
]


def result_members(measurement: Measurement) -> dict[str, Any]:
    """Return what every measuring task returns beside its own members: of what its numbers are, and what they rest on."""
    subject = measurement.subject
    return {
        "slice_id": subject.slice_id,
        "slice_name": subject.slice_name,
        "query": subject.query,
        "benchmark_version": subject.benchmark_version,
        "items": measurement.coverage.items,
        "coverage": measurement.coverage.model_dump(mode="json"),
        "fingerprint": measurement.fingerprint.model_dump(mode="json"),
        "measured_at": subject.measured_at,
        "url": subject.url,
    }


def measuring_subject(context: Mapping[str, Any], **known: str | None) -> Subject:
    """Return a subject that says which task measures, and when; *known* are further members."""
    ti = context["ti"]
    index = int(getattr(ti, "map_index", -1))
    return Subject(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=index if index >= 0 else None,
        measured_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        **known,
    )


def left_measurement(measurement: Measurement, place: Any) -> dict[str, str | None]:
    """Write a measurement to *place*, if there is one, and return what the task's result says of it.

    `report` and `measurement` are its place, `report_error` says why it is not there.
    """
    left = leave_report(place, {} if place is None else measurement.model_dump(mode="json", by_alias=True))
    return left | {"measurement": left["report"]}


def flat_numbers(numbers: Numbers) -> dict[str, Any]:
    """Return numbers with their support in one object; `undefined` says why a number is None, where one is."""
    support = {"predictions": numbers.predictions, "ground_truth": numbers.ground_truth}
    flat = dict(numbers.values) | {name: value for name, value in support.items() if value is not None}
    return flat | ({"undefined": dict(numbers.undefined)} if numbers.undefined else {})


def label_numbers(measurement: Measurement, *, most: int | None = None) -> dict[str, Any]:
    """Return the numbers of the *most* labels with the most objects (None: of all), in alphabetical order."""
    found = measurement.per_label
    busiest = sorted(found, key=lambda label: (-_objects(found[label]), label))[:most]
    return {label: flat_numbers(found[label]) for label in sorted(busiest)}


def _objects(numbers: Numbers) -> int:
    return (numbers.predictions or 0) + (numbers.ground_truth or 0)
