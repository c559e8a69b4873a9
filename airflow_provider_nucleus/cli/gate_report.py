"""The folder that a gate on the command line leaves: judgement, objects that changed, operating points, measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.cli.evidence_files import write_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_nucleus.cli.file_measurements import FileMeasurement
    from airflow_provider_nucleus.gating.changed_objects import ObjectChanges
    from airflow_provider_nucleus.gating.verdict import Judgement

__all__ = ["CHANGES_SCHEMA", "changes_document", "small", "write_report"]

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
    """Write the evidence into *folder* and return the files by what they are. Raises EvidenceError where it cannot be written."""
    from airflow_provider_nucleus.cli.file_measurements import points_of_file
    from airflow_provider_nucleus.gating.operating_point import operating_points_of

    written = {"judgement": write_document(small(judgement), folder / "judgement.json")}
    if changes is not None:
        written["changed objects"] = write_document(
            changes_document(changes), folder / "changed_objects.json"
        )
    measured = files or {}
    if "candidate" in measured:
        points = points_of_file(measured["candidate"])
        written["operating points"] = write_document(points, folder / "operating_points.json")
    elif judgement.candidate.matches is not None:
        points = operating_points_of(judgement.candidate)
        written["operating points"] = write_document(points, folder / "operating_points.json")
    for part, each in measured.items():
        written[f"measurement of the {part}"] = write_document(each.measurement, folder / f"{part}.json.gz")
    return written
