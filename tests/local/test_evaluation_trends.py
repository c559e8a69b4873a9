"""Evaluations over time: one series for each definition, the versions of a benchmark named at every point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.requesting_task import TASK_HEADER, task_header
from tests.local.story import annotate, box, make_model, predict
from tests.local.test_history import TASK, ui

if TYPE_CHECKING:
    from tests.local.conftest import Api


def ready(api: Api, benchmark: str) -> str:
    """Wait until a benchmark can be evaluated."""
    while api.ok("GET", f"benchmarks/{benchmark}")["status"] != "ready":
        pass
    return benchmark


def evaluate(api: Api, benchmark: str, **body: Any) -> str:
    """Evaluate on a benchmark as a task of Airflow would, and return the evaluation."""
    answer = api.ok(
        "POST",
        f"benchmarks/{benchmark}/evaluationsV2",
        json=body,
        headers={TASK_HEADER: task_header(TASK)},
    )
    assert api.wait(answer["workflow_id"])["status"] == "Completed"
    return answer["evaluation_id"]


def test_evaluations_are_series_of_one_definition(api: Api):
    """Two versions of a benchmark are told apart point by point, other options are another series, the task is named."""
    dataset, model = api.dataset("a", "b"), make_model(api)
    annotate(api, dataset, box("a", "car", 0))
    run = predict(api, dataset, model, box("a", "car", 0, confidence=0.9), box("b", "car", 0, confidence=0.8))
    made = api.ok("POST", "benchmarks", json={"name": "yard", "dataset_ids": [dataset]})
    first = ready(api, made["benchmark_id"])
    one = evaluate(api, first, model_run_id=run)
    annotate(api, dataset, box("b", "car", 100))
    made = api.ok(
        "POST", "benchmarks", json={"name": "yard", "dataset_ids": [dataset], "parent_benchmark_id": first}
    )
    second = ready(api, made["benchmark_id"])
    two = evaluate(api, second, model_run_id=run)
    three = evaluate(api, second, model_run_id=run, options={"max_detections": 1})

    of_benchmark = ui(api, f"benchmarks/{first}/trend")
    of_model = ui(api, f"models/{model}/trend")

    evaluations = [each for each in of_model["series"] if each["kind"] == "evaluation"]
    assert sorted(each["series"] for each in evaluations) == sorted(
        each["series"] for each in of_benchmark["series"]
    )
    by_points = {tuple(point["evaluation_id"] for point in each["points"]): each for each in evaluations}
    assert set(by_points) == {(one, two), (three,)}
    pair = by_points[one, two]
    assert pair["varies"] == ["data"]
    assert [point["benchmark_version"] for point in pair["points"]] == ["1.0", "1.1"]
    assert [point["coverage"]["items"] for point in pair["points"]] == [1, 2]
    assert [point["values"]["f1"] for point in pair["points"]] == [1.0, 0.5]
    assert pair["points"][0]["requested_by"]["dag_id"] == "daily"
    assert pair["engine"].startswith("airflow-provider-nucleus ")
    other = ui(api, f"benchmarks/{second}/trend", modelId=model, iouThreshold=0.75)
    assert {"tp", "f1"}.isdisjoint(other["series"][0]["points"][0]["values"])
