"""Calculate the metrics of several models anew, every night.

Ground truth is corrected over time and new predictions arrive; stored matches do not follow by themselves. One mapped task a
model; the last task logs which model leads.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_nucleus.operators.datasets import NucleusCreateDatasetOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator

log = logging.getLogger(__name__)


@dag(
    dag_id="nucleus_scheduled_reevaluation",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["nucleus", "example"],
    doc_md=__doc__,
    params={
        "dataset_name": Param("inference-batch", type="string"),
        "model_reference_ids": Param(["detector-1"], type="array", items={"type": "string"}),
        "iou_threshold": Param(0.5, type="number", minimum=0, maximum=1),
    },
)
def nucleus_scheduled_reevaluation() -> None:
    """Re-evaluate each model on the dataset."""

    @task
    def model_reference_ids(params: dict[str, Any]) -> list[str]:
        """Return the models to look at."""
        return list(params["model_reference_ids"])

    @task
    def calculation(model: dict[str, Any]) -> dict[str, str]:
        """Return the arguments of one mapped calculation."""
        return {"model_id": model["model_id"]}

    @task
    def leader(results: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the model with the highest F1; a model without an F1 cannot lead."""
        scored = [result for result in results if result["overall"]["f1"] is not None]
        for result in scored:
            log.info("Model %s: F1 %.4f", result["model_id"], result["overall"]["f1"])
        best = max(scored, key=lambda result: result["overall"]["f1"], default=None)
        return (
            {"model_id": best["model_id"], "f1": best["overall"]["f1"]}
            if best
            else {"model_id": None, "f1": None}
        )

    dataset = NucleusCreateDatasetOperator(task_id="find_dataset", name="{{ params.dataset_name }}")
    models = NucleusCreateModelOperator.partial(task_id="find_model").expand(
        reference_id=model_reference_ids()
    )
    metrics = NucleusCalculateMetricsOperator.partial(
        task_id="calculate_metrics",
        dataset_id=dataset.output["dataset_id"],
        iou_threshold="{{ params.iou_threshold }}",
    ).expand_kwargs(calculation.expand(model=models.output))
    leader(metrics.output)


nucleus_scheduled_reevaluation()
