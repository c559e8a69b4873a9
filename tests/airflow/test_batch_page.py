"""The pipeline on the page of batches runs as it is written."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.airflow.days import make_day, numbers
from tests.airflow.harness import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_pipeline_of_the_page_has_the_numbers_of_the_day(
    run_dag: Callable[..., Any], nucleus: Any, tmp_path: Path
) -> None:
    """Two days into one dataset: the second run has the second day's numbers, without the images that have no labels."""
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/batches.md").read_text(), re.DOTALL)
    if version("apache-airflow").startswith("2."):
        code = code.replace("from airflow.sdk import dag", "from airflow.decorators import dag")

    def post(path: str, **body: Any) -> Any:
        answer = requests.post(f"{nucleus.url}/{path}", json=body, auth=(nucleus.api_key, ""), timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    dataset = post("dataset/create", name="page of batches")["dataset_id"]
    model = post("models/add", name="page", reference_id="page of batches")["model_id"]
    for seed, name in enumerate(("first", "second")):
        day = make_day(tmp_path / name, name, seed=seed, unlabelled=3)
        conf = {"dataset": dataset, "model": model, "day": name, "folder": str(tmp_path / name)}
        run = run_dag(code, "daily_batch", conf=conf)

        assert run.state == "success", run.log[-6000:]
        found, expected = run.tasks["metrics"].value, day.measured(unannotated="leave_out")
        assert numbers(found["overall"]) == pytest.approx(numbers(expected.overall.values))
        assert (found["slice_name"], found["items"], found["coverage"]["with_ground_truth"]) == (name, 12, 9)
