"""Evaluate a candidate beside the model in use, on the same images, and say which is better.

Both calculations use the same IoU threshold and the same labels, so that their numbers can be compared. A number that cannot
be calculated (a model without predictions has no precision) is no verdict: the comparison says so instead.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_nucleus.operators.datasets import NucleusCreateDatasetOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator
from airflow_provider_nucleus.operators.uploads import NucleusUploadPredictionsOperator

ROLES = ("baseline", "candidate")


@dag(
    dag_id="nucleus_compare_models",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["nucleus", "example"],
    doc_md=__doc__,
    params={
        "dataset_name": Param("inference-batch", type="string"),
        "baseline": Param("detector-1", type="string", description="Reference id of the model in use"),
        "baseline_predictions": Param("", type="string", description="Its predictions, .jsonl or COCO .json"),
        "candidate": Param("detector-2", type="string", description="Reference id of the new model"),
        "candidate_predictions": Param("", type="string"),
        "ground_truth": Param(
            "", type="string", description="COCO ground truth; needed for COCO predictions only"
        ),
        "iou_threshold": Param(0.5, type="number", minimum=0, maximum=1),
    },
)
def nucleus_compare_models() -> None:
    """Evaluate two models side by side."""

    @task
    def compare(baseline: dict[str, Any], candidate: dict[str, Any]) -> dict[str, Any]:
        """Return the differences, candidate minus baseline, and a verdict on F1."""
        before, after = baseline["overall"], candidate["overall"]
        names = ("precision", "recall", "f1", "mean_iou")
        change = {
            name: None if before[name] is None or after[name] is None else after[name] - before[name]
            for name in names
        }
        if change["f1"] is None:
            verdict = "not comparable"
        else:
            verdict = "better" if change["f1"] > 0 else "worse" if change["f1"] < 0 else "equal"
        return {"verdict": verdict, "change": change, "iou_threshold": candidate["iou_threshold"]}

    dataset = NucleusCreateDatasetOperator(task_id="find_dataset", name="{{ params.dataset_name }}")
    metrics = []
    for role in ROLES:
        model = NucleusCreateModelOperator(task_id=f"{role}_model", reference_id=f"{{{{ params.{role} }}}}")
        predictions = NucleusUploadPredictionsOperator(
            task_id=f"{role}_predictions",
            dataset_id=dataset.output["dataset_id"],
            model_id=model.output["model_id"],
            source=f"{{{{ params.{role}_predictions }}}}",
            ground_truth="{{ params.ground_truth }}",
        )
        metric = NucleusCalculateMetricsOperator(
            task_id=f"{role}_metrics",
            dataset_id=dataset.output["dataset_id"],
            model_id=model.output["model_id"],
            iou_threshold="{{ params.iou_threshold }}",
        )
        predictions >> metric
        metrics.append(metric.output)
    compare(*metrics)


nucleus_compare_models()
