"""Gates of two mapped models, once failing and once skipping; and a gate whose baseline record is the state of an asset."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, Asset, Param
from airflow.sdk import task, task_group

from airflow_provider_nucleus.operators.gate import NucleusGateOperator

FLOOR = {"rules": [{"id": "f1-floor", "metric": "f1", "min": 0.6}]}
DROP = {
    "rules": [{"id": "f1-drop", "metric": "f1", "max_drop": 0.05}],
    "on_missing_baseline": "pass",
}
ACCEPTED = Asset("nucleus://accepted/street/detector")
PARAMS = {"folder": Param("", type="string")}


@task
def deploy(model: str) -> str:
    """Stand in for what must not happen to a rejected model."""
    return model


@task(trigger_rule="all_done")
def report(verdict: dict) -> str:
    """Stand in for a report: it runs whatever the gate said."""
    return verdict["verdict"]


for outcome in ("fail", "skip"):
    with DAG(f"gates_{outcome}", schedule=None, params=PARAMS, default_args={"retries": 2}):

        @task_group
        def of_model(model: str, outcome: str = outcome) -> None:
            """Judge a model, and deploy it."""
            gate = NucleusGateOperator(
                task_id="gate",
                candidate="{{ params.folder }}/{{ ti.map_index }}.json",
                policy=FLOOR,
                judgement="{{ params.folder }}/judgement.json",
                outcome=outcome,
            )
            gate >> deploy(model)
            report(gate.output)

        of_model.expand(model=["good", "bad"])

with DAG(
    "gate_remembers",
    schedule=None,
    params={**PARAMS, "candidate": Param("", type="string")},
    max_active_runs=1,
):
    NucleusGateOperator(
        task_id="gate",
        candidate="{{ params.folder }}/{{ params.candidate }}.json",
        policy=DROP,
        baseline_asset=ACCEPTED,
        confirm="auto",
        outlets=[ACCEPTED],
    )
