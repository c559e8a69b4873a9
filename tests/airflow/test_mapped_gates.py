"""Gates inside mapped task groups: the usual ways to skip do not gate there on Airflow 3.2 and 3.3, ours do."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RELEASE = tuple(int(part) for part in version("apache-airflow").split(".")[:2])
TRAPPED = (3, 2) <= RELEASE < (3, 4)
"""Whether this Airflow lets run what a branch inside a mapped task group has not chosen."""

TRAP = """
    try:
        from airflow.sdk import dag, task, task_group
    except ImportError:  # Airflow < 3
        from airflow.decorators import dag, task, task_group

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

GATES = """
    try:
        from airflow.sdk import dag, task, task_group
    except ImportError:  # Airflow < 3
        from airflow.decorators import dag, task, task_group

    from airflow_provider_nucleus.operators.gate import NucleusGateOperator
    from airflow_provider_nucleus.tasks.gating import gate as judged_by

    FOLDER = {folder!r}
    POLICY = {{"rules": [{{"id": "f1-floor", "metric": "f1", "min": 0.6}}]}}

    @dag(dag_id={dag_id!r}, schedule=None, default_args={{"retries": 2}})
    def gates():
        @task
        def deploy(model): return model

        @task(trigger_rule="all_done")
        def report(verdict): return verdict["verdict"]

        @task
        def own_gate(model):
            return judged_by(f"{{FOLDER}}/{{model}}.json", policy=POLICY, outcome={outcome!r})

        @task_group
        def by_operator(model):
            gate = NucleusGateOperator(
                task_id="gate",
                candidate=FOLDER + "/{{{{ ti.map_index }}}}.json",
                policy=POLICY,
                judgement=f"{{FOLDER}}/judgement.json",
                outcome={outcome!r},
                {more}
            )
            gate >> deploy(model)
            report(gate.output)

        @task_group
        def by_function(model):
            own = own_gate(model)
            own >> deploy(model)
            report(own)

        by_operator.expand(model=["0", "1"])
        by_function.expand(model=["0", "1"])

    gates()
"""


MAPPED_BRANCH = """
    from airflow.providers.common.compat.sdk import dag, task, task_group

    from airflow_provider_nucleus.operators.gate import NucleusGateOperator

    @dag(schedule=None)
    def mapped_branch():
        @task
        def deploy(): pass

        @task
        def quarantine(): pass

        @task_group
        def of_model(model):
            gate = NucleusGateOperator(
                task_id="gate",
                candidate={folder!r} + "/{{{{ ti.map_index }}}}.json",
                policy={{"rules": [{{"id": "f1-floor", "metric": "f1", "min": 0.6}}]}},
                outcome="branch",
                on_pass="of_model.deploy",
                on_stop="of_model.quarantine",
            )
            gate >> [deploy(), quarantine()]

        of_model.expand(model=["good", "bad"])

    mapped_branch()
"""


def measurement(f1: float) -> str:
    """Return a measurement document."""
    return json.dumps({
        "schema": "nucleus-measurement/1",
        "subject": {"model_id": f"prj_{f1}"},
        "fingerprint": {"data": "dataset:ds_1"},
        "overall": {"values": {"f1": f1}, "ground_truth": 100, "predictions": 100, "items": 50},
    })


@pytest.mark.skipif(not TRAPPED, reason="seen on 3.2.2 and 3.3.2; before and after it branches are honoured")
def test_the_trap_is_there(run_dag: Callable[..., Any]) -> None:
    """What a gate must not do: the rejected model is deployed, although the log says that the task is skipped."""
    run = run_dag(TRAP, "trap")

    assert run.tasks["by_branch.deploy[1]"].state == "success"
    assert run.tasks["by_short_circuit.deploy[1]"].state == "success"
    assert "Skipping tasks" in run.log


@pytest.mark.parametrize(
    ("outcome", "rejected", "behind"), [("fail", "failed", "upstream_failed"), ("skip", "skipped", "skipped")]
)
def test_a_rejected_model_is_not_deployed(
    run_dag: Callable[..., Any], tmp_path: Path, outcome: str, rejected: str, behind: str
) -> None:
    """Of two mapped models one passes; what comes after the other does not run, its report does, and no retry asks again."""
    (tmp_path / "0.json").write_text(measurement(0.7))
    (tmp_path / "1.json").write_text(measurement(0.5))
    dag_id = f"gates_{outcome}"
    run = run_dag(GATES.format(folder=str(tmp_path), dag_id=dag_id, outcome=outcome, more=""), dag_id)
    states = {name: task.state for name, task in run.tasks.items()}

    for group, name in (("by_operator", "gate"), ("by_function", "own_gate")):
        assert (states[f"{group}.{name}[0]"], states[f"{group}.deploy[0]"]) == ("success", "success"), (
            run.log[-6000:]
        )
        assert (states[f"{group}.{name}[1]"], states[f"{group}.deploy[1]"]) == (rejected, behind), run.log[
            -6000:
        ]
        assert [run.tasks[f"{group}.report[{n}]"].value for n in range(2)] == ["pass", "fail"]
        assert run.tasks[f"{group}.{name}[1]"].try_number == 1
        assert run.tasks[f"{group}.{name}[1]"].value["reasons"][0].startswith("f1-floor: ")
    written = [json.loads((tmp_path / f"judgement.map{n}.json").read_text()) for n in range(2)]
    assert [each["verdict"]["status"] for each in written] == ["pass", "fail"]
    assert "FAIL: prj_0.5 breaks policy 'policy'" in run.log
    assert run.state == ("failed" if outcome == "fail" else "success")


@pytest.mark.skipif(TRAPPED, reason="Airflow does not honour it there")
def test_a_branch_inside_a_mapped_group_is_followed(run_dag: Callable[..., Any], tmp_path: Path) -> None:
    """For each model by its own verdict."""
    (tmp_path / "0.json").write_text(measurement(0.7))
    (tmp_path / "1.json").write_text(measurement(0.5))
    run = run_dag(MAPPED_BRANCH.format(folder=str(tmp_path)), "mapped_branch")

    assert {name: task.state for name, task in run.tasks.items()} == {
        "of_model.gate[0]": "success",
        "of_model.deploy[0]": "success",
        "of_model.quarantine[0]": "skipped",
        "of_model.gate[1]": "success",
        "of_model.deploy[1]": "skipped",
        "of_model.quarantine[1]": "success",
    }, run.log[-6000:]


@pytest.mark.skipif(not TRAPPED, reason="Airflow honours it there")
def test_a_branch_is_refused_where_airflow_would_not_honour_it(
    run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    """When the file is parsed, with the reason and the way out."""
    more = "on_pass='by_operator.deploy',"
    with pytest.raises(
        AssertionError,
        match=r"inside the mapped task group 'by_operator', where Airflow 3\.\d does not honour a branch",
    ):
        run_dag(
            GATES.format(folder=str(tmp_path), dag_id="gates_branch", outcome="branch", more=more),
            "gates_branch",
        )


BRANCH = """
    try:
        from airflow.sdk import dag, task
    except ImportError:  # Airflow < 3
        from airflow.decorators import dag, task

    from airflow_provider_nucleus.operators.gate import NucleusGateOperator

    @dag(schedule=None)
    def branching():
        @task
        def deploy(): pass

        @task
        def quarantine(): pass

        gate = NucleusGateOperator(
            task_id="gate",
            candidate="{{ params.candidate }}",
            policy={"rules": [{"id": "f1-floor", "metric": "f1", "min": 0.6}]},
            outcome="branch",
            on_pass="deploy",
            on_stop="quarantine",
        )
        gate >> [deploy(), quarantine()]

    branching()
"""


@pytest.mark.parametrize(
    ("f1", "runs", "skipped"), [(0.7, "deploy", "quarantine"), (0.5, "quarantine", "deploy")]
)
def test_a_branch_is_followed_outside_of_mapped_groups(
    run_dag: Callable[..., Any], tmp_path: Path, f1: float, runs: str, skipped: str
) -> None:
    """And the gate itself succeeds, with its verdict."""
    (tmp_path / "candidate.json").write_text(measurement(f1))
    run = run_dag(BRANCH.replace("{{ params.candidate }}", str(tmp_path / "candidate.json")), "branching")

    assert (run.tasks["gate"].state, run.tasks[runs].state, run.tasks[skipped].state) == (
        "success",
        "success",
        "skipped",
    )
    assert run.tasks["gate"].value["verdict"] == ("pass" if f1 > 0.6 else "fail")


MAPPED = """
    try:
        from airflow.sdk import Asset, dag
    except ImportError:  # Airflow < 3
        from airflow.datasets import Dataset as Asset
        from airflow.decorators import dag

    from airflow_provider_nucleus.operators.gate import NucleusGateOperator
    from airflow_provider_nucleus.operators.report import NucleusReportOperator

    @dag(schedule=None)
    def mapped():
        gate = NucleusGateOperator.partial(
            task_id="gate",
            policy={{"rules": [{{"id": "f1-floor", "metric": "f1", "min": 0.6}}]}},
            {more}
        ).expand(candidate=[{folder!r} + "/0.json", {folder!r} + "/1.json"])
        NucleusReportOperator.partial(task_id="report", folder={folder!r}).expand(judgement=gate.output)

    mapped()
"""


def test_mapped_without_a_group(run_dag: Callable[..., Any], tmp_path: Path) -> None:
    """The report of the rejected model is written as in a group, on Airflow 2 as well; the baseline is found in the state of an asset."""
    (tmp_path / "0.json").write_text(measurement(0.7))
    (tmp_path / "1.json").write_text(measurement(0.5))
    more = "baseline_asset=Asset('baseline')," if RELEASE >= (3, 3) else ""
    run = run_dag(MAPPED.format(folder=str(tmp_path), more=more), "mapped")

    assert [run.tasks[f"gate[{n}]"].state for n in range(2)] == ["success", "failed"], run.log[-6000:]
    assert [run.tasks[f"report[{n}]"].value["verdict"] for n in range(2)] == ["pass", "fail"]
    assert (run.tasks["gate[0]"].value["baseline_record"] == "asset:baseline") is bool(more)
