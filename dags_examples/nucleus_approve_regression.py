"""Let a gate decide whether a model's newest numbers are good enough, and a person where it says no.

The numbers of a model on a data set, or on one batch of it, are held against a policy and against what was accepted before. A `pass` goes on by
itself. For anything else a person is asked, in Airflow's own list of required actions, with the differences and the links; without an
answer within a day the model is rejected, and what comes behind is skipped. Who decided what and why is in the baseline record.

Whoever wants to hear of accepted models schedules a DAG by the asset `nucleus://accepted/inference-batch/detector`; an example is
`nucleus_deploy_accepted`. The outlet is on the approval, which also lets a `pass` through: were it on the gate as well, a model that passed
would be announced twice.

Asking people needs Airflow 3.1. Below that a model that passes goes on, and one that does not fails the task `approve` with the reason.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_nucleus.assets.factories import accepted, evaluated
from airflow_provider_nucleus.operators.approval import NucleusApprovalOperator
from airflow_provider_nucleus.operators.datasets import NucleusCreateDatasetOperator
from airflow_provider_nucleus.operators.gate import NucleusGateOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator

NAMES = {"dataset": "inference-batch", "model": "detector"}
POLICY = {
    "name": "detector",
    "on_missing_baseline": "pass",
    "rules": [
        {"id": "f1-least", "metric": "f1", "min": 0.6, "min_support": 1},
        {"id": "f1-drop", "metric": "f1", "max_drop": 0.02, "against": "accepted", "min_support": 1},
    ],
}


@dag(
    dag_id="nucleus_approve_regression",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["nucleus", "example"],
    doc_md=__doc__,
    params={
        "dataset_name": Param("inference-batch", type="string"),
        "model_reference_id": Param("detector-1", type="string"),
        "slice_id": Param("", type="string", description="The batch; empty for the whole data set"),
        "folder": Param("", type="string", description="Where the evidence is kept: a path or a URL"),
    },
)
def nucleus_approve_regression() -> None:
    """Calculate, judge, ask, and deploy what was accepted."""

    @task
    def deploy(decision: dict[str, str]) -> str:
        """Take the model into use; here it only says why."""
        return f"{decision['decision']} ({decision['verdict']})"

    dataset = NucleusCreateDatasetOperator(task_id="find_dataset", name="{{ params.dataset_name }}")
    model = NucleusCreateModelOperator(task_id="find_model", reference_id="{{ params.model_reference_id }}")
    metrics = NucleusCalculateMetricsOperator(
        task_id="calculate_metrics",
        dataset_id=dataset.output["dataset_id"],
        model_id=model.output["model_id"],
        slice_id="{{ params.slice_id }}",
        report="{{ params.folder }}/measurement.json.gz",
        outlets=[evaluated(**NAMES)],
    )
    gate = NucleusGateOperator(
        task_id="gate",
        candidate=metrics.output,
        policy=POLICY,
        outcome="skip",
        judgement="{{ params.folder }}/judgement.json.gz",
        baseline_record="{{ params.folder }}/baseline.json",
        confirm="auto",
    )
    approve = NucleusApprovalOperator(
        task_id="approve",
        judgement=gate.output,
        response_timeout=timedelta(days=1),
        trigger_rule="all_done",
        outlets=[accepted(**NAMES)],
    )
    deploy(approve.output)


nucleus_approve_regression()
