"""A verdict for people, as markdown: what was compared, the rules that are no pass, the objects behind it, and where to look.

Labels, names and sentences come from data: whatever they hold is text here, never a table's edge, a link, an image or HTML.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.gating.rule_table import worst_first
from airflow_provider_nucleus.number_texts import MISSING
from airflow_provider_nucleus.reporting.rule_rows import rule_row
from airflow_provider_nucleus.reporting.texts import markdown_table
from airflow_provider_nucleus.schema.texts import storable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.verdict import Judgement, RuleResult

__all__ = ["verdict_headline", "verdict_markdown", "web_links"]

_MOST_ROWS: Final = 12
_NAME_CHARS: Final = 80
_SENTENCE_CHARS: Final = 240
_MARKUP: Final = re.compile(r"([\\`*_\[\]()<>|~#!&:])")
_DIRECTIONS: Final = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the reading direction of all that follows."""


def verdict_headline(judgement: Judgement) -> str:
    """Return one line: the verdict, of which model, on what."""
    candidate = judgement.candidate
    line = f"{judgement.verdict.status}: {_model(candidate)} on {_scope(candidate)}"
    return str(storable(" ".join(_DIRECTIONS.sub("", line).split())))


def verdict_markdown(
    judgement: Judgement, *, links: Mapping[str, str] | None = None, most: int = _MOST_ROWS
) -> str:
    """Return the verdict as markdown, with at most *most* rules, the worst first."""
    verdict = judgement.verdict
    counted = [one for one in worst_first(verdict.results) if one.counted]
    open_results = [one for one in counted if one.status != "pass"]
    rare = len(verdict.results) - len(counted)
    against = f" against {_text(_model(judgement.baseline))}" if judgement.baseline else ""
    lines = [
        (
            f"**{verdict.status}** by policy {_text(verdict.policy)}: {_text(_model(judgement.candidate))}{against}, "
            f"on {_text(_scope(judgement.candidate))}."
        ),
        "",
        f"{len(open_results)} of {len(counted)} results are no pass{_aside(rare)}. {_coverage(judgement.candidate)}".rstrip(),
    ]
    if open_results:
        lines += markdown_table(
            ["", "rule", "of", "candidate", "baseline", "difference", "bound"],
            map(_cells, open_results[:most]),
            numbers_from=3,
        )
        if len(open_results) > most:
            lines += ["", f"And {len(open_results) - most} more."]
    if without := [one for one in open_results if one.value is None][:most]:
        lines += ["", *(f"- {_text(one.text, _SENTENCE_CHARS)}" for one in without)]
    if (changes := judgement.changes) is not None:
        lines += [
            "",
            f"Objects of the ground truth: {changes.fixed} fixed, {changes.broken} broken, {changes.both_miss} missed by both.",
        ]
    if addresses := web_links(links or {}):
        lines += ["", " · ".join(f"[{_text(name)}]({url})" for name, url in addresses.items())]
    return str(storable("\n".join(lines)))


def web_links(links: Mapping[str, str]) -> dict[str, str]:
    """Return those links that a browser opens, safe within markdown; a path or a bucket is none."""
    return {
        name: re.sub(r"[\s()<>\[\]\"'\\]", lambda found: f"%{ord(found.group()):02X}", url)
        for name, url in links.items()
        if re.match(r"https?://", url)
    }


def _aside(rare: int) -> str:
    return f" ({rare} more are too rare to count alone)" if rare else ""


def _cells(result: RuleResult) -> list[str]:
    """Return a result as the report writes it."""
    row = rule_row(result, with_chart=False)
    interval = f" \\[{row.interval}\\]" if row.interval else ""
    return [
        result.status if result.severity == "error" else f"{result.status} (warns only)",
        _text(result.rule_id),
        _text(result.subject if result.subject != "overall" else result.metric),
        row.value,
        *("" if text == MISSING else text for text in (row.baseline, f"{row.difference}{interval}")),
        row.bound,
    ]


def _coverage(candidate: Measurement) -> str:
    coverage = candidate.coverage
    if coverage.items is None or coverage.with_ground_truth is None:
        return ""
    return (
        f"{coverage.with_ground_truth} of {coverage.items} items have ground truth: {coverage.ground_truth} objects, "
        f"{coverage.predictions} predictions."
    )


def _model(measurement: Measurement | None) -> str:
    if measurement is None:
        return "nothing"
    subject = measurement.subject
    return subject.model_name or subject.model_id or subject.model_run_id or "the candidate"


def _scope(measurement: Measurement) -> str:
    subject = measurement.subject
    of = subject.benchmark_name or subject.dataset_name or subject.benchmark_id or subject.dataset_id
    part = subject.slice_name or subject.slice_id or subject.query
    return ", ".join(filter(None, (of or measurement.fingerprint.data, part)))


def _text(text: str, most: int = _NAME_CHARS) -> str:
    """Return *text* on one line and without any meaning to markdown."""
    line = " ".join(_DIRECTIONS.sub("", text).split())
    short = line if len(line) <= most else f"{line[: most - 1]}…"
    # Chats tell everybody whose name stands behind an @, escaped or not; a joiner of no width ends that.
    return re.sub(r"@(?=\w)", "@\u2060", _MARKUP.sub(r"\\\1", short))
