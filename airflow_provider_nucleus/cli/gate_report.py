"""The folder that a gate on the command line leaves: the report as a page, as a summary and as JSON, objects that changed, operating points, measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.cli.evidence_files import document_bytes, write_together
from airflow_provider_nucleus.reporting.evidence import MOST_CHANGED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_nucleus.cli.file_measurements import FileMeasurement
    from airflow_provider_nucleus.gating.changed_objects import ObjectChanges
    from airflow_provider_nucleus.gating.operating_point import OperatingPoints
    from airflow_provider_nucleus.gating.verdict import Judgement

__all__ = ["CHANGES_SCHEMA", "changes_document", "small", "write_report"]

_PARTS = {"report.html": "report", "report.md": "summary", "metrics.json": "judgement"}
CHANGES_SCHEMA = "nucleus-changed-objects/1"


def small(judgement: Judgement) -> Judgement:
    """Return the judgement without the rows of both matches."""
    baseline = judgement.baseline
    return judgement.model_copy(
        update={
            "candidate": judgement.candidate.model_copy(update={"matches": None}),
            "baseline": None if baseline is None else baseline.model_copy(update={"matches": None}),
        }
    )


def changes_document(changes: ObjectChanges) -> dict[str, Any]:
    """Return the objects that changed, and those both models miss, as a JSON document."""
    return {
        "schema": CHANGES_SCHEMA,
        "iou_threshold": changes.iou_threshold,
        "counts": changes.counts.model_dump(),
        "per_label": {label: counts.model_dump() for label, counts in changes.per_label.items()},
        "objects": [each.to_dict() for each in changes.objects],
    }


def write_report(
    folder: Path,
    judgement: Judgement,
    *,
    changes: ObjectChanges | None = None,
    files: Mapping[str, FileMeasurement] | None = None,
) -> dict[str, Path]:
    """Write the evidence into *folder*, the page last, and return the files by what they are. Raises EvidenceError where it cannot be written."""
    from airflow_provider_nucleus.reporting.evidence import changes_as_rows, cuts_as_rows
    from airflow_provider_nucleus.reporting.extras import Extras
    from airflow_provider_nucleus.reporting.files import make_report

    points = _points(judgement, files or {})
    extras = Extras(
        changed=None if changes is None else changes_as_rows(changes.objects[:MOST_CHANGED]),
        changed_total=None if changes is None else len(changes.objects),
        operating_points=cuts_as_rows(points["candidate"], points.get("baseline"))
        if "candidate" in points
        else None,
    )
    documents: dict[str, tuple[Any, str]] = {
        "changed objects": (None if changes is None else changes_document(changes), "changed_objects.json"),
        "operating points": (points.get("candidate"), "operating_points.json"),
    }
    for part, each in (files or {}).items():
        documents[f"measurement of the {part}"] = (each.measurement, f"{part}.json.gz")
    beside = {name: (value, folder / file) for name, (value, file) in documents.items() if value is not None}
    made = {folder / name: content for name, content in make_report(judgement, extras).files.items()}
    write_together({path: document_bytes(value, path) for value, path in beside.values()} | made)
    report = {_PARTS.get(path.name, path.name): path for path in made}
    return report | {name: path for name, (_, path) in beside.items()}


def _points(judgement: Judgement, files: Mapping[str, FileMeasurement]) -> dict[str, OperatingPoints]:
    """Return operating points of both sides, exact ones of files."""
    from airflow_provider_nucleus.cli.file_measurements import points_of_file
    from airflow_provider_nucleus.gating.operating_point import operating_points_of

    found = {}
    for part, measured in (("candidate", judgement.candidate), ("baseline", judgement.baseline)):
        if part in files:
            found[part] = points_of_file(files[part])
        elif measured is not None and measured.matches is not None and measured.iou_threshold is not None:
            found[part] = operating_points_of(measured)
    return found
