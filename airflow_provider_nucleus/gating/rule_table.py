"""A verdict as lines for a log or a terminal: one line for each rule, the worst first, and what of it is not a pass below it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_nucleus.gating.verdict import RuleResult, RuleStatus, Verdict

__all__ = ["STATUS_ORDER", "one_line", "reason_of", "rule_lines", "worst_first"]

STATUS_ORDER: Final[Sequence[RuleStatus]] = ("fail", "missing", "error", "insufficient", "warn", "pass")
"""Statuses, the worst first: what is bad, what is not there, what could not be computed, what has too little support."""

_JOINERS: Final = {"\u200c", "\u200d"}
"""Characters without a shape that scripts and emoji need."""
_MOST_DETAILS = 10
_WIDTH = 200


def one_line(text: str) -> str:
    """Return text as a log and a terminal may have it: labels come from files, and may hold line ends, escapes, marks that turn a line."""
    return "".join(
        character
        if character.isprintable() or character in _JOINERS
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def worst_first(results: Iterable[RuleResult]) -> list[RuleResult]:
    """Return results in the order in which people should read them; those of a rule that only warns after those of one that stops, passes last."""
    return sorted(results, key=_badness)


def reason_of(result: RuleResult) -> str:
    """Return the sentence of a result as the reasons of a verdict have it."""
    return f"{result.rule_id}: {result.text}"


def rule_lines(verdict: Verdict, *, width: int = _WIDTH) -> list[str]:
    """Return the lines of a verdict: its headline, then one line for each rule, each at most *width* characters.

    A rule with one result shows its sentence. One with several (labels, slices, bounds) shows their counts, and below it at most ten of
    those that are not a pass.
    """
    by_rule: dict[str, list[RuleResult]] = {}
    for result in worst_first(verdict.results):
        by_rule.setdefault(result.rule_id, []).append(result)
    column = max((len(rule_id) for rule_id in by_rule), default=0)
    lines = [_headline(verdict, len(by_rule))]
    for rule_id, results in by_rule.items():
        head = f"{results[0].status.upper():<12}  {rule_id:<{column}}"
        if len(results) == 1:
            lines.append(f"{head}  {results[0].text}")
            continue
        lines.append(f"{head}  {_counts(results)}")
        open_results = [result for result in results if result.status != "pass"]
        lines += [f"{'':<12}  - {result.text}" for result in open_results[:_MOST_DETAILS]]
        if len(open_results) > _MOST_DETAILS:
            lines.append(f"{'':<12}  - and {len(open_results) - _MOST_DETAILS} more")
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in map(one_line, lines)]


def _headline(verdict: Verdict, rules: int) -> str:
    stops = "stops the pipeline" if verdict.stopped else "goes on"
    return f"Policy {verdict.policy}: {verdict.status.upper()}, {stops}; {rules} rule{'' if rules == 1 else 's'}, {_counts(verdict.results)}"


def _counts(results: Sequence[RuleResult]) -> str:
    counts = Counter(result.status for result in results)
    found = ", ".join(f"{counts[status]} {status}" for status in STATUS_ORDER if counts[status])
    return f"{len(results)} result{'' if len(results) == 1 else 's'}: {found or 'none'}"


def _badness(result: RuleResult) -> tuple[bool, bool, int, str, str]:
    warns = result.severity == "warn"
    return result.status == "pass", warns, STATUS_ORDER.index(result.status), result.rule_id, result.subject
