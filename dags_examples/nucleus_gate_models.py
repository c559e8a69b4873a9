"""Judge several candidates against the champion on the same images, deploy those that pass, and make the best of them the champion.

Each candidate is an instance of a mapped task group: create, upload, calculate, gate. The gate skips itself where the policy stops a
model, and with it that model's `deploy` alone; the report of every candidate runs whatever the gate said. (A branch or a short circuit
would not hold inside a mapped group: on Airflow 3.3 the rejected model is deployed all the same.)

The champion is the model with the tag `champion` on the dataset; the first candidate that passes becomes it where there is none. A
promotion is taken back by a task `NucleusPromoteModelOperator(undo=...)` with the result of `promote`.

The dataset has its items and ground truth, from `nucleus_evaluate_inference_batch` for example. With numbers of the whole dataset, what
is small matters: raise `min_support`, or give the rules of the policy names of classes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException, Param, dag, task, task_group

from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.operators.datasets import NucleusCreateDatasetOperator
from airflow_provider_nucleus.operators.gate import NucleusGateOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator
from airflow_provider_nucleus.operators.promotion import NucleusPromoteModelOperator
from airflow_provider_nucleus.operators.uploads import NucleusUploadPredictionsOperator

POLICY = {
    "name": "champion-challenger",
    "on_missing_baseline": "pass",
    "rules": [
        {"id": "f1-floor", "metric": "f1", "min": 0.5},
        {"id": "f1-drop", "metric": "f1", "max_drop": 0.01},
        {"id": "recall-of-each-class", "metric": "recall", "scope": "per_label", "max_drop": 0.05},
    ],
}


@dag(
    dag_id="nucleus_gate_models",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["nucleus", "example"],
    doc_md=__doc__,
    params={
        "dataset_name": Param("inference-batch", type="string"),
        "candidates": Param(
            [{"reference_id": "detector-2", "predictions": "s3://bucket/detector-2.jsonl"}],
            type="array",
            description="Reference id and predictions of each",
        ),
        "policy": Param(POLICY, type=["object", "string"], description="Rules, or the path of a YAML file"),
        "folder": Param(
            "nucleus-judgements", type="string", description="Folder or URL for numbers and judgements"
        ),
    },
)
def nucleus_gate_models() -> None:
    """Judge, deploy, promote."""

    @task
    def list_candidates(params: dict[str, Any] | None = None) -> list[dict[str, str]]:
        """Return the candidates of this run."""
        return list((params or {})["candidates"])

    @task
    def find_champion(dataset_id: str) -> str:
        """Return the model that has the tag, among those with predictions on the dataset."""
        with NucleusHook() as nucleus:
            here = set(nucleus.dataset_model_runs(dataset_id))
            tagged = [model.id for model in nucleus.list_models() if "champion" in model.tags]
            found = [model_id for model_id in tagged if here.intersection(nucleus.model_runs(model_id))]
        if not found:
            raise AirflowSkipException(
                "No champion yet: candidates are held against the policy's absolute rules"
            )
        return found[0]

    @task
    def deploy(verdict: dict[str, Any]) -> str:
        """Stand in for whatever follows a pass."""
        return verdict["candidate"]["model_id"]

    @task(trigger_rule="all_done")
    def report(verdict: dict[str, Any]) -> str:
        """Stand in for a message to the team: it is sent whatever came of the gate."""
        return f"{verdict['verdict']}: {'; '.join(verdict['reasons']) or 'every rule was kept'}"

    @task(trigger_rule="all_done")
    def best_of(verdicts: Any) -> dict[str, Any]:
        """Return the verdict of the candidate with the highest F1 among those that passed."""
        # Of a group that was mapped over one candidate, Airflow gives the result itself.
        every = [verdicts] if isinstance(verdicts, dict) else list(verdicts or ())
        passed = [verdict for verdict in every if verdict["verdict"] == "pass"]
        if not passed:
            raise AirflowSkipException("No candidate passed: the champion stays")
        return max(passed, key=f1)

    dataset = NucleusCreateDatasetOperator(task_id="find_dataset", name="{{ params.dataset_name }}")
    champion = NucleusCalculateMetricsOperator(
        task_id="champion_metrics",
        dataset_id=dataset.output["dataset_id"],
        model_id=find_champion(dataset.output["dataset_id"]),
        report="{{ params.folder }}/champion.json.gz",
    )

    @task_group
    def judge(reference_id: str, predictions: str) -> Any:
        """Judge one candidate."""
        model = NucleusCreateModelOperator(task_id="model", reference_id=reference_id)
        upload = NucleusUploadPredictionsOperator(
            task_id="upload",
            dataset_id=dataset.output["dataset_id"],
            model_id=model.output["model_id"],
            source=predictions,
        )
        metrics = NucleusCalculateMetricsOperator(
            task_id="metrics",
            dataset_id=dataset.output["dataset_id"],
            model_id=model.output["model_id"],
            report="{{ params.folder }}/candidate.json.gz",
        )
        gate = NucleusGateOperator(
            task_id="gate",
            candidate=metrics.output,
            baseline=champion.output,
            policy="{{ params.policy if params.policy is string else params.policy | tojson }}",
            judgement="{{ params.folder }}/judgement.json.gz",
            outcome="skip",
            trigger_rule="none_failed",  # without a champion its metrics are skipped
        )
        upload >> metrics
        gate >> deploy(gate.output)
        report(gate.output)
        return gate.output

    verdicts = judge.expand_kwargs(list_candidates())
    NucleusPromoteModelOperator(task_id="promote", gate=best_of(verdicts))


def f1(verdict: dict[str, Any]) -> float:
    """Return the F1 of a verdict's candidate, as its rules saw it."""
    return next((one["value"] for one in verdict["results"] if one["metric"] == "f1"), 0.0)


nucleus_gate_models()
