"""Evidence that follows from the judgement itself.

Changed objects and operating points come off the rows of the matches, drift off the profiles, a trend off earlier measurements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.gating.changed_objects import UncomparableError, changes_of
from airflow_provider_nucleus.gating.drift import (
    BATCH_NUMBERS,
    DEFAULT_MAX_PSI,
    DRIFT_NUMBERS,
    profile_numbers,
)
from airflow_provider_nucleus.gating.operating_point import operating_points_of
from airflow_provider_nucleus.gating.profile import Profile
from airflow_provider_nucleus.reporting.extras import CutRow, DrawnObject, DriftRow, ObjectChange, PastBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_nucleus.gating.changed_objects import ChangedObject, PairedWith
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.operating_point import OperatingPoint, OperatingPoints
    from airflow_provider_nucleus.gating.verdict import Judgement, VerdictStatus
    from airflow_provider_nucleus.reporting.extras import Extras

__all__ = ["MOST_CHANGED", "changes_as_rows", "cuts_as_rows", "history_as_rows", "with_own_evidence"]

MOST_CHANGED = 2_000
"""Most changed objects that a report's document keeps."""


def with_own_evidence(judgement: Judgement, extras: Extras) -> tuple[Judgement, Extras]:
    """Return judgement and extras with what follows from them and nobody gave yet.

    That is changed objects and their counts, operating points, and drift.
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
    if extras.drift is None and candidate.profile:
        reference = extras.reference_profile or (baseline.profile if baseline is not None else None)
        found["drift"] = _drift(candidate.profile, reference, judgement, remarks)
    return judgement, extras.model_copy(update={**found, "remarks": remarks})


def _drift(
    profile: Mapping[str, Any], reference: Mapping[str, Any] | None, judgement: Judgement, remarks: list[str]
) -> list[DriftRow] | None:
    """Return the drift of the profile from the reference, None without one.

    What a rule bounds is as it was judged, whichever profile the rule is against.
    """
    if reference is None:
        return None
    try:
        other = Profile.model_validate(reference)
        numbers, before = (
            profile_numbers(Profile.model_validate(profile), other),
            profile_numbers(other).values,
        )
    except ValueError as error:
        remarks.append(f"Drift was not computed: a profile cannot be read: {str(error).splitlines()[0]}.")
        return None
    results = {
        result.metric: result
        for result in judgement.verdict.results
        if result.subject == "profile" and result.bound == "max"
    }
    rows = []
    for name in DRIFT_NUMBERS:
        if name.endswith("_ks_p") or name not in numbers.values:
            continue
        rule = results.get(name)
        limit = rule.limit if rule else DEFAULT_MAX_PSI if name.endswith("_psi") else None
        effect = rule.value if rule else numbers.values[name]
        part = name.removesuffix("_change").removesuffix("_ratio")
        of_sides = part in BATCH_NUMBERS and not rule
        rows.append(
            DriftRow(
                name=name,
                value=numbers.values[part] if of_sides else None,
                reference=before[part] if of_sides else None,
                effect=effect,
                limit=limit,
                drifted=None if limit is None or effect is None else effect > limit,
                text=f"rule {rule.rule_id}: {rule.text}"
                if rule
                else numbers.undefined.get(name, "")
                or ("" if limit is None else "the stated default, no rule of the policy"),
            )
        )
    return rows


def history_as_rows(
    measurements: Iterable[Measurement], candidate: Measurement, judgement: Judgement, *, metric: str
) -> list[PastBatch]:
    """Return the accepted measurements of earlier batches, and this one at the end, by one number."""
    return [
        *(_past(each, metric, "pass", here=False) for each in measurements),
        _past(candidate, metric, judgement.verdict.status, here=True),
    ]


def _past(measurement: Measurement, metric: str, status: VerdictStatus, *, here: bool) -> PastBatch:
    subject = measurement.subject
    return PastBatch(
        name=subject.slice_name
        or subject.slice_id
        or subject.query
        or subject.benchmark_version
        or subject.measured_at
        or "batch",
        value=measurement.overall.values.get(metric),
        status=status,
        model=subject.model_name or subject.model_id,
        at=subject.measured_at,
        items=measurement.coverage.items,
        url=subject.url,
        here=here,
    )


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
