"""Readings: the numbers a rule is about, one for each label, slice or the whole, as a measurement has them.

A number that is not there and a number that is not defined are two things, and neither is 0. What is not finite is not defined.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.gating.measurement import Measurement, Numbers
    from airflow_provider_nucleus.gating.policy import Rule

__all__ = ["ABSENT", "Reading", "RuleSubject", "listed_names", "read", "subjects_of"]


@dataclass(frozen=True, slots=True)
class RuleSubject:
    """One thing that a rule is about: everything, one label, one slice, the profile, or the user's own numbers."""

    text: str
    label: str | None = None
    slice_value: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A number of one subject: its value, or why there is none; and the objects to be found behind it."""

    value: float | None
    undefined: str | None = None
    """Reason why the number is not defined."""
    absent: str | None = None
    """What is not there: the number was not measured."""
    support: int | None = None
    """Objects to be found; None where the measurement does not say."""


ABSENT = Reading(None, absent="there is no measurement")


def subjects_of(rule: Rule, candidate: Measurement, others: Iterable[Measurement]) -> list[RuleSubject]:
    """Return what a rule is about: what it names, else every label or slice that any side has."""
    sides = [candidate, *others]
    if rule.scope == "per_label":
        labels = rule.labels or sorted({label for side in sides for label in side.per_label})
        return [RuleSubject(f"label {label}", label=label) for label in labels]
    if rule.scope == "per_slice":
        key = rule.slice_key or ""
        values = rule.slice_values or sorted({value for side in sides for value in side.slices.get(key, {})})
        return [RuleSubject(f"{key}={value}", slice_value=value) for value in values]
    return [RuleSubject(rule.scope)]


def read(rule: Rule, subject: RuleSubject, side: Measurement) -> Reading:
    """Return the number of a rule for one subject on one side (of profiles: `profile_readings`)."""
    if rule.scope == "supplied":
        if rule.metric not in side.supplied:
            return Reading(
                None, absent=f"no number {rule.metric!r} was supplied{listed_names(side.supplied)}"
            )
        return _reading(side.supplied[rule.metric], None)
    numbers = _numbers_of(rule, subject, side)
    if isinstance(numbers, Reading):
        return numbers
    support = _support(numbers)
    if support is None and rule.scope == "overall":
        support = side.coverage.ground_truth
    if rule.metric not in numbers.values:
        if rule.metric in numbers.undefined:
            return Reading(None, undefined=numbers.undefined[rule.metric], support=support)
        return Reading(
            None, absent=f"{rule.metric} was not measured{listed_names(numbers.values)}", support=support
        )
    return _reading(numbers.values[rule.metric], numbers.undefined.get(rule.metric), support=support)


def _numbers_of(rule: Rule, subject: RuleSubject, side: Measurement) -> Numbers | Reading:
    if rule.scope == "per_label":
        found = side.per_label.get(subject.label or "")
        return found or Reading(
            None, absent=f"the measurement has no label {subject.label!r}{listed_names(side.per_label)}"
        )
    if rule.scope == "per_slice":
        values = side.slices.get(rule.slice_key or "")
        if values is None:
            return Reading(
                None, absent=f"the measurement has no slices by {rule.slice_key!r}{listed_names(side.slices)}"
            )
        found = values.get(subject.slice_value or "")
        return found or Reading(None, absent=f"no item has {subject.text}{listed_names(values)}")
    return side.overall


def _reading(value: float | None, reason: str | None, *, support: int | None = None) -> Reading:
    if value is None:
        return Reading(None, undefined=reason or "the measurement gives no reason", support=support)
    if not math.isfinite(value):
        return Reading(None, undefined=f"{value} is not a finite number", support=support)
    return Reading(float(value), support=support)


def _support(numbers: Numbers) -> int | None:
    if numbers.ground_truth is not None:
        return numbers.ground_truth
    found, missed = numbers.values.get("tp"), numbers.values.get("fn")
    return None if found is None or missed is None else round(found + missed)


def listed_names(names: Iterable[str]) -> str:
    """Return the names there are instead of one that is not, as the end of a sentence."""
    known = sorted(names)
    if not known:
        return " (there is none at all)"
    more = f" and {len(known) - 6} more" if len(known) > 6 else ""
    return f" (there is {', '.join(known[:6])}{more})"
