"""Ranking evaluations of one or more benchmarks by a number; an evaluation for which it is not defined has no rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.evaluation.readers.slicing import total_counts
from airflow_provider_nucleus.local.errors import ConflictError
from airflow_provider_nucleus.local.evaluations.reading.summary import THRESHOLD
from airflow_provider_nucleus.rates import f1_terms, precision_terms, quotient, recall_terms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.requests.evaluations import Collapse, Metric
    from airflow_provider_nucleus.local.store.catalog.evaluations import EvaluationRecord

__all__ = ["Ranking", "f1_curves", "ranking"]

_STORED: Final[Mapping[str, tuple[str, str]]] = {
    "MAP_50": ("mapSummary", "mapAt50"),
    "MAP_50_95": ("mapSummary", "mapAt5095"),
    "AP_SMALL": ("apBySize", "small"),
    "AP_MEDIUM": ("apBySize", "medium"),
    "AP_LARGE": ("apBySize", "large"),
}

_NAMED: Final = 5
"""Number of evaluations that an error names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The order of a leaderboard: a metric, for counts at a confidence, one entry per model or all of them."""

    metric: Metric
    confidence: float | None
    collapse: Collapse


def ranking(
    evaluations: Sequence[EvaluationRecord],
    order: Ranking,
    *,
    load: Callable[[EvaluationRecord], EvaluationResult],
) -> list[dict[str, Any]]:
    """Return the entries, best first; equal scores share a rank. What has no score has no entry.

    Raises `ConflictError` when that of an evaluation cannot be read.
    """
    scored: list[tuple[float, EvaluationRecord]] = []
    unread: list[EvaluationRecord] = []
    for evaluation in evaluations:
        try:
            score = _score(evaluation, order, load)
        except FileNotFoundError:
            unread.append(evaluation)
        else:
            scored += [] if score is None else [(score, evaluation)]
    _require_all_read(evaluations, unread)
    ordered = _best_first(scored, order.collapse)
    return [
        {**names(evaluation), "score": score, "rank": rank} for rank, score, evaluation in _ranks(ordered)
    ]


def f1_curves(evaluations: Sequence[EvaluationRecord], *, top: int) -> list[dict[str, Any]]:
    """Return F1 against confidence of the best evaluation of each model, best F1 first, at most `top`.

    Raises `ConflictError` when the curve of an evaluation cannot be read.
    """
    summaries = {entry.number: _summary(entry) for entry in evaluations}
    _require_all_read(
        evaluations, [entry for entry in evaluations if "f1_curve" not in summaries[entry.number]]
    )
    curves = {number: summary["f1_curve"] for number, summary in summaries.items()}
    scored = [
        (float(curves[entry.number]["best"]), entry)
        for entry in evaluations
        if curves[entry.number]["best"] is not None
    ]
    return [
        {
            **names(evaluation),
            "best_f1": score,
            "rank": rank,
            "points": [
                {"confidence_threshold": confidence, "score": value}
                for confidence, value in curves[evaluation.number]["points"]
                if value is not None
            ],
        }
        for rank, score, evaluation in _ranks(_best_first(scored, "bestPerModel")[:top])
    ]


def _require_all_read(evaluations: Sequence[EvaluationRecord], unread: Sequence[EvaluationRecord]) -> None:
    """Raise `ConflictError` rather than rank some of the evaluations as if they were all."""
    if not unread:
        return
    more = f" and {len(unread) - _NAMED} more" if len(unread) > _NAMED else ""
    raise ConflictError(
        f"{len(unread)} of the {len(evaluations)} evaluations to rank cannot be: their results are not in the data "
        f"directory, or were written by an older version ({', '.join(entry.id for entry in unread[:_NAMED])}{more}). "
        "Evaluate them again, delete them, or name the models to rank (model_ids)."
    )


def _summary(evaluation: EvaluationRecord) -> dict[str, Any]:
    assert evaluation.summary is not None, "only succeeded evaluations are ranked"
    summary: dict[str, Any] = orjson.loads(evaluation.summary)
    return summary


def _score(
    evaluation: EvaluationRecord, order: Ranking, load: Callable[[EvaluationRecord], EvaluationResult]
) -> float | None:
    if order.metric in _STORED:
        group, name = _STORED[order.metric]
        value = _summary(evaluation)[group][name]
        return None if value is None else float(value)
    if order.confidence is None:
        counts = _summary(evaluation)["totalCounts"]
        tp, fp, fn = counts["tp"], counts["fp"], counts["fn"]
    else:
        found = total_counts(load(evaluation).matches_above(order.confidence), THRESHOLD)
        tp, fp, fn = found.true_positives, found.false_positives, found.false_negatives
    if order.metric == "PRECISION":
        return quotient(*precision_terms(tp, tp + fp))
    if order.metric == "RECALL":
        return quotient(*recall_terms(tp, tp + fn))
    # As in curves: without ground truth there is no F1.
    return quotient(*f1_terms(tp, tp + fp, tp + fn)) if tp + fn else None


def _best_first(
    scored: list[tuple[float, EvaluationRecord]], collapse: Collapse
) -> list[tuple[float, EvaluationRecord]]:
    # Evaluations come newest first, and of equal ones the newest stays first.
    ordered = sorted(scored, key=lambda entry: -entry[0])
    if collapse == "allEvaluations":
        return ordered
    best: dict[str | None, tuple[float, EvaluationRecord]] = {}
    for entry in ordered:
        best.setdefault(entry[1].model_id, entry)
    return list(best.values())


def _ranks(ordered: list[tuple[float, EvaluationRecord]]) -> list[tuple[int, float, EvaluationRecord]]:
    result: list[tuple[int, float, EvaluationRecord]] = []
    for place, (score, evaluation) in enumerate(ordered, start=1):
        rank = result[-1][0] if result and result[-1][1] == score else place
        result.append((rank, score, evaluation))
    return result


def names(evaluation: EvaluationRecord) -> dict[str, Any]:
    """Return ids and names of the evaluation, run and model of an entry."""
    return {
        "evaluation_id": evaluation.id,
        "evaluation_name": evaluation.name,
        "model_run_id": evaluation.run_id,
        "model_run_name": evaluation.run_name,
        "model_id": evaluation.model_id,
        "model_name": evaluation.model_name,
        "model_version_major": None,
        "model_version_minor": None,
        "model_version_label": None,
        "parent_model_project_id": None,
    }
