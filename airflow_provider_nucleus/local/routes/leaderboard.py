"""Routes of leaderboards (contract section 2.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.evaluations.reading.leaderboard import (
    Ranking,
    f1_curves,
    ranking,
    read_collapse,
    read_metric,
)
from airflow_provider_nucleus.local.requests.fields import strings
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import benchmarks, evaluations

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import Call
    from airflow_provider_nucleus.local.store.catalog.evaluations import Evaluation

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.post("leaderboard/ranking")
def rank(call: Call) -> Any:
    """Rank evaluations by a metric."""
    body = call.snake_json()
    if body.get("scope") not in (None, "all", "mine"):
        raise BadRequestError("scope must be 'all' or 'mine'.")
    asked = Ranking(
        metric=read_metric(body.get("metric_type")),
        confidence=_confidence(body.get("confidence_threshold")),
        collapse=read_collapse(body.get("collapse")),
    )
    return ranking(_evaluations(call, body), asked, load=call.services.results.get)


@ROUTES.post("leaderboard/f1Curve")
def f1_curve(call: Call) -> Any:
    """Return F1 against confidence of the best models."""
    body = call.snake_json()
    top = body.get("top_n", 5)
    if not isinstance(top, int) or isinstance(top, bool) or top < 1:
        raise BadRequestError("top_n must be a whole number, 1 or more.")
    return f1_curves(_evaluations(call, body), top=top)


def _evaluations(call: Call, body: dict[str, Any]) -> list[Evaluation]:
    ids, models = strings(body, "benchmark_ids"), strings(body, "model_ids")
    if not ids:
        raise BadRequestError("benchmark_ids must name at least one benchmark.")
    with call.db.read() as cursor:
        numbers = [benchmarks.find(cursor, benchmark_id).number for benchmark_id in ids]
        found = evaluations.of_benchmarks(cursor, numbers)
    return [entry for entry in found if body.get("model_ids") is None or entry.model_id in models]


def _confidence(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise BadRequestError("confidence_threshold must be a number from 0 to 1.")
    return float(value)
