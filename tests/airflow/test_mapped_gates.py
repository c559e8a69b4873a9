"""Gates inside mapped task groups: the usual ways to skip do not gate there on Airflow 3.0 to 3.3, ours do."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable

AIRFLOW = Version(version("apache-airflow"))

TRAP = """
    from airflow.providers.common.compat.sdk import dag, task, task_group

    @dag(schedule=None)
    def trap():
        @task
        def deploy(model): return model

        @task.branch
        def branch(model): return "by_branch.deploy" if model == "good" else "by_branch.nothing"

        @task
        def nothing(): pass

        @task.short_circuit
        def short_circuit(model): return model == "good"

        @task_group
        def by_branch(model):
            branch(model) >> [deploy(model), nothing()]

        @task_group
        def by_short_circuit(model):
            short_circuit(model) >> deploy(model)

        by_branch.expand(model=["good", "bad"])
        by_short_circuit.expand(model=["good", "bad"])

    trap()
"""


@pytest.mark.skipif(
    (AIRFLOW.major, AIRFLOW.minor) != (3, 3), reason="seen on 3.3; rewritten in 3.4, and 2.11 honours it"
)
def test_the_trap_is_there(run_dag: Callable[..., Any]) -> None:
    """What a gate must not do: the rejected model is deployed, although the log says that the task is skipped."""
    run = run_dag(TRAP, "trap")

    assert run.tasks["by_branch.deploy[1]"].state == "success"
    assert run.tasks["by_short_circuit.deploy[1]"].state == "success"
    assert "Skipping tasks" in run.log
