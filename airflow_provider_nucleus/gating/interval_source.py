"""Source of the intervals of a judgement: those given, else none, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.gating.bounds import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.gating.bounds import Inequality
    from airflow_provider_nucleus.gating.policy import Rule
    from airflow_provider_nucleus.gating.readings import RuleSubject

__all__ = ["IntervalSource"]


class IntervalSource:
    """Intervals of changes and of numbers, for the bounds of one judgement."""

    def __init__(self, given: Mapping[tuple[str, str], Interval] | None = None) -> None:
        self._given = dict(given or {})

    def of_change(
        self, rule: Rule, subject: RuleSubject, inequality: Inequality, *, baseline: float
    ) -> Interval | str:
        """Return the interval of a change on the axis of its bound, or why there is none."""
        given = self._given.get((rule.metric, subject.text)) if rule.against == "baseline" else None
        if given is None:
            return "no interval was given"
        if inequality.bound == "max_relative_drop":
            low, high = given.low / abs(baseline), given.high / abs(baseline)
            return Interval(low, high, given.level, given.method)
        return given
