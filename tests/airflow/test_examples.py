"""Every example DAG runs in real Airflow against the embedded Nucleus."""

from __future__ import annotations

import json
import runpy
from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.airflow.batches import make_batch
from tests.airflow.days import make_day, numbers
from tests.airflow.harness import REPOSITORY
from tests.shared_data import shared_data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXAMPLES = REPOSITORY / "dags_examples"


@pytest.mark.parametrize("form", ["jsonl", "coco"])
@pytest.mark.parametrize("deferrable", ["False", "True"])
def test_evaluate_inference_batch(
    run_dag: Callable[..., Any], nucleus: Any, tmp_path: Path, form: str, deferrable: str
) -> None:
    """The whole pipeline gives the hand-counted numbers, from both formats, waiting and deferred."""
    batch = make_batch(tmp_path / "batch")
    coco = form == "coco"
    report = tmp_path / "report.json"
    name = f"batch {form} {deferrable}"
    run = run_dag(
        EXAMPLES / "nucleus_evaluate_inference_batch.py",
        "nucleus_evaluate_inference_batch",
        conf={
            "dataset_name": name,
            "model_name": "detector",
            "model_reference_id": name,
            "items": str(batch.coco if coco else batch.items),
            "images": str(batch.folder),
            "ground_truth": str(batch.coco if coco else batch.ground_truth),
            "predictions": str(batch.coco_results if coco else batch.predictions),
            "report": str(report),
        },
        env={"AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": deferrable},
    )

    assert run.state == "success", run.log[-6000:]
    metrics = run.tasks["calculate_metrics"].value
    assert tuple(metrics["overall"][key] for key in ("tp", "fp", "fn")) == (2, 2, 1)
    assert (metrics["overall"]["precision"], pytest.approx(metrics["overall"]["recall"])) == (0.5, 2 / 3)
    assert tuple(metrics["per_label"]["car"][key] for key in ("tp", "fp", "fn")) == (1, 1, 1)
    assert metrics["iou_threshold"] == 0.5
    assert run.tasks["append_items"].value["processed"] == 2
    assert run.tasks["upload_ground_truth"].value["processed"] == 3
    assert run.tasks["upload_predictions"].value["processed"] == 4
    written = json.loads(report.read_text())
    assert metrics == written["metrics"]
    assert metrics["measurement"] == f"{report}.measurement.json"
    assert written["measurement"]["overall"]["values"]["tp"] == 2
    assert (metrics["slice_id"], metrics["items"]) == (run.tasks["append_items"].value["slice_id"], 2)
    assert_links(run)
    (task,) = requested_by(nucleus, metrics["dataset_id"])
    assert (task["dag_id"], task["task_id"]) == ("nucleus_evaluate_inference_batch", "calculate_metrics")
    assert task["run_id"].startswith("manual__")
    assert "map_index" not in task


@pytest.mark.parametrize("events", [None, {}], ids=["none", "empty"])
def test_a_batch_without_events_is_what_the_params_say(events: Any) -> None:
    """Started by hand: the asset is not looked up in an empty dictionary, for on Airflow 3.0 and 3.1 it cannot be hashed."""
    variables = runpy.run_path(str(EXAMPLES / "nucleus_evaluate_inference_batch.py"))
    describe = variables["nucleus_evaluate_inference_batch"]().get_task("describe_batch").python_callable
    params = {name: name for name in ("predictions", "ground_truth", "report")}
    describe.__globals__["BATCH"] = []  # as little hashable as an Asset there

    assert describe(params, triggering_asset_events=events).items() >= params.items()


def assert_links(run: Any) -> None:
    """Each task links to its object, deferred or not."""
    dataset, model = (
        run.tasks["create_dataset"].value["dataset_id"],
        run.tasks["create_model"].value["model_id"],
    )
    upload, metrics = run.tasks["upload_predictions"].xcoms, run.tasks["calculate_metrics"].xcoms

    assert run.tasks["create_dataset"].xcoms["_link_NucleusDatasetLink"].endswith(f"/dataset/{dataset}")
    assert run.tasks["create_model"].xcoms["_link_NucleusModelLink"].endswith(f"/model/{model}")
    assert upload["_link_NucleusJobLink"].endswith(f"/job/{upload['return_value']['jobs'][-1]}")
    link = metrics["_link_NucleusEvaluationLink"]
    job_id = metrics["return_value"]["job_id"]
    assert link.endswith(f"/dataset/{dataset}/model/{model}/evaluation?iou=0.5&calculation={job_id}")


def requested_by(nucleus: Any, dataset_id: str) -> list[dict[str, str]]:
    """Return what the server knows of the tasks that asked for the calculations on a dataset."""
    root = nucleus.url.removesuffix("/v1/nucleus")
    answer = requests.get(
        f"{root}/ui/api/datasets/{dataset_id}/trend", auth=(nucleus.api_key, ""), timeout=60
    )
    series = answer.json()["series"]
    return [
        point["requested_by"] for each in series if each["kind"] == "calculation" for point in each["points"]
    ]


@pytest.mark.skipif(
    version("apache-airflow").startswith("3.0."),
    reason="the test run of Airflow 3.0 takes an asset that no scheduler has seen for inactive; tests/stack/test_examples.py runs it",
)
def test_producer(run_dag: Callable[..., Any]) -> None:
    """The stand-in for an inference job publishes its batch."""
    conf = {"model_reference_id": "m", "predictions": "p.jsonl"}
    run = run_dag(
        EXAMPLES / "nucleus_inference_batch_producer.py", "nucleus_inference_batch_producer", conf=conf
    )

    assert run.state == "success", run.log[-6000:]


@pytest.fixture
def evaluated(run_dag: Callable[..., Any], tmp_path: Path) -> tuple[str, Any]:
    """A dataset with two images, its ground truth and one evaluated model, made through the first example."""
    batch = make_batch(tmp_path / "batch")
    name = f"evaluated {tmp_path.name}"
    conf = {
        "dataset_name": name,
        "model_reference_id": f"{name} 1",
        "items": str(batch.items),
        "images": str(batch.folder),
        "ground_truth": str(batch.ground_truth),
        "predictions": str(batch.predictions),
    }
    run = run_dag(
        EXAMPLES / "nucleus_evaluate_inference_batch.py", "nucleus_evaluate_inference_batch", conf=conf
    )
    assert run.state == "success", run.log[-6000:]
    return name, batch


def test_mapped_shards(run_dag: Callable[..., Any], evaluated: Any, tmp_path: Path) -> None:
    """Each shard is a task of its own with a readable label, the counts are merged, and the metrics are of the whole."""
    name, batch = evaluated
    shards = tmp_path / "shards"
    shards.mkdir()
    for number, line in enumerate(batch.predictions.read_text().splitlines()):
        (shards / f"part-{number}.jsonl").write_text(line + "\n")
    run = run_dag(
        EXAMPLES / "nucleus_mapped_shards.py",
        "nucleus_mapped_shards",
        conf={"dataset_name": name, "model_reference_id": f"{name} 2", "shards": str(shards)},
    )

    assert run.state == "success", run.log[-6000:]
    mapped = [task for key, task in run.tasks.items() if key.startswith("upload_shard[")]
    assert [f"shards/part-{number}.jsonl" for number in range(4)] == sorted(task.label for task in mapped)
    assert run.tasks["merged"].value == {"rows": 4, "processed": 4, "ignored": 0, "rejected": 0, "errored": 0}
    assert tuple(run.tasks["calculate_metrics"].value["overall"][key] for key in ("tp", "fp", "fn")) == (
        2,
        2,
        1,
    )


def test_scheduled_reevaluation(run_dag: Callable[..., Any], evaluated: Any) -> None:
    """Models are found by reference id, evaluated in mapped tasks, and the leader is named."""
    name, _ = evaluated
    run = run_dag(
        EXAMPLES / "nucleus_scheduled_reevaluation.py",
        "nucleus_scheduled_reevaluation",
        conf={"dataset_name": name, "model_reference_ids": [f"{name} 1"], "iou_threshold": 0.7},
    )

    assert run.state == "success", run.log[-6000:]
    # At IoU 0.7 the van's box, which overlaps by two thirds, is no longer a hit.
    assert pytest.approx(2 / 7) == run.tasks["leader"].value["f1"]
    assert run.tasks["leader"].value["model_id"] == run.tasks["find_model[0]"].value["model_id"]
    assert f"{name} 1" == run.tasks["find_model[0]"].label


def test_compare_models(run_dag: Callable[..., Any], evaluated: Any, tmp_path: Path) -> None:
    """The candidate with fewer false alarms is better, by the right amount."""
    name, batch = evaluated
    better = tmp_path / "better.jsonl"
    better.write_text("".join(line + "\n" for line in batch.predictions.read_text().splitlines()[:3]))
    run = run_dag(
        EXAMPLES / "nucleus_compare_models.py",
        "nucleus_compare_models",
        conf={
            "dataset_name": name,
            "baseline": f"{name} 1",
            "baseline_predictions": str(batch.predictions),
            "candidate": f"{name} 3",
            "candidate_predictions": str(better),
        },
    )

    assert run.state == "success", run.log[-6000:]
    compared = run.tasks["compare"].value
    assert compared["verdict"] == "better"
    assert pytest.approx(4 / 6 - 4 / 7) == compared["change"]["f1"]
    # The baseline's rows were there already: they are ignored, not doubled.
    assert run.tasks["baseline_predictions"].value["ignored"] == 4


def test_gate_models(run_dag: Callable[..., Any], evaluated: Any, tmp_path: Path) -> None:
    """The better candidate is deployed and becomes the champion, the worse one is neither, and both have their report.

    In a second run the champion is what candidates are held against.
    """
    name, batch = evaluated
    lines = batch.predictions.read_text().splitlines()
    sources = {"good": lines[:3], "bad": lines[2:], "same": lines[:2]}
    for model, rows in sources.items():
        (tmp_path / f"{model}.jsonl").write_text("".join(line + "\n" for line in rows))

    def judge(*models: str) -> Any:
        policy = {
            "name": "small",
            "on_missing_baseline": "pass",
            "rules": [
                {"id": "f1-floor", "metric": "f1", "min": 0.3, "min_support": 1},
                {"id": "f1-drop", "metric": "f1", "max_drop": 0.01, "min_support": 1, "compare": "point"},
            ],
        }
        run = run_dag(
            EXAMPLES / "nucleus_gate_models.py",
            "nucleus_gate_models",
            conf={
                "dataset_name": name,
                "candidates": [
                    {"reference_id": f"{name} {model}", "predictions": str(tmp_path / f"{model}.jsonl")}
                    for model in models
                ],
                "policy": policy,
                "folder": str(tmp_path / "judgements"),
            },
        )
        assert run.state == "success", run.log[-6000:]
        return run

    first = judge("good", "bad")
    states = {key: task.state for key, task in first.tasks.items()}
    assert [states[f"judge.gate[{n}]"] for n in range(2)] == ["success", "skipped"], first.log[-6000:]
    assert [states[f"judge.deploy[{n}]"] for n in range(2)] == ["success", "skipped"]
    assert first.tasks["judge.report[0]"].value == "pass: every rule was kept"
    assert first.tasks["judge.report[1]"].value.startswith("fail: f1-floor: ")
    promoted = first.tasks["promote"].value
    assert (promoted["model_id"], promoted["moved"], promoted["previous"]) == (
        first.tasks["judge.model[0]"].value["model_id"],
        True,
        [],
    )
    assert states["champion_metrics"] == "skipped"

    second = judge("same")
    verdict = second.tasks["judge.gate[0]"].value
    assert verdict["baseline"]["model_id"] == promoted["model_id"]
    assert verdict["changes"] == {"fixed": 0, "broken": 0, "both_found": 2, "both_miss": 1}
    assert verdict["verdict"] == "pass", second.log[-6000:]
    assert second.tasks["promote"].value["previous"] == [promoted["model_id"]]
    assert sorted(path.name for path in (tmp_path / "judgements").iterdir()) == [
        "candidate.json.map0.gz",
        "candidate.json.map1.gz",
        "champion.json.gz",
        "judgement.json.map0.gz",
        "judgement.json.map1.gz",
    ]


@pytest.mark.skipif(
    version("apache-airflow").startswith("3.0."),
    reason="the test run of Airflow 3.0 takes an asset that no scheduler has seen for inactive",
)
def test_approve_regression(run_dag: Callable[..., Any], evaluated: Any, tmp_path: Path) -> None:
    """A model that passes goes through without a question; tests/stack/test_judged.py answers the questions of others."""
    name, _batch = evaluated
    conf = {
        "dataset_name": name,
        "model_reference_id": f"{name} 1",
        "folder": str(tmp_path / "evidence"),
    }
    run = run_dag(passing_copy(tmp_path), "nucleus_approve_regression", conf=conf)

    assert run.state == "success", run.log[-6000:]
    assert run.tasks["approve"].value["decision"] == "not_needed"
    assert run.tasks["deploy"].value == "not_needed (pass)"
    assert run.tasks["gate"].value["proposal"]


def passing_copy(folder: Path) -> Path:
    """Return the example with a policy that the small batch of the tests passes: two of four boxes are hits."""
    copy = folder / "nucleus_approve_regression.py"
    text = (EXAMPLES / copy.name).read_text()
    assert '"min": 0.6' in text
    copy.write_text(text.replace('"min": 0.6', '"min": 0.2'))
    return copy


@pytest.mark.skipif(
    not version("apache-airflow").startswith("2."), reason="from Airflow 3.1 on people are asked"
)
def test_below_3_1_a_regression_fails_with_the_reason(
    run_dag: Callable[..., Any], evaluated: Any, tmp_path: Path
) -> None:
    """Nobody is asked, nothing is accepted, and the log says what to do instead."""
    name, _ = evaluated
    conf = {"dataset_name": name, "model_reference_id": f"{name} 1", "folder": str(tmp_path / "evidence")}
    run = run_dag(EXAMPLES / "nucleus_approve_regression.py", "nucleus_approve_regression", conf=conf)

    assert {one: run.tasks[one].state for one in ("gate", "approve", "deploy")} == {
        "gate": "skipped",
        "approve": "failed",
        "deploy": "upstream_failed",
    }
    assert "needs Airflow 3.1 or later" in run.log


def test_deploy_accepted_names_what_its_events_say() -> None:
    """Started by hand there are none."""
    variables = runpy.run_path(str(EXAMPLES / "nucleus_deploy_accepted.py"))
    deploy = variables["nucleus_deploy_accepted"]().get_task("deploy").python_callable
    extra = {
        "model": {"id": "prj_1"},
        "verdict": "pass",
        "decision": None,
        "numbers": {"f1": 0.7},
        "links": {},
    }
    deploy.__globals__["ACCEPTED"] = "asset"

    assert deploy(triggering_asset_events=None) == []
    assert deploy(triggering_asset_events={"asset": [SimpleNamespace(extra=extra)]}) == [
        {"model_id": "prj_1", "numbers": {"f1": 0.7}, "links": {}}
    ]


@pytest.mark.parametrize("detector", ["yolo", "centernet"])
def test_real_detections_give_the_reference_counts(
    run_dag: Callable[..., Any], tmp_path: Path, detector: str
) -> None:
    """On 85 real photographs, TP, FP and FN at IoU 0.5 are those of the reference for this matching rule."""
    folder = shared_data("home-objects")
    expected = json.loads((folder / "expected.json").read_text())["matching_iou_0.5"]
    truth, report = str(folder / "ground_truth.json"), tmp_path / "report.json"
    run = run_dag(
        EXAMPLES / "nucleus_evaluate_inference_batch.py",
        "nucleus_evaluate_inference_batch",
        conf={
            "dataset_name": "home objects",
            "model_reference_id": f"home objects {detector}",
            "items": truth,
            "images": str(folder),
            "ground_truth": truth,
            "predictions": str(folder / f"predictions_{detector}.json"),
            "report": str(report),
        },
    )

    assert run.state == "success", run.log[-6000:]
    full = json.loads(report.read_text())["measurement"]
    returned = run.tasks["calculate_metrics"].value
    assert returned["labels"] == len(full["per_label"]) > len(returned["per_label"])
    overall = returned["overall"]
    assert overall["f1"] == full["overall"]["values"]["f1"]
    assert overall["ground_truth"] == 686
    assert tuple(expected[detector]["score>=0"][key] for key in ("tp", "fp", "fn")) == tuple(
        overall[key] for key in ("tp", "fp", "fn")
    )


def test_late_labels(run_dag: Callable[..., Any], tmp_path: Path) -> None:
    """The batch is evaluated without labels, its labels are uploaded, and the numbers of the batch follow."""
    day = make_day(tmp_path / "late", "late", seed=3)
    conf = {
        "dataset_name": "inference-batch",
        "model_reference_id": "late labels",
        "batch": "late",
        "items": str(day.items),
        "predictions": str(day.predictions),
    }
    first = run_dag(
        EXAMPLES / "nucleus_evaluate_inference_batch.py", "nucleus_evaluate_inference_batch", conf=conf
    )
    labels = {"batch": "late", "ground_truth": str(day.ground_truth)}
    uploaded = run_dag(EXAMPLES / "nucleus_late_labels.py", "nucleus_upload_labels", conf=labels)
    misspelt = run_dag(
        EXAMPLES / "nucleus_late_labels.py", "nucleus_upload_labels", conf=labels | {"batch": "lates"}
    )
    again = run_dag(
        EXAMPLES / "nucleus_late_labels.py",
        "nucleus_reevaluate_batches",
        conf={"model_reference_id": "late labels"},
    )

    for run in (first, uploaded, again):
        assert run.state == "success", run.log[-6000:]
    assert [misspelt.tasks[name].state for name in ("find_batch", "upload_labels")] == [
        "failed",
        "upstream_failed",
    ]
    assert "There is no batch 'lates' in 'inference-batch'; there is late" in misspelt.log
    batch = first.tasks["append_items"].value["slice_id"]
    assert first.tasks["calculate_metrics"].value["coverage"]["with_ground_truth"] == 0
    assert uploaded.tasks["find_batch"].value == batch
    found = {task.value["slice_id"]: task.value for name, task in again.tasks.items() if "metrics[" in name}
    assert numbers(found[batch]["overall"]) == pytest.approx(numbers(day.measured().overall.values))
