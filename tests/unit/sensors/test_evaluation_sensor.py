"""The evaluation sensor: looks that fail and a deadline that passed are as for jobs."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusConfigError,
    NucleusJobTimeout,
    NucleusMetricsError,
    NucleusServerError,
)
from airflow_provider_nucleus.schema.evaluations import Evaluation
from airflow_provider_nucleus.sensors.evaluation import NucleusEvaluationSensor
from airflow_provider_nucleus.triggers.evaluation import NucleusEvaluationTrigger
from airflow_provider_nucleus.triggers.events import WaitEvent
from tests.unit.operators.fakes import context, looks

pytestmark = pytest.mark.usefixtures("hook")


def sensor(monkeypatch, *statuses, **arguments):
    """Return a sensor that sees the given statuses and errors in turn, the last one for ever."""
    made = NucleusEvaluationSensor(
        task_id="wait", evaluation_id="ev_1", poke_interval=0.001, timeout=60, **arguments
    )
    left = list(statuses)

    def look(evaluation_id):
        seen = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(seen, Exception):
            raise seen
        return Evaluation(id=evaluation_id, benchmark_id="bm_1", status=seen, error_message="no boxes")

    looks(monkeypatch, made, look)
    return made


TROUBLE = [NucleusServerError("500", status=500), NucleusAnswerError("a portal's page", status=200)]


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda error: type(error).__name__)
def test_failed_looks_are_ridden_out(monkeypatch, trouble):
    """Poking goes on, and the first look of a deferrable sensor leads to the triggerer."""
    poking = sensor(monkeypatch, trouble, trouble, "succeeded", deferrable=False)
    assert poking.execute(context(poking))["status"] == "succeeded"

    deferrable = sensor(monkeypatch, trouble, deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        deferrable.execute(context(deferrable))
    assert type(caught.value.trigger) is NucleusEvaluationTrigger


@pytest.mark.parametrize(
    ("status", "error"), [("computing", AirflowSensorTimeout), ("failed", NucleusMetricsError)]
)
def test_deadline_is_followed_by_one_look(monkeypatch, status, error):
    """What still runs has timed out, what failed has failed, and what succeeded has succeeded."""
    event = {"event": WaitEvent("timeout", {"ev_1": {}}).to_payload()}
    late = sensor(monkeypatch, status, deferrable=True)
    with pytest.raises(error):
        late.resume_execution("execute_complete", event, context(late))

    done = sensor(monkeypatch, "succeeded", deferrable=True)
    assert done.resume_execution("execute_complete", event, context(done))["evaluation_id"] == "ev_1"


@pytest.mark.parametrize("status", ["finished", "unreachable"])
def test_every_event_is_followed_by_a_look(monkeypatch, status):
    """The event does not hold the evaluation itself; one that still runs was lost sight of."""
    event = {"event": WaitEvent(status, {"ev_1": {"status": "Completed"}}, message="503").to_payload()}
    done = sensor(monkeypatch, "succeeded", deferrable=True)
    assert done.resume_execution("execute_complete", event, context(done))["status"] == "succeeded"

    lost = sensor(monkeypatch, "computing", deferrable=True)
    with pytest.raises(NucleusJobTimeout, match="Lost sight of ev_1: 503"):
        lost.resume_execution("execute_complete", event, context(lost))


@pytest.mark.parametrize("deferrable", [False, True])
def test_never_fail_skips_in_both_modes(monkeypatch, deferrable):
    """`never_fail` turns a failed evaluation into a skip."""
    made = sensor(monkeypatch, "failed", deferrable=deferrable, never_fail=True)

    with pytest.raises(AirflowSkipException):
        made.execute(context(made))


def test_blank_evaluation_is_refused():
    """A template that found nothing is not an evaluation."""
    made = NucleusEvaluationSensor(task_id="wait", evaluation_id="None")

    with pytest.raises(NucleusConfigError, match="evaluation_id is empty"):
        made.execute(context(made))
