"""Readings of the scope `profile`: what a batch's predictions look like by themselves, and against a reference profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.gating.drift import DRIFT_NUMBERS, profile_numbers
from airflow_provider_nucleus.gating.profile import Profile
from airflow_provider_nucleus.gating.readings import Reading, listed_names

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.policy import Rule

__all__ = ["needs_reference", "profile_differences", "read_profile"]


def needs_reference(rule: Rule) -> bool:
    """Return whether a rule's number is one of a profile against another."""
    return rule.scope == "profile" and rule.metric in DRIFT_NUMBERS


def read_profile(rule: Rule, side: Measurement, reference: Measurement | None) -> Reading:
    """Return a number of a side's profile, of those against another from the *reference*'s profile."""
    if side.profile is None:
        return Reading(None, absent="no profile was taken of the predictions")
    try:
        own = Profile.model_validate(side.profile)
        other = (
            Profile.model_validate(reference.profile)
            if needs_reference(rule) and reference is not None and reference.profile is not None
            else None
        )
    except ValueError as error:
        return Reading(None, undefined=f"a profile cannot be read: {error}")
    numbers = profile_numbers(own, other)
    if rule.metric not in numbers.values:
        return Reading(None, absent=f"a profile has no such number{listed_names(numbers.values)}")
    value = numbers.values[rule.metric]
    return Reading(
        value,
        undefined=None if value is not None else numbers.undefined.get(rule.metric, "no reason is given"),
    )


def profile_differences(candidate: Measurement, other: Measurement) -> list[str]:
    """Return why numbers of two profiles cannot be compared: the predictions of one were cut at another confidence."""
    if candidate.profile is None or other.profile is None:
        return []
    try:
        cuts = [sorted(Profile.model_validate(side.profile).cuts) for side in (candidate, other)]
    except ValueError:  # Reading the number says so.
        return []
    if cuts[0] == cuts[1]:
        return []
    here, there = (", ".join(f"{cut:g}" for cut in each) or "none" for each in cuts)
    return [f"least confidence of the predictions: {here} here, {there} there"]
