"""Models that are judged: by a gate alone, by a gate with a person behind it, and what other DAGs hear of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task, task_group

from airflow_provider_nucleus.assets.factories import accepted, annotated, evaluated
from airflow_provider_nucleus.operators.approval import NucleusApprovalOperator
from airflow_provider_nucleus.operators.gate import NucleusGateOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)

GATED = accepted(dataset="stack", model="gated")
APPROVED = accepted(dataset="stack", model="approved")
EVALUATED = evaluated(dataset="stack", model="detector")
TRUTH = annotated(dataset="stack")
POLICY = {"name": "stack", "rules": [{"id": "f1-least", "metric": "f1", "min": 0.6, "min_support": 0}]}


@task
def measure(value: Any, model: str = "detector") -> dict[str, Any]:
    """Return a measurement whose F1 is *value*."""
    return {
        "schema": "nucleus-measurement/1",
        "subject": {"model_name": f"{model} {value}", "dataset_name": "stack", "job_id": f"job_{value}"},
        "fingerprint": {"data": "dataset:stack"},
        "coverage": {"items": 10, "with_ground_truth": 10, "ground_truth": 100, "predictions": 100},
        "overall": {"values": {"f1": float(value)}, "ground_truth": 100, "items": 10},
    }


@task
def tell(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
    """Return what the events that started this run say."""
    return [dict(event.extra) for events in triggering_asset_events.values() for event in events]


@task
def deploy(value: Any) -> Any:
    """Deploy."""
    return value


PARAMS = {"value": Param(0.5), "fail_on": Param("error", type="string"), "batch": Param("", type="string")}

with DAG("gated", schedule=None, params=PARAMS):
    NucleusGateOperator(
        task_id="gate",
        candidate=measure("{{ params.value }}"),
        policy=POLICY,
        fail_on="{{ params.fail_on }}",
        partition_key="{{ params.batch }}",
        outcome="skip",
        outlets=[GATED],
    )

for name, asset in (("deploys_gated", GATED), ("deploys_approved", APPROVED)):
    with DAG(name, schedule=[asset]):
        tell()


@task
def values(params: Any = None) -> list[float]:
    """Return one value for each model."""
    return list(params["values"])


def approvals(name: str, patience: timedelta) -> DAG:
    """Return a DAG that judges many models and has people answer within *patience*."""

    @task_group
    def judged(value: Any) -> None:
        """Measure, judge, ask, deploy."""
        gate = NucleusGateOperator(
            task_id="gate",
            candidate=measure(value),
            policy=POLICY,
            outcome="skip",
            baseline_record="{{ params.record }}",
            judgement="{{ params.record }}.judgement.json",
        )
        approve = NucleusApprovalOperator(
            task_id="approve",
            judgement=gate.output,
            response_timeout=patience,
            trigger_rule="all_done",
            outlets=[APPROVED],
        )
        approve >> deploy(value)

    with DAG(
        name, schedule=None, params={"values": Param([], type="array"), "record": Param("", type="string")}
    ) as dag:
        judged.expand(value=values())
    return dag


with DAG("reconsidered", schedule=None, params={"file": Param("", type="string")}):

    @task
    def read(params: Any = None) -> float:
        """Return the value that is in the file now."""
        return float(Path(params["file"]).read_text())

    gate = NucleusGateOperator(task_id="gate", candidate=measure(read()), policy=POLICY, outcome="skip")
    NucleusApprovalOperator(task_id="approve", judgement=gate.output, trigger_rule="all_done")

asked = approvals("approvals", timedelta(minutes=10))
unanswered = approvals("unanswered", timedelta(seconds=5))

with DAG(
    "evaluated",
    schedule=None,
    params={"dataset_id": Param("", type="string"), "source": Param("", type="string")},
):
    rows: dict[str, Any] = {
        "dataset_id": "{{ params.dataset_id }}",
        "source": "{{ params.source }}",
        "asynchronous": False,
    }
    model = NucleusCreateModelOperator(task_id="model", name="stack", reference_id="stack-{{ run_id }}")
    truth = NucleusUploadAnnotationsOperator(
        task_id="truth", slice_id="slc_of_the_day", outlets=[TRUTH], **rows
    )
    predictions = NucleusUploadPredictionsOperator(
        task_id="predictions", model_id=model.output["model_id"], **rows
    )
    metrics = NucleusCalculateMetricsOperator(
        task_id="metrics",
        dataset_id="{{ params.dataset_id }}",
        model_id=model.output["model_id"],
        deferrable=True,
        poll_interval=1,
        outlets=[EVALUATED],
    )
    [truth, predictions] >> metrics
