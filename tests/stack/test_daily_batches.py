"""The daily pipeline in a whole Airflow: each day's own numbers on a dataset that grows, and those of a day whose labels come late."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow.days import make_day, numbers
from tests.airflow.harness import REPOSITORY, connection_json
from tests.stack.stack import AirflowStack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.airflow.days import Day
    from tests.stack.world import World

DAILY = "nucleus_evaluate_inference_batch"
LABELS = "nucleus_upload_labels"
AGAIN = "nucleus_reevaluate_batches"
MODEL = "detector-1"


@pytest.fixture
def airflow(world: World, tmp_path: Path) -> Iterator[AirflowStack]:
    """An Airflow with the daily pipeline and the DAGs of late labels."""
    (tmp_path / "dags").mkdir()
    for file in (DAILY, "nucleus_late_labels"):
        shutil.copy(REPOSITORY / "dags_examples" / f"{file}.py", tmp_path / "dags")
    connection = connection_json(endpoint=world.proxy.url, api_key=world.server.api_key)
    with AirflowStack(
        tmp_path / "airflow",
        dags=tmp_path / "dags",
        environment={"AIRFLOW_CONN_NUCLEUS_DEFAULT": connection},
    ) as running:
        yield running


@pytest.mark.timeout(900)
def test_three_days_have_each_their_own_numbers(airflow: AirflowStack, tmp_path: Path) -> None:
    """As the engine counts them on that day's files alone; the third day's labels arrive later, and only that day is evaluated again."""
    days = [make_day(tmp_path / name, name, seed=seed) for seed, name in enumerate(("mon", "tue", "wed"))]
    for day in days:
        found = _daily(airflow, day, labelled=day is not days[-1])
        if day is days[-1]:
            assert (found["items"], found["coverage"]["with_ground_truth"]) == (12, 0)
            assert found["overall"]["recall"] is None
        else:
            assert numbers(found["overall"]) == pytest.approx(numbers(day.measured().overall.values))
            assert (found["items"], found["coverage"]["with_ground_truth"]) == (12, 12)

    late = days[-1]
    run = airflow.trigger(LABELS, {"batch": late.name, "ground_truth": str(late.ground_truth)})
    airflow.wait_for_run(LABELS, run)
    assert airflow.task(LABELS, run, "upload_labels")["state"] == "success", airflow.log(LABELS, run, "*")
    (again,) = airflow.until(lambda: airflow.runs(AGAIN, "asset_triggered"), timeout=90, what="a run")
    airflow.wait_for_run(AGAIN, again)

    (batch,) = _xcom(airflow, AGAIN, again, "batches")
    found = _xcom(airflow, AGAIN, again, "calculate_metrics", map_index=0)
    assert (found["slice_id"], found["slice_name"]) == (batch, "wed")
    assert numbers(found["overall"]) == pytest.approx(numbers(late.measured().overall.values))


def _daily(airflow: AirflowStack, day: Day, *, labelled: bool) -> dict[str, Any]:
    """Run the pipeline for one day, and return its numbers."""
    conf = {
        "dataset_name": "inference-batch",
        "model_reference_id": MODEL,
        "batch": day.name,
        "items": str(day.items),
        "ground_truth": str(day.ground_truth) if labelled else "",
        "predictions": str(day.predictions),
    }
    run = airflow.trigger(DAILY, conf)
    task = airflow.wait_for(DAILY, run, "calculate_metrics", timeout=180)
    assert task["state"] == "success", airflow.log(DAILY, run, "*") + airflow.tails()
    airflow.wait_for_run(DAILY, run)
    return _xcom(airflow, DAILY, run, "calculate_metrics")


def _xcom(airflow: AirflowStack, dag_id: str, run: str, task_id: str, **options: int) -> Any:
    value = airflow.xcom(dag_id, run, task_id, **options)
    return json.loads(value) if isinstance(value, str) else value
