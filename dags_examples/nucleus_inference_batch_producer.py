"""A stand-in for your inference job: says that a batch is ready, and where its files are.

Copy the last lines of `publish` to the end of the task that writes the predictions. The DAG
`nucleus_evaluate_inference_batch` starts by itself whenever this one has run.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import Asset, Param, dag, task

BATCH = Asset("inference_batch")


@dag(
    dag_id="nucleus_inference_batch_producer",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["nucleus", "example"],
    doc_md=__doc__,
    params={
        "dataset_name": Param("inference-batch", type="string"),
        "model_reference_id": Param("detector-1", type="string"),
        "batch": Param("", type="string"),
        "items": Param("", type="string"),
        "images": Param("", type="string"),
        "ground_truth": Param("", type="string"),
        "predictions": Param("", type="string"),
    },
)
def nucleus_inference_batch_producer() -> None:
    """Publish one batch."""

    @task(outlets=[BATCH])
    def publish(params: dict[str, Any], outlet_events: Any = None) -> None:
        """Attach what was made to the asset event; an event's extra is small, the files stay where they are."""
        outlet_events[BATCH].extra = {name: value for name, value in params.items() if value}

    publish()


nucleus_inference_batch_producer()
