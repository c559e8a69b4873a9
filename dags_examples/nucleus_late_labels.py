"""Evaluate a batch again when its ground truth arrives, hours or weeks after its predictions.

`nucleus_upload_labels` uploads the ground truth of one batch; its upload names the batch in the asset event. `nucleus_reevaluate_batches`
runs whenever that asset was updated, and calculates the numbers of those batches and of no others. Labels of several
batches that arrive while it is busy, or not yet picked up, are one run. Events that arrive while it is paused are dropped by Airflow:
trigger it by hand then, and it evaluates all batches.
"""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, Param, dag, task

from airflow_provider_nucleus.assets.factories import annotated
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.operators.datasets import NucleusCreateDatasetOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator
from airflow_provider_nucleus.operators.uploads import NucleusUploadAnnotationsOperator

DATASET = "inference-batch"
LABELS = annotated(dataset=DATASET)
COMMON: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 1,
    "tags": ["nucleus", "example"],
    "doc_md": __doc__,
}


@dag(
    dag_id="nucleus_upload_labels",
    schedule=None,
    params={
        "batch": Param("", type="string", description="Name of the batch: of its slice"),
        "ground_truth": Param("", type="string", description="Annotations: .jsonl, or COCO .json"),
    },
    **COMMON,
)
def nucleus_upload_labels() -> None:
    """Upload the ground truth of one batch, and say which batch it was."""

    @task
    def find_batch(dataset_id: str, batch: str) -> str:
        """Return the slice of that name. One that is not there is a name that was misspelt: nothing is uploaded."""
        slices = {one.name: one.id for one in NucleusHook().dataset_slices(dataset_id)}
        if batch not in slices:
            near = get_close_matches(batch, [name for name in slices if name]) or ["none like it"]
            raise AirflowFailException(
                f"There is no batch {batch!r} in {DATASET!r}; there is {', '.join(near)}."
            )
        return slices[batch]

    dataset = NucleusCreateDatasetOperator(task_id="find_dataset", name=DATASET)
    NucleusUploadAnnotationsOperator(
        task_id="upload_labels",
        dataset_id=dataset.output["dataset_id"],
        slice_id=find_batch(dataset.output["dataset_id"], "{{ params.batch }}"),
        source="{{ params.ground_truth }}",
        outlets=[LABELS],
    )


@dag(
    dag_id="nucleus_reevaluate_batches",
    schedule=[LABELS],
    params={
        "model_reference_id": Param("detector-1", type="string"),
        "iou_threshold": Param(0.5, type="number", minimum=0, maximum=1),
    },
    **COMMON,
)
def nucleus_reevaluate_batches() -> None:
    """Calculate the numbers of the batches whose ground truth has arrived."""

    @task
    def batches(
        dataset_id: str, triggering_asset_events: Any = None, triggering_dataset_events: Any = None
    ) -> list[str]:
        """Return the slices that the events name; all of the dataset where one names none, or the run was started by hand."""
        events = list(triggering_asset_events[LABELS]) if triggering_asset_events else []
        if triggering_dataset_events:  # Airflow 2
            events = list(triggering_dataset_events[LABELS.uri])
        named = [(event.extra or {}).get("slice") for event in events]
        if not named or not all(named):
            return [one.id for one in NucleusHook().dataset_slices(dataset_id)]
        return list(dict.fromkeys(one["id"] for one in named))

    dataset = NucleusCreateDatasetOperator(task_id="find_dataset", name=DATASET)
    model = NucleusCreateModelOperator(task_id="find_model", reference_id="{{ params.model_reference_id }}")
    # One after the other: each calculates the whole run, and reads the numbers of its batch.
    NucleusCalculateMetricsOperator.partial(
        task_id="calculate_metrics",
        dataset_id=dataset.output["dataset_id"],
        model_id=model.output["model_id"],
        iou_threshold="{{ params.iou_threshold }}",
        unannotated="leave_out",
        max_active_tis_per_dagrun=1,
    ).expand(slice_id=batches(dataset.output["dataset_id"]))


nucleus_upload_labels()
nucleus_reevaluate_batches()
