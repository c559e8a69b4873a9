"""Origin of the numbers: models, batch, coverage, definition, tasks; for both sides, with what differs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from airflow_provider_nucleus.number_texts import MISSING, count_text, share_text, short_text
from airflow_provider_nucleus.reporting.texts import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement
    from airflow_provider_nucleus.reporting.extras import ReportLink, ReportOrigin

__all__ = [
    "TwoSides",
    "batch_title",
    "coverage_sentence",
    "definition_rows",
    "is_followable",
    "model_title",
    "origin_rows",
    "safe_links",
    "subject_rows",
    "task_facts",
]

_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class TwoSides:
    """A property of both measurements; `differs` where both have it and it is not the same."""

    name: str
    candidate: str
    baseline: str
    differs: bool = False


def model_title(measurement: Measurement) -> str:
    """Return the model's name, else its id."""
    subject = measurement.subject
    return shortened(subject.model_name or subject.model_id or subject.model_run_id or "a model without name")


def batch_title(measurement: Measurement) -> str:
    """Return the batch, slice, query, benchmark or data set a measurement is of, in words."""
    subject = measurement.subject
    data = subject.dataset_name or subject.dataset_id
    version = f", version {shortened(subject.benchmark_version)}" if subject.benchmark_version else ""
    for name, found in (
        ("slice", subject.slice_name or subject.slice_id),
        ("query", subject.query),
        ("benchmark", subject.benchmark_name or subject.benchmark_id),
    ):
        if found:
            return (
                f"{name} {shortened(found, 100)}{version}{f' of data set {shortened(data)}' if data else ''}"
            )
    return f"data set {shortened(data)}" if data else shortened(measurement.fingerprint.data)


def coverage_sentence(coverage: Coverage) -> str:
    """Return what the numbers rest on: items, how many of them with ground truth, objects, and what counts on the others."""
    if coverage.items is None:
        items = (
            "The server does not say of how many items"
            if coverage.with_ground_truth is None
            else f"{count_text(coverage.with_ground_truth)} items with ground truth; the server does not say of how many"
        )
    elif coverage.with_ground_truth is None:
        items = (
            f"{count_text(coverage.items)} items, of which the server does not say how many have ground truth"
        )
    else:
        items = (
            f"{count_text(coverage.with_ground_truth)} of {count_text(coverage.items)} items have ground truth "
            f"({share_text(coverage.share)})"
        )
    objects = f"{count_text(coverage.ground_truth)} objects to be found, {count_text(coverage.predictions)} predictions"
    if coverage.unannotated == "count":
        rest = "predictions on items without ground truth count as false positives"
    else:
        rest = f"{count_text(coverage.predictions_left_out)} predictions on items without ground truth are in no number"
    return f"{items}; {objects}; {rest}."


def subject_rows(candidate: Measurement, baseline: Measurement | None) -> list[TwoSides]:
    """Return what was measured: model, batch, thresholds, coverage, since when."""
    sides = [_subject_facts(candidate), _subject_facts(baseline) if baseline else {}]
    names = dict.fromkeys([*sides[0], *sides[1]])
    return [
        TwoSides(
            name,
            sides[0].get(name, MISSING),
            sides[1].get(name, MISSING),
            bool(baseline) and sides[0].get(name) != sides[1].get(name),
        )
        for name in names
    ]


def _subject_facts(measurement: Measurement) -> dict[str, str]:
    coverage = measurement.coverage
    thresholds = (measurement.iou_threshold, measurement.confidence_threshold)
    return {
        "Model": model_title(measurement),
        "Measured on": batch_title(measurement),
        "Items": count_text(coverage.items),
        "with ground truth": f"{count_text(coverage.with_ground_truth)} ({share_text(coverage.share)})",
        "Objects to be found": count_text(coverage.ground_truth),
        "Predictions": count_text(coverage.predictions),
        "Overlap from": short_text(thresholds[0]) if thresholds[0] is not None else "not one threshold",
        "Confidence from": short_text(thresholds[1])
        if thresholds[1] is not None
        else "all predictions count",
        "Measured at": shortened(measurement.subject.measured_at or MISSING),
    }


def definition_rows(candidate: Fingerprint, baseline: Fingerprint | None) -> list[TwoSides]:
    """Return the definition of the numbers on both sides: data, scope, ground truth, engine, every option."""
    sides = [_definition(candidate), _definition(baseline) if baseline else {}]
    return [
        TwoSides(
            shortened(name),
            sides[0].get(name, "not stated"),
            sides[1].get(name, "not stated") if baseline else MISSING,
            baseline is not None and sides[0].get(name) != sides[1].get(name),
        )
        for name in dict.fromkeys([*sides[0], *sides[1]])
    ]


def _definition(fingerprint: Fingerprint) -> dict[str, str]:
    return {
        "data": shortened(fingerprint.data, _MOST),
        "scope": shortened(fingerprint.scope or "all of it", _MOST),
        "ground truth": shortened(fingerprint.ground_truth or "not stated", _MOST),
        "engine": shortened(fingerprint.engine or "not stated", _MOST),
        **{
            name: shortened(
                value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str), _MOST
            )
            for name, value in sorted(fingerprint.options.items())
        },
    }


_IDS: Final = (
    ("model run", "model_run_id"),
    ("model id", "model_id"),
    ("data set id", "dataset_id"),
    ("slice id", "slice_id"),
    ("benchmark id", "benchmark_id"),
    ("evaluation id", "evaluation_id"),
    ("job id", "job_id"),
    ("DAG", "dag_id"),
    ("DAG run", "run_id"),
    ("task", "task_id"),
    ("map index", "map_index"),
)


def origin_rows(candidate: Measurement, baseline: Measurement | None) -> list[TwoSides]:
    """Return ids and runs of both sides, those that either has."""
    rows = []
    for name, member in _IDS:
        first, second = (
            None if side is None else getattr(side.subject, member) for side in (candidate, baseline)
        )
        if first is not None or second is not None:
            texts = [MISSING if value is None else shortened(str(value), _MOST) for value in (first, second)]
            rows.append(TwoSides(name, texts[0], texts[1]))
    return rows


def task_facts(origin: ReportOrigin | None) -> list[tuple[str, str]]:
    """Return the task that made the report, and the state of the gate's."""
    if origin is None:
        return []
    named = (
        ("DAG", origin.dag_id),
        ("DAG run", origin.run_id),
        ("task", origin.task_id),
        ("map index", origin.map_index),
        ("try", origin.try_number),
        ("logical date", origin.logical_date),
        ("state of the gate", origin.gate_state),
        ("made at", origin.made_at),
        ("made by", origin.provider_version),
    )
    return [(name, shortened(str(value), _MOST)) for name, value in named if value is not None]


def safe_links(links: Iterable[ReportLink]) -> tuple[list[ReportLink], list[ReportLink]]:
    """Return the links a browser may follow, and those that stay text: what is not http or https."""
    found: tuple[list[ReportLink], list[ReportLink]] = ([], [])
    for link in links:
        found[0 if is_followable(link.url) else 1].append(link)
    return found


def is_followable(url: str) -> bool:
    """Return whether a browser may be sent there: http and https alone."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)
