"""The evaluation operator across tries: an evaluation whose start was not recorded is found, one that vanished is an error."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.client.evaluations import as_job
from airflow_provider_nucleus.client.job_outcome import gone
from airflow_provider_nucleus.exceptions import NucleusMetricsError, NucleusValidationError
from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
from airflow_provider_nucleus.operators.starting import StartIntent
from airflow_provider_nucleus.schema.evaluations import Evaluation
from airflow_provider_nucleus.triggers.events import WaitEvent
from tests.unit.operators.fakes import context

pytestmark = pytest.mark.usefixtures("hook")

MARK = "2026-01-01T00:00:05Z"
CARRY = {
    "model_id": "prj_1",
    "model_run_id": None,
    "copy_from_run": None,
    "benchmark_id": "bm_1",
    "name": "dag run task",
    "rollup_groups": [],
    "exclusion_rules": [],
}


def evaluation(evaluation_id, **change):
    """An evaluation as ours is."""
    ours = {
        "name": "dag run task",
        "benchmark_id": "bm_1",
        "created_at": "2026-01-01T00:00:06Z",
        "status": "computing",
    }
    return Evaluation(id=evaluation_id, **ours | change)


def started(monkeypatch, *known, earlier=MARK):
    """Start an evaluation where others are known; return it and the mark that was declared."""
    task = NucleusEvaluateModelOperator(task_id="evaluate", model_id="prj_1", benchmark_id="bm_1")
    marks = []

    def send(call):
        return list(known) if call.method == "GET" else "ev_new"

    monkeypatch.setattr(task.hook, "send", send)
    (found,) = task.start_jobs(dict(CARRY), StartIntent(marks.append, earlier))
    return found, marks


def test_an_unrecorded_evaluation_is_found(monkeypatch):
    """Of our name and benchmark, and younger than what there was before."""
    assert started(monkeypatch, evaluation("ev_1")) == ("ev_1", [])
    assert started(monkeypatch, evaluation("ev_1"), earlier="") == ("ev_1", [])


@pytest.mark.parametrize(
    "change",
    [
        {"name": "another"},
        {"benchmark_id": "bm_2"},
        {"created_at": MARK},
        {"created_at": None},
        {"status": "failed"},
        {"status": "cancelled"},
    ],
    ids=str,
)
def test_an_evaluation_that_may_not_be_ours_is_not_taken(monkeypatch, change):
    """A stranger's result, or an old one of ours, would be worse than evaluating twice."""
    assert started(monkeypatch, evaluation("ev_1", **change))[0] == "ev_new"


def test_without_an_earlier_intent_nothing_is_looked_for(monkeypatch):
    """Another run's evaluation may have been given the same name; the newest one's time becomes the mark."""
    known = evaluation("ev_1"), evaluation("ev_2", created_at="2026-01-01T00:00:09Z")

    assert started(monkeypatch, *known, earlier=None) == ("ev_new", ["2026-01-01T00:00:09Z"])
    assert started(monkeypatch, earlier=None) == ("ev_new", [""])


def test_an_evaluation_that_vanished_is_not_a_404():
    """Which would forbid the retry that starts another."""
    task = NucleusEvaluateModelOperator(task_id="evaluate", model_id="prj_1", benchmark_id="bm_1")
    event = WaitEvent("finished", {"ev_1": gone("ev_1").model_dump(mode="json")}, CARRY)

    with pytest.raises(NucleusMetricsError, match="ev_1 ended without a result"):
        task.resume_execution("execute_complete", {"event": event.to_payload()}, context(task))


def test_options_are_checked_before_anything_is_made():
    """A misspelt option is refused by name."""
    task = NucleusEvaluateModelOperator(
        task_id="evaluate", model_id="prj_1", benchmark_id="bm_1", options={"max_detection": 300}
    )

    with pytest.raises(NucleusValidationError, match="no option 'max_detection': there are max_detections"):
        task.execute(context(task))


def test_only_options_that_differ_from_the_default_are_sent(monkeypatch):
    """A Nucleus that knows none sees none unless one was chosen."""
    sent = []
    task = NucleusEvaluateModelOperator(task_id="evaluate", model_id="prj_1", benchmark_id="bm_1")

    def send(call):
        sent.append(call.body)
        return [] if call.method == "GET" else "ev_new"

    monkeypatch.setattr(task.hook, "send", send)
    for options in ({}, {"max_detections": 300}):
        task.start_jobs(CARRY | {"options": options}, StartIntent(lambda _: None, None))

    assert [body.get("options") for body in sent if body and "model_id" in body] == [
        None,
        {"max_detections": 300},
    ]


def test_an_evaluation_without_the_options_is_no_success():
    """Its numbers would be others than they seem."""
    task = NucleusEvaluateModelOperator(task_id="evaluate", model_id="prj_1", benchmark_id="bm_1")
    task._evaluations = {"ev_1": evaluation("ev_1", status="succeeded")}
    resume_payload = CARRY | {"options": {"max_detections": 300}, "iou_threshold": 0.5}

    with pytest.raises(NucleusMetricsError, match="computed without max_detections"):
        task.jobs_ended(context(task), {"ev_1": as_job(task._evaluations["ev_1"])}, resume_payload)


def test_predictions_that_are_in_a_run_are_a_matter_of_one_argument():
    """The server says where they are; the task says that it can copy them."""
    task = NucleusEvaluateModelOperator(task_id="evaluate", model_id="prj_1", benchmark_id="bm_1")
    reason = "1 are in its run run_1. Copy them with model.copy_predictions_from_run"
    task._evaluations = {"ev_1": evaluation("ev_1", status="failed", error_message=reason)}

    with pytest.raises(
        NucleusMetricsError, match=r"are in its run run_1.*copy_from_run has this task copy them"
    ):
        task.jobs_ended(
            context(task), {"ev_1": as_job(task._evaluations["ev_1"])}, CARRY | {"iou_threshold": 0.5}
        )
