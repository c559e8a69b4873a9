"""Evaluate a model after each inference batch.

The DAG runs whenever the producer of a batch updates the asset `inference_batch`. What to evaluate comes from the extra of
that asset event, for example::

    outlet_events[BATCH].extra = {
        "model_reference_id": "detector-2026-11-23",
        "predictions": "s3://batches/2026-11-23/predictions.jsonl",
        ...
    }

and what the event does not say comes from the DAG's params, so that the same DAG can be started by hand. Files are JSONL in
Nucleus' own format or COCO JSON; which of the two is detected.

The dataset grows from batch to batch. The images of this batch are kept apart as a slice, and the numbers are those of the slice:
its name is `batch`, of the event or the params, and else that of the run.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import Asset, ObjectStoragePath, Param, dag, task

from airflow_provider_nucleus.operators.datasets import NucleusCreateDatasetOperator
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)

BATCH = Asset("inference_batch")
SOURCES = ("items", "ground_truth", "predictions")


@dag(
    dag_id="nucleus_evaluate_inference_batch",
    schedule=[BATCH],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["nucleus", "example"],
    doc_md=__doc__,
    params={
        "dataset_name": Param("inference-batch", type="string", description="Found by name or created"),
        "batch": Param(
            "", type="string", description="Name of the batch, a day for example; empty for that of the run"
        ),
        "model_name": Param("detector", type="string"),
        "model_reference_id": Param(
            "detector-1", type="string", description="Your own id of the model version"
        ),
        "items": Param("", type="string", description="The images of the batch: .jsonl, or COCO .json"),
        "images": Param("", type="string", description="Folder of the image files; empty if they have URLs"),
        "ground_truth": Param(
            "", type="string", description="Annotations: .jsonl, or COCO .json; empty if they come later"
        ),
        "predictions": Param("", type="string", description="Predictions: .jsonl, or COCO results .json"),
        "iou_threshold": Param(0.5, type="number", minimum=0, maximum=1),
        "report": Param(
            "", type="string", description="Where to write the metrics as JSON; empty for nowhere"
        ),
    },
)
def nucleus_evaluate_inference_batch() -> None:
    """Upload a batch's images, ground truth and predictions, then have the metrics calculated."""

    @task
    def describe_batch(
        params: dict[str, Any], run_id: Any = None, triggering_asset_events: Any = None
    ) -> dict[str, Any]:
        """Return what to evaluate: the params, overlaid with what the asset events say.

        Batches that arrive while a run is busy start the next run together. Their files are evaluated together, which is
        possible for one model on one dataset; anything else fails here rather than leave a batch out.
        """
        batch = dict(params)
        events = list(triggering_asset_events[BATCH]) if triggering_asset_events else []
        for name in params:
            values = list(dict.fromkeys(event.extra[name] for event in events if name in (event.extra or {})))
            if name == "batch" and len(values) > 1:
                values = [" and ".join(values)]
            if len(values) > 1 and name not in SOURCES:
                raise ValueError(f"{len(events)} batches started this run with different {name}: {values}")
            if values:
                batch[name] = values if len(values) > 1 else values[0]
        # COCO results refer to the ids of their own ground truth: each file of predictions has one at its place.
        said = [{**params, **(event.extra or {})} for event in events] or [params]
        pairs = list(dict.fromkeys((one["predictions"], one["ground_truth"]) for one in said))
        batch["predictions"] = [one for one, _ in pairs] if len(pairs) > 1 else pairs[0][0]
        batch["truth_of_predictions"] = [one for _, one in pairs] if len(pairs) > 1 else pairs[0][1]
        batch["batch"] = batch.get("batch") or run_id or ""
        # Labels may come later (`nucleus_late_labels`): until then there are none, which is not an error.
        batch["ground_truth"] = batch["ground_truth"] or []
        # The metrics task returns what fits an XCom; its own report has every label, and every match.
        batch["metrics_report"] = f"{batch['report']}.measurement.json" if batch["report"] else ""
        return batch

    @task
    def write_report(batch: dict[str, Any], results: dict[str, Any]) -> str:
        """Put the results of all tasks into one JSON file and return its path."""
        if batch["report"]:
            with ObjectStoragePath(batch["metrics_report"]).open() as file:
                results["measurement"] = json.load(file)
            with ObjectStoragePath(batch["report"]).open("w") as file:
                json.dump({"batch": batch, **results}, file, indent=2)
        return batch["report"]

    batch = describe_batch()
    dataset = NucleusCreateDatasetOperator(task_id="create_dataset", name=batch["dataset_name"])
    dataset_id = dataset.output["dataset_id"]
    items = NucleusAppendItemsOperator(
        task_id="append_items",
        dataset_id=dataset_id,
        source=batch["items"],
        image_folder=batch["images"],
        slice_name=batch["batch"],
    )
    truth = NucleusUploadAnnotationsOperator(
        task_id="upload_ground_truth", dataset_id=dataset_id, source=batch["ground_truth"]
    )
    model = NucleusCreateModelOperator(
        task_id="create_model", reference_id=batch["model_reference_id"], name=batch["model_name"]
    )
    predictions = NucleusUploadPredictionsOperator(
        task_id="upload_predictions",
        dataset_id=dataset_id,
        model_id=model.output["model_id"],
        source=batch["predictions"],
        ground_truth=batch["truth_of_predictions"],
    )
    metrics = NucleusCalculateMetricsOperator(
        task_id="calculate_metrics",
        dataset_id=dataset_id,
        model_id=model.output["model_id"],
        slice_id=items.output["slice_id"],
        iou_threshold=batch["iou_threshold"],
        report=batch["metrics_report"],
    )
    items >> [truth, predictions] >> metrics
    write_report(
        batch,
        {
            "dataset": dataset.output,
            "model": model.output,
            "items": items.output,
            "ground_truth": truth.output,
            "predictions": predictions.output,
            "metrics": metrics.output,
        },
    )


nucleus_evaluate_inference_batch()
