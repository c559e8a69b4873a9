"""The subjects of one rule as a family: which alarms stand among as many tests, and what the mean over all says.

A label is a pass by its own interval: for all of them to pass, each must, which no number of tests makes easier (intersection-union).
An alarm is one of as many chances, so it must stand after the rule's control, too. A label between the two is open. Of many labels most
are open one by one, too rare for any interval to be narrow; so where a rule names none of them, open labels are listed, and the mean over
all labels must pass in their place. Of those that are beyond the bound by their own interval two kinds stay open and count: what has fallen at
all, by the same control (where nothing changed, there is such a label in `1 - level` of the gates at most), and what is found no more.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Final, Literal

from airflow_provider_nucleus.gating.bounds import decide
from airflow_provider_nucleus.gating.findings import Finding
from airflow_provider_nucleus.gating.multiplicity import adjusted_levels
from airflow_provider_nucleus.gating.readings import Reading, RuleSubject
from airflow_provider_nucleus.gating.sentences import decided
from airflow_provider_nucleus.number_texts import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.gating.interval_source import IntervalSource
    from airflow_provider_nucleus.gating.policy import Rule

__all__ = ["mean_of", "settled"]

_CONTROL: Final = {"holm": "Holm", "benjamini_hochberg": "Benjamini-Hochberg", "none": "without control"}


def mean_of(rule: Rule, findings: Sequence[Finding], source: IntervalSource) -> Finding | None:
    """Return the mean change over all labels or slices as one more finding; None without intervals, or for a single one."""
    known = [
        each
        for each in findings
        if each.reading.value is not None and each.reading.support and each.before is not None
    ]
    first = next((each.inequality for each in known if each.by_interval and each.inequality), None)
    relative = first is not None and first.bound == "max_relative_drop"
    if relative:
        least = rule.relative_below
        known = [each for each in known if each.before and (least is None or each.before >= least)]
    if first is None or len(known) < 2:
        return None
    pairs = [(each.reading.value or 0.0, each.before or 0.0) for each in known]
    gaps = [(value - before) / (abs(before) if relative else 1.0) for value, before in pairs]
    inequality = replace(first, value=fmean(gaps))
    interval = source.of_mean_change(rule, [each.subject for each in known], inequality)
    if interval is None:
        return None
    what = "labels" if rule.scope == "per_label" else f"values of {rule.slice_key}"
    return Finding(
        RuleSubject(f"mean over {len(known)} {what}"),
        first.bound,
        reading=Reading(
            fmean(value for value, _ in pairs), support=sum(each.reading.support or 0 for each in known)
        ),
        before=fmean(before for _, before in pairs),
        inequality=inequality,
        interval=interval,
        by_interval=True,
    )


def settled(rule: Rule, findings: Sequence[Finding], mean: Finding | None = None) -> list[Finding]:
    """Decide the findings that have all they need; with the *mean* over them, those that stay open are not counted."""
    every = [*findings, mean] if mean is not None else list(findings)
    levels = _levels(every, "worse")
    adjusted = _adjusted(rule, levels)
    result = [
        each if each.text else _decided(rule, each, adjusted.get(place), tests=len(levels))
        for place, each in enumerate(every)
    ]
    if mean is None:
        return result
    # Of the mean it is not asked: where no label fell it did not either, and it is decided by its interval.
    alone = _levels(findings, "fallen")
    fallen = alone | _adjusted(rule, alone)
    return [
        each
        if each.status != "insufficient" or not each.by_interval or each.subject is mean.subject
        else _open(rule, each, fallen.get(place, 1.0), tests=len(fallen))
        for place, each in enumerate(result)
    ]


def _levels(findings: Sequence[Finding], name: Literal["worse", "fallen"]) -> dict[int, float]:
    """Return the levels of the findings that an interval decides, by place."""
    found = {
        place: getattr(each.interval, name)
        for place, each in enumerate(findings)
        if not each.text and each.by_interval and each.interval is not None
    }
    return {place: level for place, level in found.items() if level is not None}


def _adjusted(rule: Rule, levels: dict[int, float]) -> dict[int, float]:
    if len(levels) < 2 or rule.multiplicity == "none":
        return {}
    return dict(zip(levels, adjusted_levels(list(levels.values()), rule.multiplicity), strict=True))


def _open(rule: Rule, finding: Finding, fallen: float, *, tests: int) -> Finding:
    """Return an open label as one that is only listed, unless it lies beyond its interval's bound and has fallen at all, or is lost."""
    inequality = finding.inequality
    if inequality is None or decide(inequality, finding.interval) != "fail":
        return replace(finding, counted=False)
    if fallen <= 1 - rule.level:
        control = f"{_CONTROL[rule.multiplicity]} over {tests}: {plain_text(fallen)}"
        return replace(finding, text=f"{finding.text}, but not that it is worse at all ({control})")
    # No chance among many labels takes the last object.
    lost = rule.better == "higher" and finding.reading.value == 0 and (finding.before or 0) > 0
    return finding if lost else replace(finding, counted=False)


def _decided(rule: Rule, finding: Finding, adjusted: float | None, *, tests: int) -> Finding:
    inequality, value = finding.inequality, finding.reading.value
    assert inequality is not None
    assert value is not None
    decision = decide(inequality, finding.interval if finding.by_interval else None)
    remark = finding.remark
    if decision == "fail" and adjusted is not None:
        alarm = (1 - rule.level) / 2
        remark += f" ({_CONTROL[rule.multiplicity]} over {tests}: {plain_text(adjusted)}, alarm at {plain_text(alarm)})"
        decision = decision if adjusted <= alarm else "chance"
    return replace(
        finding,
        status=decision if decision in {"pass", "fail"} else "insufficient",
        text=decided(
            rule,
            finding.subject,
            inequality,
            baseline=finding.before,
            value=value,
            interval=finding.interval,
            decision=decision,
            remark=remark,
        ),
    )
