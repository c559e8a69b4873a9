"""What the README shows runs as it is printed there."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from tests.airflow.days import make_day, numbers
from tests.airflow.harness import REPOSITORY, connection_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_day_runs_unchanged(run_dag: Callable[..., Any], nucleus: Any, tmp_path: Path) -> None:
    """Only its params are filled in: the worse model is stopped, with a report; the better one of the next day is promoted."""
    (source,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
        if "@dag(" in block
    )
    if version("apache-airflow").startswith("2."):
        source = source.replace("from airflow.sdk import dag", "from airflow.decorators import dag")
    conf = {"folder": str(tmp_path)}
    for seed, better in ((1, "production"), (2, "candidate")):
        name = f"2026-12-0{seed}"
        day = make_day(tmp_path / name, name, seed=seed, images=40)
        rows = [json.loads(line) | {"metadata": None} for line in day.predictions.read_text().splitlines()]
        for model in ("candidate", "production"):
            (tmp_path / name / model).mkdir()
            found = rows if model == better else rows[::3]
            pq.write_table(pa.Table.from_pylist(found), tmp_path / name / model / "part-0.parquet")

        run = run_dag(source, "judge_batch", conf=conf | {"day": name})

        result = run.tasks[f"metrics_{better}"].value
        assert numbers(result["overall"]) == pytest.approx(numbers(day.measured().overall.values)), run.log[
            -6000:
        ]
        # What the README prints of the result is really there.
        assert result.keys() >= {
            "slice_name",
            "items",
            "coverage",
            "iou_threshold",
            "overall",
            "per_label",
            "url",
        }
        assert result["slice_name"] == name
        passed = better == "candidate"
        assert run.tasks["gate"].value["verdict"] == ("pass" if passed else "fail")
        assert run.tasks["gate"].value["links"]["candidate"] == run.tasks["metrics_candidate"].value["url"]
        states = {"promote": "success" if passed else "upstream_failed", "report": "success"}
        assert {task: run.tasks[task].state for task in states} == states
        summary = (tmp_path / name / "report" / "report.md").read_text()
        assert f"[Evaluation of the candidate](<{run.tasks['metrics_candidate'].value['url']}>)" in summary


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
