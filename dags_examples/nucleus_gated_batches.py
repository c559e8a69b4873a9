"""Judge models on each inference batch, and deploy what passes.

A run is about one batch, a day say. Its images become a slice of the dataset, every model's predictions on them are uploaded and counted,
and then candidates are judged by a policy, each against a baseline on the same images: a mapped group of gate, deployment and report. A gate that
stops its candidate leaves `deploy` of that candidate alone undone; its report is written all the same.

`models` lists what has predicted on the batch, `candidates` who is judged against whom, by reference ids::

    "models": [{"reference_id": "detector-7", "name": "detector", "predictions": "s3://batches/2026-11-23/detector-7.jsonl"}, ...],
    "candidates": [{"candidate": "detector-7", "baseline": "detector-6"}]
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import Param, dag, task, task_group

from airflow_provider_nucleus.operators.datasets import NucleusCreateDatasetOperator
from airflow_provider_nucleus.operators.gate import NucleusGateOperator
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator
from airflow_provider_nucleus.operators.report import NucleusReportOperator
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)

POLICY = {
    "name": "replace",
    "rules": [
        {"id": "f1-floor", "metric": "f1", "min": 0.35},
        {"id": "f1-no-worse", "metric": "f1", "max_drop": 0.03},
        {"id": "recall-no-worse", "metric": "recall", "max_drop": 0.03},
        {"id": "precision-floor", "metric": "precision", "min": 0.6, "severity": "warn"},
    ],
}


@dag(
    dag_id="nucleus_gated_batches",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["nucleus", "example"],
    doc_md=__doc__,
    params={
        "dataset_name": Param("inference-batches", type="string", description="Found by name or created"),
        "batch": Param("", type="string", description="Name of the batch: its slice is found by it or made"),
        "items": Param("", type="string", description="The images of the batch: .jsonl, or COCO .json"),
        "images": Param("", type="string", description="Folder of the image files; empty if they have URLs"),
        "ground_truth": Param("", type="string", description="Annotations: .jsonl, or COCO .json"),
        "models": Param([], type="array", description="reference_id, name and predictions of each model"),
        "candidates": Param([], type="array", description="Reference ids: candidate, and baseline"),
        "policy": Param(POLICY, type="object"),
        "by_metadata": Param([], type="array", description="Keys of item metadata to cut the numbers by"),
        "iou_threshold": Param(0.5, type="number", minimum=0, maximum=1),
        "folder": Param("", type="string", description="Folder or URL for measurements, judgements, reports"),
    },
)
def nucleus_gated_batches() -> None:
    """Upload a batch, count each model's predictions on it, judge the candidates, deploy what passes."""

    @task
    def models_of(params: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the models of the batch, each with what its numbers are cut by."""
        return [model | {"by_metadata": params["by_metadata"]} for model in params["models"]]

    @task
    def pairs_of(
        models: list[dict[str, Any]], metrics: list[dict[str, Any]], params: Any = None
    ) -> list[dict[str, Any]]:
        """Return the numbers of each candidate beside those of its baseline."""
        of = {model["reference_id"]: result for model, result in zip(models, metrics, strict=True)}
        return [
            {
                "candidate": of[pair["candidate"]],
                "baseline": of[pair["baseline"]],
                "name": pair["candidate"],
                "policy": params["policy"],
            }
            for pair in params["candidates"]
        ]

    @task_group
    def decide(
        candidate: dict[str, Any], baseline: dict[str, Any], policy: dict[str, Any], name: str
    ) -> None:
        """Judge one candidate, deploy it if it passes, report whatever came of it."""
        gate = NucleusGateOperator(
            task_id="gate",
            candidate=candidate,
            baseline=baseline,
            policy=policy,
            judgement="{{ params.folder }}/judgement.json.gz",
            outcome="skip",
        )

        @task
        def deploy(name: str) -> str:
            """Stand for whatever puts a model into production."""
            return name

        gate >> deploy(name)
        NucleusReportOperator(
            task_id="report",
            judgement=gate.output,
            folder="{{ params.folder }}/report",
            image_folder="{{ params.images }}",
        )

    dataset = NucleusCreateDatasetOperator(task_id="create_dataset", name="{{ params.dataset_name }}")
    dataset_id = dataset.output["dataset_id"]
    items = NucleusAppendItemsOperator(
        task_id="append_items",
        dataset_id=dataset_id,
        source="{{ params['items'] }}",
        image_folder="{{ params.images }}",
        slice_name="{{ params.batch }}",
    )
    truth = NucleusUploadAnnotationsOperator(
        task_id="upload_ground_truth", dataset_id=dataset_id, source="{{ params.ground_truth }}"
    )
    models = models_of()
    created = NucleusCreateModelOperator.partial(task_id="create_model").expand_kwargs(
        models.map(lambda model: {"reference_id": model["reference_id"], "name": model["name"]})
    )
    predictions = NucleusUploadPredictionsOperator.partial(
        task_id="upload_predictions", dataset_id=dataset_id
    ).expand_kwargs(
        created.output.zip(models).map(
            lambda both: {"model_id": both[0]["model_id"], "source": both[1]["predictions"]}
        )
    )
    metrics = NucleusCalculateMetricsOperator.partial(
        task_id="calculate_metrics",
        dataset_id=dataset_id,
        slice_id=items.output["slice_id"],
        iou_threshold="{{ params.iou_threshold }}",
        report="{{ params.folder }}/measurement.json.gz",
    ).expand_kwargs(
        created.output.zip(models).map(
            lambda both: {"model_id": both[0]["model_id"], "by_metadata": both[1]["by_metadata"]}
        )
    )
    items >> [truth, predictions] >> metrics
    decide.expand_kwargs(pairs_of(models=models, metrics=metrics.output))


nucleus_gated_batches()
