"""The daily pipeline in a whole Airflow: each day's own numbers on a dataset that grows, and those of a day whose labels come late."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow.days import make_day, numbers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.airflow.days import Day
    from tests.stack.stack import AirflowStack
    from tests.stack.world import World

DAILY = "nucleus_evaluate_inference_batch"
LABELS = "nucleus_upload_labels"
AGAIN = "nucleus_reevaluate_batches"
MODEL = "detector-1"


@pytest.mark.timeout(900)
def test_three_days_have_each_their_own_numbers(stack: AirflowStack, world: World, tmp_path: Path) -> None:
    """As the engine counts them on that day's files alone; the third day's labels arrive later, and only that day is evaluated again."""
    days = [make_day(tmp_path / name, name, seed=seed) for seed, name in enumerate(("mon", "tue", "wed"))]
    # The DAG takes one at a time; none of them waits until we have looked at the one before.
    started = [(day, _start(stack, day, labelled=day is not days[-1])) for day in days]
    for day, run in started:
        found = _numbers_of(stack, run)
        if day is days[-1]:
            assert (found["items"], found["coverage"]["with_ground_truth"]) == (12, 0)
            assert found["overall"]["recall"] is None
        else:
            assert numbers(found["overall"]) == pytest.approx(numbers(day.measured().overall.values))
            assert (found["items"], found["coverage"]["with_ground_truth"]) == (12, 12)

    late = days[-1]
    run = stack.trigger(LABELS, {"batch": late.name, "ground_truth": str(late.ground_truth)})
    stack.wait_for_run(LABELS, run)
    assert stack.task(LABELS, run, "upload_labels")["state"] == "success", stack.log(LABELS, run, "*")
    (again,) = stack.until(lambda: stack.runs(AGAIN, "asset_triggered"), timeout=90, what="a run")
    stack.wait_for_run(AGAIN, again)

    (batch,) = _xcom(stack, AGAIN, again, "batches")
    found = _xcom(stack, AGAIN, again, "calculate_metrics", map_index=0)
    assert (found["slice_id"], found["slice_name"]) == (batch, "wed")
    assert numbers(found["overall"]) == pytest.approx(numbers(late.measured().overall.values))


def _start(stack: AirflowStack, day: Day, *, labelled: bool) -> str:
    """Start the pipeline for one day."""
    return stack.trigger(
        DAILY,
        {
            "dataset_name": "inference-batch",
            "model_reference_id": MODEL,
            "batch": day.name,
            "items": str(day.items),
            "ground_truth": str(day.ground_truth) if labelled else "",
            "predictions": str(day.predictions),
        },
    )


def _numbers_of(stack: AirflowStack, run: str) -> Any:
    """Return the numbers of a day's run once it has ended."""
    task = stack.wait_for(DAILY, run, "calculate_metrics", timeout=180)
    assert task["state"] == "success", stack.log(DAILY, run, "*") + stack.tails()
    stack.wait_for_run(DAILY, run)
    return _xcom(stack, DAILY, run, "calculate_metrics")


def _xcom(stack: AirflowStack, dag_id: str, run: str, task_id: str, **options: int) -> Any:
    value = stack.xcom(dag_id, run, task_id, **options)
    return json.loads(value) if isinstance(value, str) else value
