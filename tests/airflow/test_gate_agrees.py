"""One policy, one verdict: gates in a real Airflow and the command in a shell, on the same policy files and measurements."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POLICIES = {
    "passes": {"rules": [{"id": "f1", "metric": "f1", "min": 0.1, "min_support": 1}]},
    "fails": {"rules": [{"id": "f1", "metric": "f1", "min": 0.99, "min_support": 1}]},
    "open": {"rules": [{"id": "f1", "metric": "f1", "min": 0.1, "min_support": 10_000}]},
    "labels": {"rules": [{"id": "r", "metric": "recall", "scope": "per_label", "max_drop": 0.05, "min_support": 3}]},
}  # fmt: skip

DAG = """
    try:
        from airflow.sdk import dag
    except ImportError:  # Airflow < 3
        from airflow.decorators import dag

    from airflow_provider_nucleus.operators.gate import NucleusGateOperator

    FOLDER = {folder!r}

    @dag(schedule=None)
    def agrees():
        NucleusGateOperator.partial(
            task_id="gate",
            candidate=f"{{FOLDER}}/m/second.json.gz",
            baseline=f"{{FOLDER}}/m/first.json.gz",
        ).expand_kwargs([
            {{"policy": f"{{FOLDER}}/{{name}}.yaml", "judgement": f"{{FOLDER}}/{{name}}.airflow.json"}} for name in {names!r}
        ])

    agrees()
"""


def command(*arguments: str) -> int:
    """Run `nucleus-local` and return its exit status."""
    program = [sys.executable, "-m", "airflow_provider_nucleus.cli.main"]
    return subprocess.run([*program, *arguments], check=False, capture_output=True).returncode


def test_airflow_and_the_command_come_to_one_verdict(run_dag: Callable[..., Any], tmp_path: Path) -> None:
    """Mapped gates; each leaves its judgement before it fails, and the command's is equal to it."""
    pytest.importorskip("duckdb", reason="measuring files needs the extra local")
    from tests.unit.cli.test_file_measurements import drawn

    truth, results = drawn(tmp_path, 2, images=40)
    given = ("--ground-truth", str(truth), "--predictions", *map(str, results))
    assert command("evaluate", *given, "--measurements", str(tmp_path / "m")) == 0
    statuses = {}
    for name, policy in POLICIES.items():
        (tmp_path / f"{name}.yaml").write_text(json.dumps(policy))
        sides = (
            "--candidate",
            str(tmp_path / "m/second.json.gz"),
            "--baseline",
            str(tmp_path / "m/first.json.gz"),
        )
        document = ("--json", str(tmp_path / f"{name}.command.json"))
        statuses[name] = command("gate", "--policy", str(tmp_path / f"{name}.yaml"), *sides, *document)

    run = run_dag(DAG.format(folder=str(tmp_path), names=list(POLICIES)), "agrees")

    states = {name: run.tasks[f"gate[{place}]"].state for place, name in enumerate(POLICIES)}
    assert {name: status == 0 for name, status in statuses.items()} == {
        name: state == "success" for name, state in states.items()
    }
    assert set(statuses.values()) == {0, 1, 2}
    for place, name in enumerate(POLICIES):
        written = (f"{name}.command.json", f"{name}.airflow.map{place}.json")
        ours, theirs = (json.loads((tmp_path / each).read_text()) for each in written)
        assert ours["verdict"] == theirs["verdict"]
        assert ours["changes"] == theirs["changes"]
