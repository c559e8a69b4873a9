"""Sentences of results: what the number is, what was wanted, and why it is not a pass, for whoever is on call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.gating.rule_table import one_line
from airflow_provider_nucleus.number_texts import plain_share_text, plain_text

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.bounds import Decision, Inequality, Interval
    from airflow_provider_nucleus.gating.policy import Rule
    from airflow_provider_nucleus.gating.readings import RuleSubject

__all__ = [
    "decided",
    "objects_text",
    "subject_text",
    "undecided_labels",
]


def objects_text(count: int | None) -> str:
    """Return a support in words."""
    if count is None:
        return "an unknown number of objects to be found"
    return "1 object to be found" if count == 1 else f"{count:,} objects to be found"


def subject_text(rule: Rule, subject: RuleSubject) -> str:
    """Return the number and what it is of: `recall of label person`, `f1 where weather=fog`, `latency_ms`."""
    if rule.scope == "per_label" and subject.label is not None:
        return f"{rule.metric} of {subject.text}"
    if rule.scope == "per_slice" and subject.slice_value is not None:
        return f"{rule.metric} where {subject.text}"
    if subject.text.startswith("mean over"):
        return f"{rule.metric}, {subject.text},"
    return f"{rule.metric} of the profile" if rule.scope == "profile" else rule.metric


def decided(
    rule: Rule,
    subject: RuleSubject,
    inequality: Inequality,
    *,
    baseline: float | None,
    value: float,
    interval: Interval | None,
    decision: Decision,
    remark: str = "",
) -> str:
    """Return the sentence of a bound that could be looked at."""
    text = f"{subject_text(rule, subject)} {_what_is(inequality, value=value, baseline=baseline)}"
    relative = inequality.bound == "max_relative_drop"
    show = plain_share_text if relative else plain_text
    if interval is not None:
        of = "" if baseline is None else " of the change"
        text += f" ({plain_share_text(interval.level)} interval{of} {show(interval.low)} to {show(interval.high)}, {interval.method})"
    return f"{text}; {_wanted(rule, inequality)}: {_outcome(decision)}{remark}"


def undecided_labels(rule: Rule, subjects: list[str], *, reason: str) -> str:
    """Return one sentence for the labels or slices that could not be judged alone."""
    named = ", ".join(subject.removeprefix("label ") for subject in subjects[:8])
    more = f" and {len(subjects) - 8} more" if len(subjects) > 8 else ""
    what = "labels" if rule.scope == "per_label" else "slices"
    count = f"{len(subjects)} {what}" if len(subjects) > 1 else f"1 {what[:-1]}"
    return one_line(f"{count} of rule {rule.id} {reason}: {named}{more}")


def _what_is(inequality: Inequality, *, value: float, baseline: float | None) -> str:
    if baseline is None:
        return f"is {plain_text(value)}"
    gap = value - baseline
    if plain_text(gap) == "0":
        return f"is unchanged at {plain_text(value)}"
    size = plain_text(abs(gap))
    if inequality.bound == "max_relative_drop":
        size += f" ({plain_share_text(abs(inequality.value))})"
    return f"{'rose' if gap > 0 else 'fell'} by {size}, from {plain_text(baseline)} to {plain_text(value)}"


def _wanted(rule: Rule, inequality: Inequality) -> str:
    limit = plain_text(inequality.limit)
    if inequality.bound == "min":
        return f"at least {limit} is wanted"
    if inequality.bound == "max":
        return f"at most {limit} is wanted"
    if inequality.bound == "window":
        side = "least" if inequality.passes == "above" else "most"
        return f"at {side} {plain_text(inequality.at)} is wanted, {limit} deviations from the median"
    worse, better = ("drop", "gain") if rule.better == "higher" else ("rise", "fall")
    if inequality.bound == "min_gain":
        return f"a {better} of at least {limit} is wanted"
    if inequality.bound == "max_relative_drop":
        limit = plain_share_text(inequality.limit)
    return f"no {worse} is allowed" if inequality.limit == 0 else f"a {worse} of {limit} is allowed"


def _outcome(decision: Decision) -> str:
    return {
        "pass": "kept",
        "fail": "broken",
        "undecided": "undecided, the bound lies inside the interval",
        "chance": "undecided, one of so many looks like that by chance",
        "few": "undecided, too few objects to rule out that much",
    }[decision]
