"""Content of an asset event (`extra`): what it is about, its numbers and its verdict, small and JSON.

What must not be relaxed: one layout for all kinds (a member that does not apply is null), at most `MAX_EVENT_BYTES`, no number that
JSON cannot hold, and the key `airflow.dataquality.result` exactly as the data-quality provider of Airflow writes it, so that its
`require_quality()` works on models. Rows, labels and matches stay in the documents that `links` name.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.schema.texts import storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_nucleus.gating.measurement import Measurement, Subject
    from airflow_provider_nucleus.gating.verdict import Judgement, RuleStatus, Verdict

__all__ = [
    "EVENT_SCHEMA",
    "MAX_EVENT_BYTES",
    "QUALITY_RESULT",
    "judgement_event",
    "measurement_event",
    "quality_result",
    "upload_event",
]

EVENT_SCHEMA: Final = "nucleus-event/1"

MAX_EVENT_BYTES: Final = 8 * 1024
"""Largest content of an event, as JSON: it is stored with every event and travels to every run that one triggers."""

QUALITY_RESULT: Final = "airflow.dataquality.result"
"""Key under which Airflow's data-quality provider (`common.dataquality`) leaves the summary of a check."""

_WARN_WEIGHT: Final = 0.25
"""Weight of a warning in the score of that provider; a failure's is 1."""

_STATUS: Final[dict[RuleStatus, str]] = {
    "pass": "pass",
    "warn": "warn",
    "fail": "fail",
    "insufficient": "error",
    "missing": "error",
    "error": "error",
}
"""Status of a rule in the words of that provider: what could not be judged is its `error`, which counts as a failure does."""

_WORST_FIRST: Final = ("fail", "error", "warn", "pass")
_REASONS: Final = 5
_REASON_CHARS: Final = 300
_NAMES: Final = 40
_ROWS: Final = (
    "rows", "rejected", "duplicates", "sent", "processed", "ignored", "errored", "unaccounted", "error_rate",
)  # fmt: skip


def measurement_event(
    measurement: Measurement, *, links: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Return the content of the event that *measurement* was made; the verdict is null: nothing has judged it."""
    return _event(
        measurement.subject,
        numbers=measurement.overall.values,
        iou_threshold=measurement.iou_threshold,
        coverage=measurement.coverage.model_dump(mode="json"),
        links=links,
    )


def judgement_event(
    judgement: Judgement,
    *,
    links: Mapping[str, str | None] | None = None,
    decision: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of the event that *judgement* was given, and of the *decision* of a person about it, if there is one."""
    verdict = judgement.verdict
    candidate = judgement.candidate
    return _event(
        candidate.subject,
        numbers=candidate.overall.values,
        iou_threshold=candidate.iou_threshold,
        coverage=candidate.coverage.model_dump(mode="json"),
        verdict=verdict.status,
        stopped=verdict.stopped,
        reasons=verdict.reasons,
        decision=dict(decision) if decision else None,
        links=links,
        more={QUALITY_RESULT: quality_result(verdict, candidate.subject)},
    )


def upload_event(
    summary: Mapping[str, Any], *, subject: Subject, links: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Return the content of the event that rows were uploaded; *summary* is the result of the upload's task."""
    return _event(
        subject,
        rows={name: summary[name] for name in _ROWS if name in summary},
        links=links,
    )


def quality_result(verdict: Verdict, subject: Subject) -> dict[str, Any]:
    """Return a verdict as the data-quality provider summarizes a check: counts and names of rules, and a score from 0 to 1.

    A rule counts once, with the worst of its results that the verdict counts. The score is 1 when every
    rule passed; a rule that could not be judged counts as one that failed, a warning a quarter of it.
    """
    by_rule: dict[str, str] = {}
    for result in verdict.results:
        if not result.counted:
            continue
        found, before = _STATUS[result.status], by_rule.get(result.rule_id, "pass")
        by_rule[result.rule_id] = min(found, before, key=_WORST_FIRST.index)
    counts = {status: sum(one == status for one in by_rule.values()) for status in _WORST_FIRST}
    bad = counts["fail"] + counts["error"] + _WARN_WEIGHT * counts["warn"]
    return {
        "run_uid": subject.evaluation_id or subject.job_id or subject.model_run_id or "",
        "ruleset": verdict.policy,
        "table": subject.benchmark_name or subject.dataset_name or subject.benchmark_id or subject.dataset_id,
        "score": round(1 - bad / len(by_rule), 4) if by_rule else None,
        "passed": counts["pass"],
        "warned": counts["warn"],
        "failed": counts["fail"],
        "errored": counts["error"],
        "failed_rules": sorted(name for name, one in by_rule.items() if one in {"fail", "error"})[:_NAMES],
        "warned_rules": sorted(name for name, one in by_rule.items() if one == "warn")[:_NAMES],
    }


def _event(
    subject: Subject,
    *,
    numbers: Mapping[str, float | None] | None = None,
    iou_threshold: float | None = None,
    coverage: Mapping[str, Any] | None = None,
    verdict: str | None = None,
    stopped: bool | None = None,
    reasons: Iterable[str] = (),
    decision: Mapping[str, Any] | None = None,
    rows: Mapping[str, Any] | None = None,
    links: Mapping[str, str | None] | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    found = {
        "schema": EVENT_SCHEMA,
        "kind": None,
        "dataset": _named(subject.dataset_id, subject.dataset_name),
        "model": _named(subject.model_id, subject.model_name, run_id=subject.model_run_id),
        "slice": _named(subject.slice_id, subject.slice_name, query=subject.query),
        "benchmark": _named(subject.benchmark_id, subject.benchmark_name, version=subject.benchmark_version),
        "evaluation_id": subject.evaluation_id,
        "job_id": subject.job_id,
        "numbers": None if numbers is None else {name: _finite(value) for name, value in numbers.items()},
        "iou_threshold": iou_threshold,
        "coverage": None if coverage is None else dict(coverage),
        "rows": None if rows is None else dict(rows),
        "verdict": verdict,
        "stopped": stopped,
        "reasons": [str(reason)[:_REASON_CHARS] for reason in reasons][:_REASONS],
        "decision": None if decision is None else dict(decision),
        "links": {name: url for name, url in (links or {}).items() if url},
        "run": None,
    }
    return _small(storable(found | dict(more or {})))


def _named(object_id: str | None, name: str | None, **more: str | None) -> dict[str, Any] | None:
    """Return an object by id and name, None where neither they nor anything else of it is known."""
    found = {"id": object_id, "name": name, **more}
    return found if any(value is not None for value in found.values()) else None


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


def _small(event: dict[str, Any]) -> dict[str, Any]:
    """Return *event*, without its reasons, then without the numbers beyond the first, where it is too large."""
    most = len(event["numbers"] or ())
    while len(json.dumps(event, allow_nan=False).encode()) > MAX_EVENT_BYTES and (event["reasons"] or most):
        if event["reasons"]:
            event = event | {"reasons": event["reasons"][:-1]}
        else:
            most = most * 3 // 4
            event = event | {"numbers": dict(list(event["numbers"].items())[:most])}
    return event
