"""Evaluations on benchmarks through real Airflow: in the worker, deferred, by sensor, failing with the server's reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.airflow.harness import connection_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAG = """
    from airflow.providers.common.compat.sdk import dag
    from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
    from airflow_provider_nucleus.sensors.evaluation import NucleusEvaluationSensor

    @dag(dag_id="evaluations", schedule=None, params={
        "dataset_id": "", "model_id": "", "run_id": "", "benchmark": "", "report": ""
    })
    def evaluations():
        shared = {"benchmark": "{{ params.benchmark }}", "poll_interval": 0.1}
        first = NucleusEvaluateModelOperator(
            task_id="first", model_id="{{ params.model_id }}", copy_from_run="{{ params.run_id }}",
            dataset_id="{{ params.dataset_id }}", report="{{ params.report }}", deferrable=False, **shared,
        )
        deferred = NucleusEvaluateModelOperator(
            task_id="deferred", model_run_id="{{ params.run_id }}", iou_threshold="0.9", deferrable=True,
            rollup_groups=[{"class_name": "vehicle", "labels": ["car", "van"]}], options={"max_detections": 300},
            exclusion_rules=[{"type": "labels", "scope": "annotation", "target": "prediction", "labels": ["dog"]}],
            **shared,
        )
        uploaded = NucleusEvaluateModelOperator(
            task_id="uploaded", model_id="{{ params.model_id }}", dataset_id="{{ params.dataset_id }}", **shared,
        )
        first >> deferred >> uploaded
        for deferrable in (False, True):
            NucleusEvaluationSensor(
                task_id=f"wait_{deferrable}", evaluation_id="{{ ti.xcom_pull('first')['evaluation_id'] }}",
                deferrable=deferrable, poke_interval=0.1,
            ).set_upstream(first)

    evaluations()
"""


class Server:
    """Plain HTTP to the embedded Nucleus."""

    def __init__(self, nucleus: Any) -> None:
        self.url, self.key = nucleus.url, nucleus.api_key

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, f"{self.url}/{path}", json=body, auth=(self.key, ""), timeout=60)
        assert answer.ok, answer.text
        return answer.json()


def box(label: str, x: float, name: str, **more: Any) -> dict[str, Any]:
    geometry = {"x": x, "y": 0, "width": 10, "height": 10}
    return {
        "type": "box",
        "label": label,
        "reference_id": "a",
        "annotation_id": name,
        "geometry": geometry,
    } | more


@pytest.fixture
def batch(nucleus: Any, request: pytest.FixtureRequest) -> dict[str, str]:
    """Two cars, one found exactly and one as a van, and a false alarm on an item without ground truth; returns the ids."""
    server = Server(nucleus)
    name = request.node.name
    dataset = server("POST", "dataset/create", {"name": name})["dataset_id"]
    items = [{"reference_id": item, "image_url": f"s3://b/{item}.jpg", "metadata": {}} for item in ("a", "b")]
    server("POST", f"dataset/{dataset}/append", {"items": items, "update": False})
    truth = [box("car", 0, "1"), box("car", 100, "2")]
    server("POST", f"dataset/{dataset}/annotate", {"annotations": truth, "update": False})
    model = server("POST", "models/add", {"name": name, "reference_id": name, "metadata": {}})["model_id"]
    found = [
        box("car", 0, "1", confidence=0.9), box("van", 100, "2", confidence=0.8), box("dog", 300, "3", confidence=0.7),
        box("car", 0, "4", confidence=0.6, reference_id="b"),
    ]  # fmt: skip
    run = server(
        "POST", f"dataset/{dataset}/model/{model}/uploadPredictions", {"annotations": found, "update": False}
    )
    return {"dataset_id": dataset, "model_id": model, "run_id": run["model_run_id"], "benchmark": name}


def test_a_model_is_evaluated_in_the_worker_and_deferred(
    run_dag: Callable[..., Any], batch: dict[str, str], tmp_path: Path
) -> None:
    """The benchmark is made once and found again; both ways return the chart summary; the sensors see the evaluation."""
    report = tmp_path / "report.json"

    run = run_dag(DAG, "evaluations", conf=batch | {"report": str(report)})

    assert run.state == "success", run.log[-6000:]
    first, deferred = run.tasks["first"].value, run.tasks["deferred"].value
    assert {key: first["counts"][key] for key in ("tp", "fp", "fn")} == {"tp": 1, "fp": 2, "fn": 1}
    assert first["map"]["map_at50"] == pytest.approx(51 / 101)
    assert first["per_class_ap"] == {"car": pytest.approx(51 / 101)}
    assert (first["tide"]["classification"], first["ap_by_size"]["large"]) == (1, None)
    assert {key: deferred["counts"][key] for key in ("tp", "fp", "fn")} == {"tp": 2, "fp": 0, "fn": 0}
    assert deferred["excluded"]["predictionsDropped"] == 1
    assert deferred["map"]["map_at5095"] == 1.0
    assert (first["options"].get("max_detections"), deferred["options"]["max_detections"]) == (None, 300)
    # What the model sees on an item without ground truth is in no number: result and log say so.
    (note,) = deferred["notes"]
    assert (note["note"], note["count"]) == ("without_ground_truth", 1)
    assert deferred["excluded"]["predictionsOnItemsWithoutGroundTruth"] == 1
    assert note["text"] in run.log
    assert (first["undefined"]["ap_large"], deferred["undefined"].get("map_at50")) == (
        "no ground truth of this size",
        None,
    )
    uploaded = run.tasks["uploaded"].value
    assert (uploaded["model_run_id"], uploaded["counts"]) == (batch["run_id"], first["counts"])
    assert (deferred["model_id"], deferred["model_run_id"]) == (None, batch["run_id"])
    assert deferred["benchmark_id"] == first["benchmark_id"]
    assert json.loads(report.read_text())["details"]["charts"]["computed_iou_ranges"][0] == 0.5
    for name in ("wait_False", "wait_True"):
        assert run.tasks[name].value["evaluation_id"] == first["evaluation_id"]
        assert run.tasks[name].value["status"] == "succeeded"


FAILING = """
    from airflow.providers.common.compat.sdk import dag
    from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
    from airflow_provider_nucleus.sensors.evaluation import NucleusEvaluationSensor

    @dag(dag_id="failing", schedule=None, params={"model_id": "", "cancelled": "", "dataset_id": ""})
    def failing():
        for deferrable in (False, True):
            NucleusEvaluationSensor(
                task_id=f"cancelled_{deferrable}", evaluation_id="{{ params.cancelled }}", deferrable=deferrable,
                poke_interval=0.1,
            )
        NucleusEvaluateModelOperator(
            task_id="nothing_to_make_it_of", model_id="{{ params.model_id }}", benchmark="nobody made this"
        )
        NucleusEvaluateModelOperator(task_id="two_anchors", model_id="a", model_run_id="b", benchmark_id="c")

    failing()
"""


def test_what_is_not_a_success_fails_with_the_reason(
    run_dag: Callable[..., Any], nucleus: Any, batch: dict[str, str]
) -> None:
    """A cancelled evaluation fails its sensor both ways; arguments that contradict each other are named."""
    server = Server(nucleus)
    cancelled = _cancelled_evaluation(server, batch)

    run = run_dag(FAILING, "failing", conf={"model_id": batch["model_id"], "cancelled": cancelled})

    assert {task.state for task in run.tasks.values()} == {"failed"}
    assert run.log.count(f"Evaluation {cancelled} was cancelled") >= 2
    assert "There is no ready benchmark called 'nobody made this'" in run.log
    assert "give exactly one of model_id and model_run_id" in run.log


def _cancelled_evaluation(server: Server, batch: dict[str, str]) -> str:
    """Return an evaluation that was cancelled before it could end; a fast one is tried again."""
    made = server("POST", "benchmarks", {"name": "to cancel", "dataset_id": batch["dataset_id"]})
    while server("GET", f"job/{made['job_id']}")["status"] == "Running":
        pass
    for _ in range(100):
        body = {"model_run_id": batch["run_id"]}
        evaluation = server("POST", f"benchmarks/{made['benchmark_id']}/evaluationsV2", body)["evaluation_id"]
        answer = requests.post(
            f"{server.url}/evaluationsV2/{evaluation}/cancel", json={}, auth=(server.key, ""), timeout=60
        )
        if answer.ok:
            return str(evaluation)
    raise AssertionError("no evaluation was slow enough to be cancelled")


ENDINGS = """
    from airflow.providers.common.compat.sdk import dag
    from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator

    @dag(dag_id="endings", schedule=None, params={"model_id": "", "benchmark_id": ""})
    def endings():
        for deferrable in (False, True):
            NucleusEvaluateModelOperator(
                task_id=f"evaluate_{deferrable}", model_id="{{ params.model_id }}",
                benchmark_id="{{ params.benchmark_id }}", deferrable=deferrable, poll_interval=0.1,
            )

    endings()
"""


def test_an_evaluation_that_fails_fails_its_task(
    run_dag: Callable[..., Any], batch: dict[str, str], tmp_path: Path
) -> None:
    """The server's error message is in the log of the task, waiting in the worker or deferred."""
    from airflow_provider_nucleus.local.testing import LocalNucleus

    with LocalNucleus(tmp_path / "data") as broken:
        server = Server(broken)
        dataset = server("POST", "dataset/create", {"name": "d"})["dataset_id"]
        items = [{"reference_id": "a", "image_url": "s3://b/a.jpg", "metadata": {}}]
        server("POST", f"dataset/{dataset}/append", {"items": items, "update": False})
        server("POST", f"dataset/{dataset}/annotate", {"annotations": [box("car", 0, "1")], "update": False})
        model = server("POST", "models/add", {"name": "m", "reference_id": "m", "metadata": {}})["model_id"]
        made = server("POST", "benchmarks", {"name": "b", "dataset_id": dataset})
        while server("GET", f"job/{made['job_id']}")["status"] == "Running":
            pass
        # The result cannot be written where a file is in the way.
        (broken.data_dir / "evaluations").write_text("in the way")
        connection = connection_json(endpoint=broken.url, api_key=broken.api_key)

        run = run_dag(
            ENDINGS,
            "endings",
            conf={"model_id": model, "benchmark_id": made["benchmark_id"]},
            connections={"nucleus_default": connection},
        )

    assert {task.state for task in run.tasks.values()} == {"failed"}
    assert run.log.count("FileExistsError") >= 2
