"""Evidence of a report that follows from the judgement itself: changed objects and operating points, read off the rows of the matches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.gating.changed_objects import UncomparableError, changes_of
from airflow_provider_nucleus.gating.operating_point import operating_points_of
from airflow_provider_nucleus.reporting.extras import CutRow, DrawnObject, ObjectChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_nucleus.gating.changed_objects import ChangedObject, PairedWith
    from airflow_provider_nucleus.gating.operating_point import OperatingPoint, OperatingPoints
    from airflow_provider_nucleus.gating.verdict import Judgement
    from airflow_provider_nucleus.reporting.extras import Extras

__all__ = ["MOST_CHANGED", "changes_as_rows", "cuts_as_rows", "with_own_evidence"]

MOST_CHANGED = 2_000
"""Most changed objects that a report's document keeps."""


def with_own_evidence(judgement: Judgement, extras: Extras) -> tuple[Judgement, Extras]:
    """Return judgement and extras with what their matches give and nobody gave yet: changed objects and their counts, operating points.

    What cannot be computed is a remark, or, where there are no matches at all, stays absent.
    """
    candidate, baseline = judgement.candidate, judgement.baseline
    found: dict[str, object] = {}
    remarks = list(extras.remarks)
    if extras.changed is None and baseline is not None and candidate.matches and baseline.matches:
        try:
            changes = changes_of(candidate, baseline)
        except UncomparableError as error:
            remarks.append(f"Changed objects are not listed: {error}.")
        else:
            found["changed"] = changes_as_rows(changes.objects[:MOST_CHANGED])
            found["changed_total"] = len(changes.objects)
            judgement = judgement.model_copy(update={"changes": judgement.changes or changes.counts})
    if extras.operating_points is None and candidate.matches and candidate.iou_threshold is not None:
        own = operating_points_of(candidate)
        others = operating_points_of(baseline) if baseline is not None and baseline.matches else None
        found["operating_points"] = cuts_as_rows(own, others)
    return judgement, extras.model_copy(update={**found, "remarks": remarks})


def changes_as_rows(changes: Iterable[ChangedObject]) -> list[ObjectChange]:
    """Return changed objects as a report keeps them; where they are on their images is added later."""
    return [
        ObjectChange(
            kind=change.kind,
            item=change.item,
            truth=DrawnObject(id=change.truth_id, label=change.label),
            candidate=_outline(change.candidate),
            baseline=_outline(change.baseline),
        )
        for change in changes
        if change.kind != "both_found"
    ]


def _outline(paired: PairedWith | None) -> DrawnObject | None:
    if paired is None:
        return None
    return DrawnObject(
        id=paired.prediction_id, label=paired.label, confidence=paired.confidence, iou=paired.iou
    )


def cuts_as_rows(points: OperatingPoints, baseline: OperatingPoints | None = None) -> list[CutRow]:
    """Return operating points as a report keeps them: of all labels first, then those with most objects."""
    goal = "best F1" if points.aim == "f1" else f"{points.aim} of {points.target:g}"
    if points.method == "approximate":
        goal += ", recall a lower bound"
    others: Mapping[str, OperatingPoint] = baseline.per_label if baseline else {}
    labels = sorted(points.per_label.items(), key=lambda entry: (-entry[1].ground_truth, entry[0]))
    return [
        _cut(None, points.overall, goal, baseline.overall if baseline else None),
        *(_cut(label, point, goal, others.get(label)) for label, point in labels),
    ]


def _cut(label: str | None, point: OperatingPoint, goal: str, baseline: OperatingPoint | None) -> CutRow:
    reason = point.reason or ("that of all labels" if point.source == "overall" else "")
    return CutRow(
        label=label,
        goal=reason or goal,
        confidence=point.confidence,
        precision=point.precision,
        recall=point.recall,
        f1=point.f1,
        ground_truth=point.ground_truth,
        baseline_confidence=baseline.confidence if baseline else None,
    )
