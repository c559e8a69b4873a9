"""A gate, from its policy to its judgement: what a task of Airflow and the command do alike between their reading and their writing.

Both read their arguments as they can (`side_reading`, `policy_reading`), give everything to `assemble_gate`, and write what `judge_gate`
returns. So the same policy on the same evidence gives the same verdict in both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.baseline import BaselineRecord, accepted_before, record_before
from airflow_provider_nucleus.gating.changed_objects import UncomparableError, changes_of
from airflow_provider_nucleus.gating.fingerprint import unstated
from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.rule_table import one_line
from airflow_provider_nucleus.gating.side_reading import LABELS_LEFT_OUT
from airflow_provider_nucleus.gating.sides import Sides

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.bounds import Interval
    from airflow_provider_nucleus.gating.changed_objects import ObjectChanges
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.policy import Policy
    from airflow_provider_nucleus.gating.verdict import ChangeCounts, Judgement

__all__ = ["Gate", "JudgedGate", "assemble_gate", "judge_gate"]


@dataclass(frozen=True, slots=True)
class Gate:
    """A policy and the sides that it is held against."""

    policy: Policy
    sides: Sides
    record: BaselineRecord
    """The record that the candidate is held against, an empty one where there is none."""
    notes: tuple[str, ...] = ()
    """What the fingerprints of candidate and baseline do not state, a sentence each."""


@dataclass(frozen=True, slots=True)
class JudgedGate:
    """A judgement, with the objects that changed, or the reason why they are not counted; neither where there is no baseline."""

    judgement: Judgement
    changes: ObjectChanges | None = None
    uncounted: str | None = None


def assemble_gate(
    policy: Policy,
    candidate: Measurement,
    baseline: Measurement | None = None,
    *,
    reference: Measurement | None = None,
    accepted: Measurement | None = None,
    record: BaselineRecord | None = None,
    profile: Mapping[str, Any] | None = None,
    numbers: Any = None,
    baseline_numbers: Any = None,
) -> Gate:
    """Return the gate. What of *reference*, *accepted* and the window is not given is the record's, and without a baseline changes are measured from what was accepted last.

    The record counts as it was before this candidate was accepted. *profile* and *numbers* are added to the candidate, *baseline_numbers*
    to the baseline. Raises NucleusConfigError for numbers that are none, and where a side lacks labels that the policy is about because
    the result of a task was too small for them.
    """
    if profile is not None:
        candidate = candidate.model_copy(update={"profile": dict(profile)})
    candidate = _with_numbers(candidate, numbers, name="numbers")
    past = record_before(record or BaselineRecord(), candidate)
    reference = past.reference_measurement if reference is None else reference
    accepted = past.accepted_measurement if accepted is None else accepted
    baseline = accepted if baseline is None else baseline
    notes: tuple[str, ...] = ()
    if baseline is not None:
        baseline = _with_numbers(baseline, baseline_numbers, name="baseline_numbers")
        _require_labels(baseline, policy, name="baseline")
        notes = tuple(unstated(candidate.fingerprint, baseline.fingerprint))
    _require_labels(candidate, policy, name="candidate")
    history = tuple(accepted_before(past, candidate))
    return Gate(policy, Sides(candidate, baseline, reference, accepted, history), past, notes)


def judge_gate(
    gate: Gate,
    *,
    judged_at: str,
    intervals: Mapping[tuple[str, str], Interval] | None = None,
    changes: ChangeCounts | None = None,
) -> JudgedGate:
    """Judge, and count the objects that changed from baseline to candidate; *intervals* and *changes* are those had elsewhere, of a server or of files."""
    sides = gate.sides
    judgement = judge(
        gate.policy,
        sides.candidate,
        sides.baseline,
        reference=sides.reference,
        accepted=sides.accepted,
        history=sides.history,
        intervals=intervals,
        judged_at=judged_at,
    )
    if sides.baseline is None:
        return JudgedGate(judgement)
    objects = None
    if changes is None:
        try:
            objects = changes_of(sides.candidate, sides.baseline)
        except UncomparableError as error:
            return JudgedGate(judgement, uncounted=one_line(str(error)))
        changes = objects.counts
    return JudgedGate(judgement.model_copy(update={"changes": changes}), objects)


def _with_numbers(measurement: Measurement, numbers: Any, *, name: str) -> Measurement:
    """Return *measurement* with numbers that the user supplies, latency for example; those of a name that it has are replaced."""
    if not numbers:
        return measurement
    if not isinstance(numbers, Mapping):
        raise NucleusConfigError(
            f"{name} must be an object of numbers by name, not {type(numbers).__name__}.",
            field=name,
            hint='For example {"latency_ms": 41.5}.',
        )
    supplied = dict(measurement.supplied)
    for key, value in numbers.items():
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise NucleusConfigError(
                f"{name}: {key} is {value!r}, and must be a finite number.",
                field=name,
                hint="Leave it out where it was not measured: a rule about it is missing then, which is no pass.",
            )
        supplied[str(key)] = number
    return measurement.model_copy(update={"supplied": supplied})


def _require_labels(measurement: Measurement, policy: Policy, *, name: str) -> None:
    """Refuse rules about labels that the result of a task was too small for: they are not missing."""
    cut = sum(
        int(note.get("count") or 0) for note in measurement.notes if note.get("note") == LABELS_LEFT_OUT
    )
    if not cut:
        return
    about = [
        rule.id
        for rule in policy.rules
        if rule.scope == "per_label" and not (rule.labels and set(rule.labels) <= set(measurement.per_label))
    ]
    if about:
        raise NucleusConfigError(
            f"{name} has the numbers of {len(measurement.per_label)} labels, and lacks {cut} that the result of a task was too small for; "
            f"{'rule' if len(about) == 1 else 'rules'} {', '.join(about)} would take them for vanished.",
            field=name,
            hint="Give the task that measures a report=: the gate reads all labels from there.",
        )
