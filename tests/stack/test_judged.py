"""Judged models in a whole Airflow: who hears of an accepted one, and what people decide about the others."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.assets.event_content import QUALITY_RESULT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.stack import AirflowStack
    from tests.stack.world import World

HEARD = "asset_triggered"


def heard(stack: AirflowStack, dag_id: str) -> list[dict[str, Any]]:
    """Return what the runs of a consumer were told, once they have ended."""
    told: list[dict[str, Any]] = []
    for run in stack.runs(dag_id, HEARD):
        stack.wait_for_run(dag_id, run)
        found = stack.xcom(dag_id, run, "tell")
        told += json.loads(found) if isinstance(found, str) else found
    return told


def test_other_dags_hear_of_accepted_models_only(stack: AirflowStack):
    """Of a model that is stopped nothing is heard, nor of one that goes on although it is no pass: its gate succeeded.

    An event in a partition starts no run of a plain consumer, which is why a partition is opt-in; the run that another event starts
    has it, too, if it came before.
    """
    asked = {
        "stopped": {"value": 0.5},
        "goes on": {"value": 0.5, "fail_on": "never"},
        "partitioned": {"value": 0.8, "batch": "day 2"},
        "passes": {"value": 0.7},
    }
    runs = {way: stack.trigger("gated", conf) for way, conf in asked.items()}
    ends = {way: stack.wait_for("gated", run, "gate", timeout=180)["state"] for way, run in runs.items()}
    for run in runs.values():
        stack.wait_for_run("gated", run)

    assert ends == {
        "stopped": "skipped", "goes on": "success", "partitioned": "success", "passes": "success",
    }, stack.log("gated", runs["partitioned"], "*")  # fmt: skip
    stack.until(lambda: stack.runs("deploys_gated", HEARD), timeout=60, what="the consumer to run")
    told = {one["run"]["run_id"]: one for one in heard(stack, "deploys_gated")}
    assert len(stack.runs("deploys_gated", HEARD)) == 1
    assert told.keys() - {runs["partitioned"]} == {runs["passes"]}
    event = told[runs["passes"]]
    assert event["verdict"] == "pass"
    assert event["numbers"] == {"f1": 0.7}
    assert (
        event[QUALITY_RESULT] | {"ruleset": "stack", "score": 1.0, "passed": 1, "failed": 0}
        == event[QUALITY_RESULT]
    )
    counts = {way: len(stack.asset_events("gated", run)) for way, run in runs.items()}
    assert counts == {"stopped": 0, "goes on": 0, "partitioned": 1, "passes": 1}


@pytest.mark.skipif(version("apache-airflow").startswith("3.0."), reason="people are asked from 3.1 on")
def test_people_approve_and_reject_within_a_mapped_group(stack: AirflowStack, tmp_path: Path):
    """What comes behind the rejected one is skipped, behind the approved one it runs; a pass asks nobody; silence rejects."""
    record = tmp_path / "baseline.json"
    run = stack.trigger("approvals", {"values": [0.5, 0.4, 0.7], "record": str(record)})
    silent = stack.trigger("unanswered", {"values": [0.3], "record": str(tmp_path / "silent.json")})
    stack.wait_for(
        "unanswered", silent, "judged.approve/0", "awaiting_input", "deferred", "skipped", timeout=180
    )
    for index in (0, 1):
        stack.wait_for("approvals", run, f"judged.approve/{index}", "awaiting_input", "deferred", timeout=180)
    question = stack.question("approvals", run, "judged.approve/0")

    assert question["subject"] == "Accept it? fail: detector 0.5 on stack"
    assert "| fail | f1-least | f1 | 0.500 |" in question["body"]
    assert "Without an answer within 10 minutes it is rejected." in question["body"]

    # Not in the same second: Airflow may take a task that wakes up before its executor has reported its pause for one that died.
    stack.wait_for_run("unanswered", silent)
    stack.answer("approvals", run, "judged.approve/0", "Approve", note="known fog")
    stack.answer("approvals", run, "judged.approve/1", "Reject", note=None)
    stack.wait_for_run("approvals", run)

    def states(dag_id: str, run_id: str, count: int) -> list[tuple[str, str]]:
        return [
            tuple(
                stack.task(dag_id, run_id, f"judged.{task}/{index}")["state"]
                for task in ("approve", "deploy")
            )
            for index in range(count)
        ]

    done = ("success", "success")
    assert states("approvals", run, 3) == [done, ("skipped", "skipped"), done], stack.log(
        "approvals", run, "judged.approve"
    )
    assert states("unanswered", silent, 1) == [("skipped", "skipped")], stack.log("unanswered", silent, "*")

    decisions = json.loads(record.read_text())["decisions"]
    approved = [one for one in decisions if one["action"] == "confirm"]
    assert [(one["id"], one["note"]) for one in approved] == [("job_0.5", "known fog")]
    assert [one["id"] for one in decisions if one["action"] == "reject"] == ["job_0.4"]
    silence = json.loads((tmp_path / "silent.json").read_text())["decisions"][-1]
    assert (silence["action"], silence["by"]) == ("reject", "nobody within 5 seconds")

    stack.until(lambda: len(heard(stack, "deploys_approved")) == 2, timeout=60, what="two events to be heard")
    told = {one["run"]["map_index"]: one["decision"]["decision"] for one in heard(stack, "deploys_approved")}
    assert told == {0: "approved", 2: "not_needed"}


def test_after_a_clear_nobody_answers_the_question_of_before(stack: AirflowStack, tmp_path: Path):
    """Airflow keeps the words of the first question of a task instance, whatever the gate says now."""
    file = tmp_path / "f1"
    file.write_text("0.5")
    run = stack.trigger("reconsidered", {"file": str(file)})
    stack.wait_for("reconsidered", run, "approve", "awaiting_input", "deferred", "failed", timeout=180)
    assert "detector 0.5" in stack.question("reconsidered", run, "approve/-1")["subject"]
    file.write_text("0.4")
    stack.clear("reconsidered", run, "read", "measure", "gate", "approve")
    stack.wait_for("reconsidered", run, "approve", "failed")

    assert "that of before the clear is still there" in stack.log("reconsidered", run, "approve")


def test_events_have_their_content_after_a_deferral(stack: AirflowStack, world: World):
    """The numbers of a calculation that the triggerer waited for; the batch of the ground truth that was uploaded."""
    batch = world.batch(rows=20)
    world.hold()
    run = stack.trigger("evaluated", batch.conf)
    stack.wait_for("evaluated", run, "metrics", "deferred", "failed", timeout=180)
    world.release()
    assert stack.wait_for("evaluated", run, "metrics", "success", "failed")["state"] == "success", stack.log(
        "evaluated", run, "*"
    )
    stack.wait_for_run("evaluated", run)
    events = {one["uri"]: one["extra"] for one in stack.asset_events("evaluated", run)}

    evaluated = events["nucleus://evaluated/stack/detector"]
    assert (evaluated["numbers"]["tp"], evaluated["numbers"]["f1"], evaluated["verdict"]) == (20, 1.0, None)
    assert evaluated["dataset"]["id"] == batch.dataset_id
    assert evaluated["coverage"]["ground_truth"] == 20
    truth = events["nucleus://annotations/stack"]
    assert truth["rows"]["processed"] == 20
    assert (truth["dataset"]["id"], truth["slice"]["id"]) == (batch.dataset_id, "slc_of_the_day")
