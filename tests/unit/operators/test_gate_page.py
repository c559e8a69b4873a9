"""The Python of docs/gating-in-airflow.md runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.providers.common.compat.sdk import DAG, AirflowSkipException

from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from tests.unit.operators.fakes import context
from tests.unit.operators.test_gate import ABSOLUTE, measured

PAGE = (Path(__file__).resolve().parents[3] / "docs/gating-in-airflow.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, "documentation", "exec"), names)
    return names


def test_the_gate_waits_for_both_models_and_the_promotion_for_the_gate():
    """By the outputs that they are given, without an arrow."""
    with DAG("page", schedule=None):
        names = {
            name: NucleusCalculateMetricsOperator(task_id=name, dataset_id="ds_1", model_id="prj_1")
            for name in ("metrics", "champion_metrics")
        }
        found = run(BLOCKS[0], **names)

    assert found["gate"].upstream_task_ids == {"metrics", "champion_metrics"}
    assert found["promote"].upstream_task_ids == {"gate"}


def test_a_task_of_ones_own_gates(tmp_path, monkeypatch):
    """It returns what the operator does, and skips itself."""
    pytest.importorskip("airflow.sdk", reason="the page is written for Airflow 3")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "nightly.yaml").write_text(yaml.safe_dump(ABSOLUTE))
    judge = run(BLOCKS[1])["judge"]
    surroundings = context(type("Task", (), {"task_id": "judge"}))
    monkeypatch.setattr("airflow_provider_nucleus.tasks.gating.get_current_context", lambda: surroundings)

    assert judge.function(measured(0.7))["policy"] == "nightly"
    with pytest.raises(AirflowSkipException, match=r"^FAIL: "):
        judge.function(measured(0.5))
    assert surroundings["ti"].xcoms["return_value"]["stopped"] is True
