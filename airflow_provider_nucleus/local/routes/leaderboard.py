"""Routes of leaderboards (contract section 2.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.evaluations.reading.leaderboard import Ranking, f1_curves, ranking
from airflow_provider_nucleus.local.requests.evaluations import (
    F1CurveRequest,
    LeaderboardRequest,
    RankingRequest,
)
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import benchmarks, evaluations

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.catalog.evaluations import EvaluationRecord

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.post("leaderboard/ranking", body=RankingRequest, reads=True)
def rank(call: RouteCall, request: RankingRequest) -> Any:
    """Rank evaluations by a metric."""
    order = Ranking(
        metric=request.metric_type, confidence=request.confidence_threshold, collapse=request.collapse
    )
    return ranking(_evaluations(call, request), order, load=call.services.results.get)


@ROUTES.post("leaderboard/f1Curve", body=F1CurveRequest, reads=True)
def f1_curve(call: RouteCall, request: F1CurveRequest) -> Any:
    """Return F1 against confidence of the best models."""
    return f1_curves(_evaluations(call, request), top=request.top_n)


def _evaluations(call: RouteCall, request: LeaderboardRequest) -> list[EvaluationRecord]:
    with call.db.read() as cursor:
        named = dict.fromkeys(request.benchmark_ids)  # each once, however often it is named
        numbers = [benchmarks.find(cursor, benchmark_id).number for benchmark_id in named]
        found = evaluations.of_benchmarks(cursor, numbers)
    models = None if request.model_ids is None else set(request.model_ids)
    return [entry for entry in found if models is None or entry.model_id in models]
