"""A verdict on the console: one line for the question and its answer, one for each rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.gating.verdict import RuleResult, Verdict

__all__ = ["verdict_lines"]

_BOUNDS = {
    "min": "at least {0:g}",
    "max": "at most {0:g}",
    "max_drop": "a drop of at most {0:g}",
    "max_relative_drop": "a drop of at most {0:.0%}",
    "min_gain": "a gain of at least {0:g}",
}


def verdict_lines(verdict: Verdict, *, candidate: str, baseline: str) -> Iterator[str]:
    """Yield the lines; rules in the order in which the verdict has them."""
    answer = {"pass": "yes", "fail": "no", "inconclusive": "no, that cannot be told yet"}[verdict.status]
    if not verdict.stopped and verdict.status != "pass":
        answer = f"not stopped, although {verdict.status}"
    yield f"May {candidate} replace {baseline}? {answer}"
    column = max((len(result.rule_id) for result in verdict.results), default=0)
    for result in verdict.results:
        yield f"  {result.status.upper():<12}  {result.rule_id:<{column}}  {_sentence(result)}"


def _sentence(result: RuleResult) -> str:
    """Return value, baseline, interval and bound; where there is no value, the rule's own sentence."""
    if result.value is None or result.limit is None or result.bound not in _BOUNDS:
        return result.text
    wanted = _BOUNDS[result.bound].format(result.limit)
    name = result.metric if result.subject == "overall" else f"{result.metric} of {result.subject}"
    if result.baseline is None or result.difference is None:
        return f"{name} {result.value:.3f}: {wanted} is wanted"
    between = ""
    if result.low is not None and result.high is not None:
        level = "" if result.level is None else f"{result.level:.0%} "
        between = f" ({level}interval {result.low:+.3f} to {result.high:+.3f})"
    return f"{name} {result.value:.3f} against {result.baseline:.3f}, {result.difference:+.3f}{between}: {wanted} is allowed"
