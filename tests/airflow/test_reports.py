"""Reports in real Airflow: after a gate that failed, after one that never ran, and for every instance of a mapped group."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement, Numbers, Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.airflow.harness import PrivateAirflow


def measured(f1: float, model: str) -> dict[str, Any]:
    """Return the numbers of a model."""
    return Measurement(
        subject=Subject(model_id=model, model_name=f"detector {model}", dataset_id="ds_1"),
        fingerprint=Fingerprint(data="dataset:ds_1", ground_truth="t", engine="e"),
        coverage=Coverage(
            items=50, with_ground_truth=40, without_ground_truth=10, ground_truth=200, predictions=210
        ),
        iou_threshold=0.5,
        overall=Numbers(values={"f1": f1}, items=50, ground_truth=200, predictions=210),
    ).model_dump(mode="json", by_alias=True)


HEAD = """
    import json
    from airflow.providers.common.compat.sdk import dag, task, task_group
    from airflow_provider_nucleus.assets.factories import evaluated
    from airflow_provider_nucleus.operators.gate import NucleusGateOperator
    from airflow_provider_nucleus.operators.report import NucleusReportOperator

    POLICY = {{"name": "nightly", "rules": [{{"id": "f1-floor", "metric": "f1", "min": 0.6}}]}}
    FOLDER = {folder!r}
    MODELS = json.loads({models!r})

    @task
    def deploy(): pass
"""

STOPPED = (
    HEAD
    + """
    @dag(schedule=None)
    def stopped():
        gate = NucleusGateOperator(task_id="gate", candidate=MODELS[0], policy=POLICY, judgement=FOLDER + "/judgement.json.gz")
        report = NucleusReportOperator(task_id="report", judgement=gate.output, folder=FOLDER + "/{{{{ ds_nodash | default('none') }}}}", public_url="https://reports.example", outlets=[evaluated(dataset="street", model="beside")])
        gate >> [deploy(), report]

    stopped()
"""
)

NOTHING_BESIDE = (
    HEAD
    + """
    @dag(schedule=None)
    def nothing_beside():
        @task_group
        def judged(candidate):
            gate = NucleusGateOperator(task_id="gate", candidate=candidate, policy=POLICY)
            report = NucleusReportOperator(task_id="report", judgement=gate.output, folder=FOLDER, outlets=[evaluated(dataset="street", model="teardown")])
            gate >> report.as_teardown()

        judged.expand(candidate=MODELS)

    nothing_beside()
"""
)

NEVER_RAN = (
    HEAD
    + """
    @task
    def measure(): raise ValueError("no numbers today")

    @dag(schedule=None)
    def never_ran():
        gate = NucleusGateOperator(task_id="gate", candidate=MODELS[0], policy=POLICY)
        measure() >> gate >> NucleusReportOperator(task_id="report", judgement=gate.output, folder=FOLDER)

    never_ran()
"""
)

MAPPED = (
    HEAD
    + """
    @dag(schedule=None)
    def mapped():
        @task_group
        def judged(candidate):
            gate = NucleusGateOperator(task_id="gate", candidate=candidate, policy=POLICY)
            report = NucleusReportOperator(task_id="report", judgement=gate.output, folder=FOLDER, public_url="https://reports.example/")
            gate >> [deploy(), report]

        judged.expand(candidate=MODELS)

    mapped()
"""
)


def source(text: str, folder: Path, *models: dict[str, Any]) -> str:
    """Return the text of a DAG."""
    return text.format(folder=str(folder), models=json.dumps(models))


def announced(airflow: PrivateAirflow, uri: str) -> dict[int, tuple[str, bool]]:
    """Return verdict and `stopped` of the events of an asset, by the map index of the task that emitted them."""
    with contextlib.closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
        rows = database.execute(
            "SELECT source_map_index, asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id WHERE uri = ?",
            [uri],
        ).fetchall()
    told = {index: json.loads(extra) for index, extra in rows}
    assert len(told) == len(rows)
    return {index: (extra["verdict"], extra["stopped"]) for index, extra in told.items()}


def test_a_report_is_made_of_a_gate_that_stopped(
    run_dag: Callable[..., Any], private_airflow: PrivateAirflow, tmp_path: Path
):
    """The gate fails, what is behind it does not run, the report is there with the gate's reasons and told to others, and the run has failed."""
    folder = tmp_path / "reports"
    run = run_dag(source(STOPPED, folder, measured(0.5, "b")), "stopped")
    left = run.tasks["report"].value

    assert [run.tasks[name].state for name in ("gate", "deploy", "report")] == [
        "failed",
        "upstream_failed",
        "success",
    ]
    assert run.state == "failed"
    assert left["verdict"] == "fail"
    assert run.tasks["report"].xcoms["_link_NucleusReportLink"] == "https://reports.example/report.html"
    written = json.loads((folder / left["metrics"].rsplit("/", 2)[-2] / "metrics.json").read_text())
    assert written["verdict"]["results"][0]["value"] == 0.5
    assert written["extras"]["origin"]["gate_state"] == "gate: failed"
    assert announced(private_airflow, "nucleus://evaluated/street/beside") == {-1: ("fail", True)}


def test_with_nothing_beside_it_a_report_is_a_teardown(
    run_dag: Callable[..., Any], private_airflow: PrivateAirflow, tmp_path: Path
):
    """So the run is as the gate is, and others are told of every model that was judged."""
    models = measured(0.9, "good"), measured(0.1, "bad")
    run = run_dag(source(NOTHING_BESIDE, tmp_path / "reports", *models), "nothing_beside")

    assert {name: task.state for name, task in run.tasks.items()} == {
        "judged.gate[0]": "success",
        "judged.report[0]": "success",
        "judged.gate[1]": "failed",
        "judged.report[1]": "success",
    }
    assert run.state == "failed"
    assert announced(private_airflow, "nucleus://evaluated/street/teardown") == {
        0: ("pass", False),
        1: ("fail", True),
    }


def test_a_report_says_that_the_gate_never_ran_and_hides_no_failure(
    run_dag: Callable[..., Any], tmp_path: Path
):
    """With nothing else behind the gate the run would be a success: the report is complete, and its task fails."""
    run = run_dag(source(NEVER_RAN, tmp_path / "reports", measured(0.5, "b")), "never_ran")

    assert [run.tasks[name].state for name in ("measure", "gate", "report")] == [
        "failed",
        "upstream_failed",
        "failed",
    ]
    assert run.state == "failed"
    assert run.tasks["report"].value["verdict"] == "inconclusive"
    page = (tmp_path / "reports" / "report.html").read_text().replace("<wbr>", "")
    assert "gate: upstream_failed" in page


def test_every_model_of_a_mapped_group_has_its_report(run_dag: Callable[..., Any], tmp_path: Path):
    """Of the one that passed and of the one that did not; each is of its own gate."""
    folder = tmp_path / "reports"
    run = run_dag(source(MAPPED, folder, measured(0.9, "good"), measured(0.1, "bad")), "mapped")
    verdicts = {
        index: json.loads((folder / f"map{index}" / "metrics.json").read_text())["verdict"]["status"]
        for index in (0, 1)
    }

    assert [run.tasks[f"judged.report[{index}]"].state for index in (0, 1)] == ["success", "success"]
    assert verdicts == {0: "pass", 1: "fail"}
    assert [run.tasks[f"judged.deploy[{index}]"].state for index in (0, 1)] == ["success", "upstream_failed"]
    assert (
        run.tasks["judged.report[1]"].xcoms["_link_NucleusReportLink"]
        == "https://reports.example/map1/report.html"
    )
