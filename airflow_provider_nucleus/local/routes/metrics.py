"""Routes that have predictions matched with the ground truth (contract sections 2.8 and 2.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.jobs.matching import start_matching
from airflow_provider_nucleus.local.requests.match_options import MatchRequest
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, models
from airflow_provider_nucleus.local.store.views import comparisons

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.post("dataset/{ds}/model/{m}/calculateEvaluationMetrics", body=MatchRequest)
def calculate_metrics(call: RouteCall, request: MatchRequest) -> Any:
    """Start the matching of a model's predictions on a dataset; its matches are the ones that queries read when it is done."""
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        run = comparisons.of_model(cursor, dataset, models.find(cursor, call.params["m"])).run
        job = start_matching(
            call.services,
            cursor,
            run,
            dataset_nos=[dataset.number],
            options=request.options,
            requested_by=call.requested_by,
        )
    return {**job.to_wire(), "model_run_id": run.id, "dataset_id": dataset.id}


@ROUTES.post("modelRun/{r}/commit", body=MatchRequest)
def commit(call: RouteCall, request: MatchRequest) -> Any:
    """Start the matching of a run on every dataset it has predictions on."""
    with call.db.write() as cursor:
        run = models.find_run(cursor, call.params["r"])
        numbers = comparisons.datasets_of(cursor, run)
        if not numbers:
            raise NotFoundError(
                f"Model run {run.id} has no predictions. Upload predictions before it is committed."
            )
        job = start_matching(
            call.services,
            cursor,
            run,
            dataset_nos=numbers,
            options=request.options,
            requested_by=call.requested_by,
        )
    return {**job.to_wire(), "model_run_id": run.id}
