"""Findings: results on their way, what is known so far of one bound of a rule on one subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_nucleus.gating.policy import CHANGE_BOUNDS
from airflow_provider_nucleus.gating.readings import ABSENT, Reading, RuleSubject
from airflow_provider_nucleus.gating.rule_table import one_line
from airflow_provider_nucleus.gating.verdict import RuleResult

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.bounds import Inequality, Interval
    from airflow_provider_nucleus.gating.policy import Rule
    from airflow_provider_nucleus.gating.verdict import RuleStatus

__all__ = ["Finding", "result_of"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A result on its way: what is known so far of one bound on one subject. It is open until it has a text."""

    subject: RuleSubject
    bound: str
    reading: Reading = ABSENT
    before: float | None = None
    """Number of the baseline; of a window its median."""
    inequality: Inequality | None = None
    interval: Interval | None = None
    by_interval: bool = False
    """Decided by the interval; else it is there to be read, and the number decides."""
    remark: str = ""
    status: RuleStatus = "insufficient"
    counted: bool = True
    off: bool = False
    """Whether the rule itself turned this bound off here, which takes no evidence away."""
    text: str = ""


def result_of(rule: Rule, finding: Finding) -> RuleResult:
    """Return a closed finding as a result."""
    status = "warn" if finding.status == "fail" and rule.severity == "warn" else finding.status
    limit = rule.window.max_z if finding.bound == "window" and rule.window else getattr(rule, finding.bound)
    inequality, interval = finding.inequality, finding.interval
    difference = None
    if inequality is not None and finding.bound in CHANGE_BOUNDS:
        difference = inequality.value
    elif finding.before is not None and finding.reading.value is not None:
        difference = finding.reading.value - finding.before
    return RuleResult(
        rule_id=rule.id,
        metric=rule.metric,
        subject=finding.subject.text,
        bound=finding.bound,
        status=status,
        severity=rule.severity,
        limit=limit,
        value=finding.reading.value,
        baseline=finding.before,
        difference=difference,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        level=interval.level if interval else None,
        method=interval.method if interval else None,
        bound_at=inequality.at if inequality else None,
        passes=inequality.passes if inequality else None,
        support=finding.reading.support,
        counted=finding.counted,
        text=one_line(finding.text),
    )
