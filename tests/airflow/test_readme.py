"""What the README shows runs as it is printed there."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from tests.airflow.batches import make_batch
from tests.airflow.harness import REPOSITORY, connection_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def test_the_dag_in_ten_lines_runs_unchanged(
    run_dag: Callable[..., Any], nucleus: Any, tmp_path: Path
) -> None:
    """Only its params are filled in, as a trigger would: both tasks succeed and the counts are the hand-counted ones."""
    (source,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
        if "@dag(" in block
    )
    batch = make_batch(tmp_path / "batch")
    truth = [json.loads(line) for line in batch.ground_truth.read_text().splitlines()]
    images = [{"reference_id": f"{n}.png", "image_url": f"https://images.test/{n}.png"} for n in "ab"]
    dataset = _post(nucleus, "dataset/create", name="README")["dataset_id"]
    _post(nucleus, f"dataset/{dataset}/append", items=images)
    _post(nucleus, f"dataset/{dataset}/annotate", annotations=truth)
    model = _post(nucleus, "models/add", name="detector", reference_id="README")["model_id"]

    run = run_dag(
        source,
        "evaluate_batch",
        conf={"dataset": dataset, "model": model, "predictions": str(batch.predictions)},
    )

    assert run.state == "success", run.log[-6000:]
    assert run.tasks["upload"].value["processed"] == 4
    metrics = run.tasks["metrics"].value
    assert tuple(metrics["overall"][key] for key in ("tp", "fp", "fn")) == (2, 2, 1)
    # What the README prints below the DAG is really there.
    shown = {"dataset_id", "model_id", "job_id", "iou_threshold", "class_agnostic", "not_matched", "overall"}
    assert metrics.keys() >= shown | {"per_label"}
    assert metrics["per_label"].keys() == {"car", "van"}


def test_the_task_with_a_hook_runs_unchanged(nucleus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function of the task, called with a dataset: the slice it returns has the items of the night."""
    (source,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
        if "NucleusHook" in block
    )
    connection = connection_json(endpoint=nucleus.url, api_key=nucleus.api_key)
    monkeypatch.setenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", connection)
    dataset = _post(nucleus, "dataset/create", name="README, the hook")["dataset_id"]
    images = [
        {
            "reference_id": f"{n}.png",
            "image_url": f"https://images.test/{n}.png",
            "metadata": {"light": light},
        }
        for n, light in enumerate(("day", "night", "night"))
    ]
    _post(nucleus, f"dataset/{dataset}/append", items=images)
    names: dict[str, Any] = {}
    exec(source, names)

    made = names["slice_of_the_night"].function(dataset)

    with NucleusHook() as hook:
        assert sorted(str(item.reference_id) for item in hook.iter_slice_items(made)) == ["1.png", "2.png"]


def _post(nucleus: Any, path: str, **body: Any) -> dict[str, Any]:
    answer = requests.post(f"{nucleus.url}/{path}", json=body, auth=(nucleus.api_key, ""), timeout=30)
    assert answer.ok, answer.text
    return dict(answer.json())
