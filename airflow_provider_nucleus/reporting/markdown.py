"""`report.md`: a judgement in fewer than sixty lines, for a chat or a pull request. The numbers are those of the page, as the page writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.number_texts import MISSING, count_text
from airflow_provider_nucleus.reporting.limits import PageLimits
from airflow_provider_nucleus.reporting.page import report_page
from airflow_provider_nucleus.reporting.texts import cell_text, markdown_table, prose, shortened

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.verdict import Judgement
    from airflow_provider_nucleus.reporting.extras import Extras
    from airflow_provider_nucleus.reporting.number_rows import GroupTable
    from airflow_provider_nucleus.reporting.page import ReportPage

__all__ = ["MOST_LINES", "report_markdown"]

MOST_LINES: Final = 59

_RULES: Final = 12
_NUMBERS: Final = 9
_LABELS: Final = 8
_SENTENCES: Final = 4
_SIGNS: Final = {"pass": "✓", "fail": "✗"}


def report_markdown(judgement: Judgement, extras: Extras, *, page_url: str | None = None) -> str:
    """Return the summary; *page_url* leads to the whole report."""
    page = report_page(judgement, extras, limits=PageLimits())
    sign = _SIGNS.get(judgement.verdict.status, "?")
    lines = [f"### {sign} {prose(page.title)}", "", f"**{page.consequence}** {prose(page.counts)}."]
    lines += [f"- {prose(reason)}" for reason in page.reasons[:_SENTENCES]] if not page.rules else []
    lines += ["", *(f"- {side}: {prose(sentence)}" for side, sentence, _ in page.coverage)]
    lines += [f"- Not comparable: {prose(reason)}" for reason in page.incomparable[:_SENTENCES]]
    lines += _rules(page)
    lines += _numbers(page)
    lines += _labels(page.labels, with_baseline=page.has_baseline) if page.labels else []
    if page.change_counts:
        lines += [
            "",
            "Objects to be found: "
            + ", ".join(f"{count} {kind}" for kind, count in page.change_counts)
            + ".",
        ]
    if page.notes:
        lines += ["", *(f"- {prose(note)}" for note in page.notes[:_SENTENCES])]
    if len(page.notes) > _SENTENCES:
        lines.append(f"- {count_text(len(page.notes) - _SENTENCES)} more notes are in the report")
    return "\n".join([*lines, "", _last_line(page, page_url)]) + "\n"


def _last_line(page: ReportPage, page_url: str | None) -> str:
    links = [("Whole report", page_url)] if page_url else []
    links += [(link.name, link.url) for link in page.links[:3]]
    named = " · ".join(f"[{prose(shortened(name))}](<{_address(url)}>)" for name, url in links)
    return " · ".join(
        filter(None, [named, f"policy {cell_text(page.policy)}, judged at {cell_text(page.judged_at)}"])
    )


def _address(url: str) -> str:
    """Return an address that ends where the angle brackets of Markdown say."""
    return "".join(
        character
        if character.isprintable() and character not in "<>\\ |"
        else "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
        for character in url
    )


def _rules(page: ReportPage) -> list[str]:
    if not page.rules and not page.passed:
        return ["", "No rule was evaluated."]
    chosen = [*page.rules, *page.passed][:_RULES]
    lines = markdown_table(
        ["Result", "Rule", "Number", "Value", "Bound", "Baseline", "Change", "Interval"],
        [
            [
                f"{_SIGNS.get(each.status, '?')} {each.status}",
                cell_text(each.rule, 40),
                f"{prose(each.metric)} of {cell_text(each.subject, 40)}",
                each.value,
                each.bound,
                *("" if text == MISSING else text for text in (each.baseline, each.difference)),
                each.interval,
            ]
            for each in chosen
        ],
        numbers_from=3,
    )
    rest = len(page.rules) + len(page.passed) - len(chosen)
    return [*lines, *(["", f"{count_text(rest)} more results are in the report."] if rest else [])]


def _numbers(page: ReportPage) -> list[str]:
    rows = [*page.numbers, *page.supplied][:_NUMBERS]
    if not rows:
        return []
    if not page.has_baseline:
        return markdown_table(
            ["Number", "Value"], [[prose(row.name), row.candidate] for row in rows], numbers_from=1
        )
    return markdown_table(
        ["Number", "Candidate", "Baseline", "Change"],
        [[prose(row.name), row.candidate, row.baseline, row.difference] for row in rows],
        numbers_from=1,
    )


def _labels(table: GroupTable, *, with_baseline: bool) -> list[str]:
    rows = table.rows[:_LABELS]
    if not rows or not table.columns:
        return []
    first = table.columns[0]
    heads = ["Label", "Objects", first]
    cells = [[cell_text(row.name, 40), row.support, row.pairs[0][0]] for row in rows]
    if with_baseline:
        heads += [f"{first} baseline", "Change"]
        cells = [[*cell, row.pairs[0][1], row.difference] for cell, row in zip(cells, rows, strict=True)]
    lines = markdown_table(heads, cells, numbers_from=1)
    rest = table.total - len(rows)
    return [*lines, *(["", f"{count_text(rest)} more labels are in the report."] if rest else [])]
