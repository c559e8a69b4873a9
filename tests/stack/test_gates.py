"""Gates in a whole Airflow: what comes after a rejected model does not run, and a baseline is remembered in the state of an asset."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow.test_mapped_gates import measurement

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.stack import AirflowStack


@pytest.fixture
def folder(tmp_path: Path) -> dict[str, str]:
    """The parameters of a run: a folder with a good model's numbers and a bad one's."""
    for name, f1 in (("0", 0.7), ("1", 0.5), ("2", 0.69)):
        document = json.loads(measurement(f1))
        document["subject"]["job_id"] = f"job_{name}"
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    return {"folder": str(tmp_path)}


def read(value: Any) -> Any:
    """Return an XCom, which some versions give as text."""
    return json.loads(value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("outcome", "rejected", "behind"), [("fail", "failed", "upstream_failed"), ("skip", "skipped", "skipped")]
)
def test_of_two_mapped_models_the_rejected_one_is_not_deployed(
    stack: AirflowStack, folder: dict[str, str], tmp_path: Path, outcome: str, rejected: str, behind: str
) -> None:
    """Its report still runs, with its verdict, and no retry judges it again."""
    dag_id = f"gates_{outcome}"
    run = stack.trigger(dag_id, folder)
    stack.wait_for_run(dag_id, run)
    tasks = stack.tasks(dag_id, run)
    states = {name: task["state"] for name, task in tasks.items()}

    assert states == {
        "of_model.gate[0]": "success",
        "of_model.deploy[0]": "success",
        "of_model.report[0]": "success",
        "of_model.gate[1]": rejected,
        "of_model.deploy[1]": behind,
        "of_model.report[1]": "success",
    }, stack.log(dag_id, run, "*")
    assert tasks["of_model.gate[1]"]["try_number"] == 1
    assert json.loads((tmp_path / "judgement.map1.json").read_text())["verdict"]["status"] == "fail"
    assert "FAIL: prj_0.5 breaks policy 'policy': f1-floor: " in stack.log(dag_id, run, "*")


def test_a_baseline_is_remembered_in_the_state_of_an_asset(
    stack: AirflowStack, folder: dict[str, str]
) -> None:
    """What passed is what the next run is measured from; what failed is not."""
    verdicts = []
    for candidate in ("0", "1", "2"):
        run = stack.trigger("gate_remembers", {**folder, "candidate": candidate})
        stack.wait_for_run("gate_remembers", run)
        found = read(stack.xcom("gate_remembers", run, "gate"))
        verdicts.append((found["verdict"], (found["baseline"] or {}).get("job_id"), found["baseline_record"]))

    record = "asset:nucleus://accepted/street/detector"
    assert verdicts == [("pass", None, record), ("fail", "job_0", record), ("pass", "job_0", record)]
