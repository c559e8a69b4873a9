"""The page of a judgement as typed values, which the template places and nothing else: no arithmetic there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.gating.fingerprint import measurement_differences
from airflow_provider_nucleus.gating.rule_table import STATUS_ORDER, reason_of, worst_first
from airflow_provider_nucleus.number_texts import count_text, number_text, share_text
from airflow_provider_nucleus.reporting.change_rows import KINDS, change_card, spread
from airflow_provider_nucleus.reporting.charts import ChartPoint, share_bar, status_icon, trend_chart
from airflow_provider_nucleus.reporting.extras import Extras, Omission
from airflow_provider_nucleus.reporting.limits import PageLimits, first_rows
from airflow_provider_nucleus.reporting.number_rows import (
    GroupTable,
    NumberRow,
    cut_labels,
    headline,
    headline_rows,
    label_table,
    slice_tables,
    supplied_rows,
)
from airflow_provider_nucleus.reporting.origin_rows import (
    TwoSides,
    batch_title,
    coverage_sentence,
    definition_rows,
    is_followable,
    model_title,
    origin_rows,
    safe_links,
    subject_rows,
    task_facts,
)
from airflow_provider_nucleus.reporting.profile_rows import (
    DriftFigure,
    ProfileFigures,
    drift_figures,
    profile_figures,
)
from airflow_provider_nucleus.reporting.rule_rows import RuleRow, metric_title, rule_row
from airflow_provider_nucleus.reporting.texts import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.verdict import Judgement, Verdict
    from airflow_provider_nucleus.reporting.change_rows import ChangeCard
    from airflow_provider_nucleus.reporting.extras import CutRow, ReportLink

__all__ = ["CropPictures", "CutFigure", "ReportPage", "TrendFigures", "finding", "report_page"]

_REASONS: Final = 5
_VERDICTS: Final = {"pass": "Passed", "fail": "Failed", "inconclusive": "Inconclusive"}


@dataclass(frozen=True, slots=True)
class CropPictures:
    """Pictures of changed objects by item and id, and why others have none."""

    pictures: Mapping[tuple[str, str], Markup]
    reasons: Mapping[tuple[str, str], str]
    left_out: tuple[Omission, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFigure:
    """The operating point of one label, or of all."""

    label: str
    goal: str
    confidence: str
    baseline_confidence: str
    precision: str
    recall: str
    f1: str
    support: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendFigures:
    """One number over the last batches."""

    metric: str
    chart: Markup
    rows: tuple[tuple[str, str, str, str, str], ...]
    """Batch, model, number, verdict, when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """Everything on the page."""

    title: str
    icon: Markup
    verdict: str
    consequence: str
    reasons: tuple[str, ...]
    counts: str
    policy: str
    policy_digest: str
    judged_at: str
    has_baseline: bool
    subjects: tuple[TwoSides, ...]
    coverage: tuple[tuple[str, str, Markup], ...]
    """Side, sentence, bar of the share with ground truth."""
    incomparable: tuple[str, ...]
    rules: tuple[RuleRow, ...]
    passed: tuple[RuleRow, ...]
    numbers: tuple[NumberRow, ...]
    supplied: tuple[NumberRow, ...]
    labels: GroupTable | None
    slices: tuple[GroupTable, ...]
    profile: ProfileFigures | None
    drift: tuple[DriftFigure, ...] | None
    change_counts: tuple[tuple[str, str], ...] | None
    cards: tuple[tuple[str, tuple[ChangeCard, ...]], ...] | None
    """Kind in words, and its objects."""
    cuts: tuple[CutFigure, ...] | None
    cut_file: str
    trend: TrendFigures | None
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    definition: tuple[TwoSides, ...]
    origins: tuple[TwoSides, ...]
    task: tuple[tuple[str, str], ...]
    links: tuple[ReportLink, ...]
    plain_links: tuple[str, ...]


def finding(judgement: Judgement) -> str:
    """Return the finding in one line: verdict, model, batch."""
    verdict = judgement.verdict
    return f"{_VERDICTS[verdict.status]}: {model_title(judgement.candidate)} on {batch_title(judgement.candidate)}"


def report_page(
    judgement: Judgement, extras: Extras, *, limits: PageLimits, crops: CropPictures | None = None
) -> ReportPage:
    """Return the page of a judgement, with at most as many rows as *limits* say."""
    candidate, baseline, verdict = judgement.candidate, judgement.baseline, judgement.verdict
    left_out: list[Omission] = []
    results = worst_first(verdict.results)
    others = [result for result in results if result.status != "pass"]
    passes = [result for result in results if result.status == "pass"]
    followed, plain = safe_links(extras.links)
    page = ReportPage(
        title=finding(judgement),
        icon=status_icon(verdict.status, size=22),
        verdict=_VERDICTS[verdict.status],
        consequence="The policy stops the pipeline." if verdict.stopped else "The pipeline goes on.",
        reasons=tuple(_reasons(verdict, left_out)),
        counts=_result_counts(judgement),
        policy=shortened(verdict.policy),
        policy_digest=shortened(verdict.policy_digest),
        judged_at=shortened(judgement.judged_at or "not stated"),
        has_baseline=baseline is not None,
        subjects=tuple(subject_rows(candidate, baseline)),
        coverage=tuple(
            (
                name,
                coverage_sentence(side.coverage),
                share_bar(
                    side.coverage.share, alternative=f"{share_text(side.coverage.share)} have ground truth"
                ),
            )
            for name, side in _coverages(candidate, baseline)
        ),
        incomparable=tuple(shortened(text, 400) for text in measurement_differences(candidate, baseline))
        if baseline
        else (),
        rules=tuple(
            rule_row(result, with_chart=True)
            for result in first_rows(others, limits.rules, "results that are no pass", left_out)
        ),
        passed=tuple(
            rule_row(result, with_chart=len(passes) <= 20)
            for result in first_rows(passes, limits.passed, "results that passed", left_out)
        ),
        numbers=tuple(headline_rows(candidate.overall, baseline.overall if baseline else None)),
        supplied=tuple(supplied_rows(candidate.supplied, baseline.supplied if baseline else None)),
        labels=label_table(candidate, baseline, limits, left_out),
        slices=tuple(slice_tables(candidate, baseline, limits, left_out)),
        profile=profile_figures(
            candidate.profile, extras.reference_profile or (baseline.profile if baseline else None)
        ),
        drift=None if extras.drift is None else tuple(drift_figures(extras.drift)),
        change_counts=_change_counts(judgement),
        cards=_cards(extras, limits, crops, left_out),
        cuts=_cuts(extras, limits, left_out),
        cut_file=shortened(extras.operating_file or "", 200),
        trend=_trend(extras, headline(candidate), limits, left_out),
        notes=tuple(_notes(judgement, extras)),
        left_out=(),
        definition=tuple(definition_rows(candidate.fingerprint, baseline.fingerprint if baseline else None)),
        origins=tuple(origin_rows(candidate, baseline)),
        task=tuple(task_facts(extras.origin)),
        links=tuple(followed),
        plain_links=tuple(f"{shortened(link.name)}: {shortened(link.url, 200)}" for link in plain),
    )
    if cut := cut_labels([candidate, baseline]):
        left_out.append(
            Omission(
                what="names of labels or slices, the middle of which is cut",
                left=cut,
                of=len(candidate.per_label),
            )
        )
    left_out += crops.left_out if crops else ()
    return _with_left_out(page, left_out)


def _with_left_out(page: ReportPage, left_out: list[Omission]) -> ReportPage:
    return replace(
        page,
        left_out=tuple(
            f"{count_text(each.left)} of {count_text(each.of)} {each.what}: "
            f"{'all' if each.there is None else f'the first {count_text(each.there)}'} are in {each.where}"
            for each in left_out
        ),
    )


def _coverages(candidate: Measurement, baseline: Measurement | None) -> list[tuple[str, Measurement]]:
    """Return whose coverage is shown: both sides', or one line where they rest on the same."""
    if baseline is None:
        return [("Candidate", candidate)]
    if coverage_sentence(candidate.coverage) == coverage_sentence(baseline.coverage):
        return [("Candidate and baseline", candidate)]
    return [("Candidate", candidate), ("Baseline", baseline)]


def _reasons(verdict: Verdict, left_out: list[Omission]) -> list[str]:
    """Return the sentences for the top: those that no rule below repeats, and the worst of the others."""
    repeated = {reason_of(result) for result in verdict.results}
    others = [reason for reason in verdict.reasons if reason not in repeated]
    kept = [
        *first_rows(others, 20, "reasons", left_out),
        *[reason for reason in verdict.reasons if reason in repeated][:_REASONS],
    ]
    hidden = len(verdict.reasons) - len(others) - _REASONS
    more = [f"and {count_text(hidden)} more, below"] if hidden > 0 else []
    return [shortened(reason, 600) for reason in kept] + more


def _result_counts(judgement: Judgement) -> str:
    counts = Counter(result.status for result in judgement.verdict.results)
    if not counts:
        return "No rule was evaluated"
    named = ", ".join(f"{counts[status]} {status}" for status in STATUS_ORDER if counts[status])
    return f"{len(judgement.verdict.results)} results: {named}"


def _change_counts(judgement: Judgement) -> tuple[tuple[str, str], ...] | None:
    if (changes := judgement.changes) is None:
        return None
    return (
        ("broken", count_text(changes.broken)),
        ("fixed", count_text(changes.fixed)),
        ("found by both", count_text(changes.both_found)),
        ("missed by both", count_text(changes.both_miss)),
    )


def _cards(
    extras: Extras, limits: PageLimits, crops: CropPictures | None, left_out: list[Omission]
) -> tuple[tuple[str, tuple[ChangeCard, ...]], ...] | None:
    if extras.changed is None:
        return None
    kept = spread(extras.changed, limits.changed)
    first_rows(
        kept,
        len(kept),
        "changed objects",
        left_out,
        total=max(extras.changed_total or 0, len(extras.changed)),
        there=len(extras.changed),
    )
    pictures, reasons = (crops.pictures, crops.reasons) if crops else ({}, {})
    return tuple(
        (
            meaning,
            tuple(
                change_card(
                    change,
                    pictures,
                    reasons,
                    url=change.url if change.url and is_followable(change.url) else "",
                )
                for change in kept
                if change.kind == kind
            ),
        )
        for kind, meaning in KINDS.items()
        if any(change.kind == kind for change in kept)
    )


def _cuts(extras: Extras, limits: PageLimits, left_out: list[Omission]) -> tuple[CutFigure, ...] | None:
    if extras.operating_points is None:
        return None
    return tuple(
        _cut_figure(row)
        for row in first_rows(
            extras.operating_points,
            limits.cuts,
            "operating points",
            left_out,
        )
    )


def _cut_figure(row: CutRow) -> CutFigure:
    return CutFigure(
        label="all labels" if row.label is None else shortened(row.label),
        goal=shortened(row.goal),
        confidence=number_text(row.confidence),
        baseline_confidence=number_text(row.baseline_confidence),
        precision=number_text(row.precision),
        recall=number_text(row.recall),
        f1=number_text(row.f1),
        support=count_text(row.ground_truth),
    )


def _trend(extras: Extras, usual: str, limits: PageLimits, left_out: list[Omission]) -> TrendFigures | None:
    if not extras.history:
        return None
    metric = extras.history_metric or usual
    # The last ones stay: what is left out is oldest.
    newest = list(reversed(first_rows(extras.history[::-1], limits.batches, "earlier batches", left_out)))
    points = [
        ChartPoint(
            shortened(batch.name, 20),
            batch.value,
            number_text(batch.value, metric),
            batch.low,
            batch.high,
            batch.status,
            new_model=place > 0 and batch.model != newest[place - 1].model,
            here=batch.here,
        )
        for place, batch in enumerate(newest)
    ]
    title = metric_title(metric)
    last = points[-1]
    return TrendFigures(
        metric=title,
        chart=trend_chart(
            points,
            alternative=f"{title} over {len(points)} batches; the last one, {last.name}, has {last.text}",
        ),
        rows=tuple(
            (
                shortened(batch.name) + (" (this batch)" if batch.here else ""),
                shortened(batch.model or ""),
                number_text(batch.value, metric),
                batch.status or "not judged",
                shortened(batch.at or ""),
            )
            for batch in newest
        ),
    )


def _notes(judgement: Judgement, extras: Extras) -> list[str]:
    """Return what is to be known of the numbers: notes of both measurements, and what the report could not do."""
    found = [
        f"{name}: {note['text']}"
        for name, side in (("Candidate", judgement.candidate), ("Baseline", judgement.baseline))
        if side is not None
        for note in side.notes
        if isinstance(note.get("text"), str)
    ]
    return [shortened(text, 600) for text in [*found, *extras.remarks]]
