"""Upload the predictions of a large batch shard by shard, then calculate the metrics once.

Each shard is a mapped task with a ledger of its own: when one fails, its retry sends what that shard still lacks and the
others are left alone. The last upload task merges the counts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_nucleus.operators.datasets import NucleusCreateDatasetOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator
from airflow_provider_nucleus.operators.uploads import NucleusUploadPredictionsOperator


@dag(
    dag_id="nucleus_mapped_shards",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["nucleus", "example"],
    doc_md=__doc__,
    params={
        "dataset_name": Param("inference-batch", type="string"),
        "model_reference_id": Param("detector-1", type="string"),
        "shards": Param("", type="string", description="Folder of the prediction shards, *.jsonl"),
        "iou_threshold": Param(0.5, type="number", minimum=0, maximum=1),
    },
)
def nucleus_mapped_shards() -> None:
    """Upload shards in parallel and evaluate."""

    @task
    def shards(params: dict[str, Any]) -> list[str]:
        """Return the paths of the shards, in order; a batch without any is an error."""
        found = sorted(
            str(path)
            for path in ObjectStoragePath(params["shards"]).iterdir()
            if path.name.endswith(".jsonl")
        )
        if not found:
            raise FileNotFoundError(f"no *.jsonl in {params['shards']!r}")
        return found

    @task
    def merged(uploads: list[dict[str, Any]]) -> dict[str, int]:
        """Return the counts of all shards together."""
        counts = ("rows", "processed", "ignored", "rejected", "errored")
        return {name: sum(upload[name] for upload in uploads) for name in counts}

    dataset = NucleusCreateDatasetOperator(task_id="find_dataset", name="{{ params.dataset_name }}")
    model = NucleusCreateModelOperator(task_id="find_model", reference_id="{{ params.model_reference_id }}")
    uploads = NucleusUploadPredictionsOperator.partial(
        task_id="upload_shard",
        dataset_id=dataset.output["dataset_id"],
        model_id=model.output["model_id"],
        max_active_tis_per_dagrun=4,
    ).expand(source=shards())
    metrics = NucleusCalculateMetricsOperator(
        task_id="calculate_metrics",
        dataset_id=dataset.output["dataset_id"],
        model_id=model.output["model_id"],
        iou_threshold="{{ params.iou_threshold }}",
    )
    merged(uploads.output) >> metrics


nucleus_mapped_shards()
