"""The job sensor: the same outcome whether it pokes or is deferred."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusAuthError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusJobCancelled,
    NucleusJobFailed,
    NucleusJobTimeout,
    NucleusServerError,
)
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.sensors.job import NucleusJobSensor
from airflow_provider_nucleus.triggers.events import WaitEvent
from tests.unit.operators.fakes import context, looks

pytestmark = pytest.mark.usefixtures("hook")


def outcome(monkeypatch, deferrable, *statuses, **arguments):
    """Run a sensor over jobs that are Running first and then have the given statuses; return its result."""
    jobs = {f"job_{number}": status for number, status in enumerate(statuses)}
    looked = []

    def look(job_id):
        looked.append(job_id)
        status = "Running" if len(looked) <= len(jobs) else jobs[job_id]
        return JobStatus(status=status, job_id=job_id, message={})

    def sensor():
        made = NucleusJobSensor(
            task_id="wait",
            job_id=list(jobs),
            deferrable=deferrable,
            poke_interval=0.001,
            timeout=60,
            **arguments,
        )
        looks(monkeypatch, made, look)
        monkeypatch.setattr(made.hook, "job_errors", lambda _: ["row 7 is bad"])
        return made

    task = sensor()
    if not deferrable:
        return task.execute(context(task))
    with pytest.raises(TaskDeferred) as caught:
        task.execute(context(task))
    event = WaitEvent(
        "finished",
        {job: look(job).model_dump(mode="json") for job in jobs},
        caught.value.trigger.resume_payload,
    )
    woken = sensor()
    return woken.resume_execution(caught.value.method_name, {"event": event.to_payload()}, context(woken))


@pytest.mark.parametrize("deferrable", [False, True])
def test_success_returns_the_statuses(monkeypatch, deferrable):
    """All jobs completed."""
    assert outcome(monkeypatch, deferrable, "Completed", "Completed") == {
        "jobs": {"job_0": "Completed", "job_1": "Completed"}
    }


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("soft_fail", [False, True])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("Errored_Server", NucleusJobFailed),
        ("Errored_Partial", NucleusJobFailed),
        ("Cancelled", NucleusJobCancelled),
        ("Retried", NucleusJobCancelled),
        ("Nonsense", NucleusJobFailed),
    ],
)
def test_job_that_ended_badly_fails_in_both_modes(monkeypatch, deferrable, soft_fail, status, error):
    """The error is typed, names the first row errors, and is no skip under soft_fail."""
    with pytest.raises(error, match="row 7 is bad"):
        outcome(monkeypatch, deferrable, "Completed", status, soft_fail=soft_fail)


@pytest.mark.parametrize("deferrable", [False, True])
def test_partial_success_may_count_as_success(monkeypatch, deferrable):
    """Whoever can live with part of the rows says so."""
    result = outcome(monkeypatch, deferrable, "Errored_Partial", on_partial="succeed")

    assert result == {"jobs": {"job_0": "Errored_Partial"}}


@pytest.mark.parametrize("deferrable", [False, True])
def test_never_fail_skips_in_both_modes(monkeypatch, deferrable):
    """`never_fail` turns a bad end into a skip."""
    with pytest.raises(AirflowSkipException):
        outcome(monkeypatch, deferrable, "Errored_Server", never_fail=True)


@pytest.mark.parametrize(
    ("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)]
)
def test_timeout_is_airflows_own(soft_fail, error):
    """The deadline of a deferred sensor raises what a poking sensor raises; soft_fail makes it a skip."""
    sensor = NucleusJobSensor(task_id="wait", job_id="job_1", deferrable=True, timeout=5, soft_fail=soft_fail)
    event = WaitEvent("timeout", {"job_1": {}})

    with pytest.raises(error):
        sensor.resume_execution("execute_complete", {"event": event.to_payload()}, context(sensor))


def test_lost_sight_costs_one_look(monkeypatch):
    """When the triggerer lost sight of a job, the worker looks once; a job still running leaves the retry to Airflow."""
    sensor = NucleusJobSensor(task_id="wait", job_id="job_1", deferrable=True)
    looks(monkeypatch, sensor, lambda job: JobStatus(status="Running", job_id=job))
    event = WaitEvent("unreachable", {"job_1": {}}, message="503")

    with pytest.raises(NucleusJobTimeout, match="503"):
        sensor.resume_execution("execute_complete", {"event": event.to_payload()}, context(sensor))


def woken_late(sensor, message):
    """Wake a sensor after its deadline: by its trigger's event, or by the scheduler that ends the deferral."""
    if message == "event":
        event = WaitEvent("timeout", {"job_1": {}})
        return sensor.resume_execution("execute_complete", {"event": event.to_payload()}, context(sensor))
    return sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, context(sensor))


@pytest.mark.parametrize("message", ["event", "scheduler"])
def test_what_ended_while_nobody_looked_has_not_timed_out(monkeypatch, message):
    """The deadline passed while the triggerer was down; the job is long done."""
    sensor = NucleusJobSensor(task_id="wait", job_id="job_1", deferrable=True)
    looks(monkeypatch, sensor, lambda job: JobStatus(status="Completed", job_id=job))

    assert woken_late(sensor, message) == {"jobs": {"job_1": "Completed"}}


@pytest.mark.parametrize("message", ["event", "scheduler"])
@pytest.mark.parametrize(
    ("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)]
)
def test_what_still_runs_after_the_deadline_has_timed_out(monkeypatch, message, soft_fail, error):
    """However the task is woken."""
    sensor = NucleusJobSensor(task_id="wait", job_id="job_1", deferrable=True, soft_fail=soft_fail)
    looks(monkeypatch, sensor, lambda job: JobStatus(status="Running", job_id=job))

    with pytest.raises(error):
        woken_late(sensor, message)


@pytest.mark.parametrize("message", ["event", "scheduler"])
def test_what_failed_while_nobody_looked_is_a_failure(monkeypatch, message):
    """Not a time-out, and no skip under soft_fail."""
    sensor = NucleusJobSensor(task_id="wait", job_id="job_1", deferrable=True, soft_fail=True)
    looks(monkeypatch, sensor, lambda job: JobStatus(status="Errored", job_id=job))
    monkeypatch.setattr(sensor.hook, "job_errors", lambda _: ["row 7 is bad"])

    with pytest.raises(NucleusJobFailed, match="row 7 is bad"):
        woken_late(sensor, message)


PASSING = [
    NucleusServerError("500", status=500),
    NucleusAnswerError("a portal's page", status=200),
    NucleusConnectionError("no answer"),
]


def troubled(monkeypatch, *troubles, **arguments):
    """Return a sensor whose looks fail as told before the job shows as completed."""
    sensor = NucleusJobSensor(task_id="wait", job_id="job_1", poke_interval=0.001, timeout=60, **arguments)
    left = list(troubles)

    def look(job):
        if left:
            raise left.pop(0)
        return JobStatus(status="Completed", job_id=job)

    looks(monkeypatch, sensor, look)
    return sensor


@pytest.mark.parametrize("trouble", PASSING, ids=lambda error: type(error).__name__)
def test_poke_rides_out_what_passes(monkeypatch, trouble):
    """However often, for as long as `ride_out` says; no second passes here."""
    sensor = troubled(monkeypatch, *[trouble] * 40, deferrable=False)

    assert sensor.execute(context(sensor)) == {"jobs": {"job_1": "Completed"}}


@pytest.mark.parametrize("trouble", PASSING, ids=lambda error: type(error).__name__)
def test_first_look_of_a_deferrable_sensor_may_fail(monkeypatch, trouble):
    """The trigger goes on looking."""
    sensor = troubled(monkeypatch, trouble, deferrable=True)

    with pytest.raises(TaskDeferred):
        sensor.execute(context(sensor))


def test_looks_that_never_succeed_end_the_sensor(monkeypatch):
    """The last failure is raised, with its own type for the retry policy."""
    sensor = troubled(monkeypatch, *[PASSING[0]] * 2, deferrable=False, ride_out=0)

    with pytest.raises(NucleusServerError):
        sensor.execute(context(sensor))


@pytest.mark.parametrize("deferrable", [False, True])
def test_what_does_not_pass_ends_the_sensor_at_once(monkeypatch, deferrable):
    """A wrong key, in both modes; `never_fail` makes it a skip in both."""
    wrong_key = NucleusAuthError("wrong key", status=401)
    sensor = troubled(monkeypatch, wrong_key, deferrable=deferrable)
    with pytest.raises(NucleusAuthError):
        sensor.execute(context(sensor))

    sensor = troubled(monkeypatch, wrong_key, deferrable=deferrable, never_fail=True)
    with pytest.raises(AirflowSkipException):
        sensor.execute(context(sensor))


def test_one_failed_look_does_not_hide_a_failed_job(monkeypatch):
    """A job that has ended badly ends the sensor, though another could not be looked at."""
    sensor = NucleusJobSensor(task_id="wait", job_id=["job_1", "job_2"], deferrable=False)

    def look(job):
        if job == "job_2":
            raise PASSING[0]
        return JobStatus(status="Errored", job_id=job)

    looks(monkeypatch, sensor, look)
    monkeypatch.setattr(sensor.hook, "job_errors", lambda _: [])

    with pytest.raises(NucleusJobFailed):
        sensor.execute(context(sensor))


@pytest.mark.parametrize("job_id", ["", None, [], ["job_1", "None"]])
def test_blank_job_is_refused(job_id):
    """A template that found nothing is not a job."""
    sensor = NucleusJobSensor(task_id="wait", job_id=job_id)

    with pytest.raises(NucleusConfigError, match="job_id is empty"):
        sensor.execute(context(sensor))


def test_unknown_job_of_a_real_server_is_named():
    """The server's 404 reaches the log with the id."""
    sensor = NucleusJobSensor(task_id="wait", job_id="job_nope", deferrable=False)

    with pytest.raises(Exception, match="job_nope"):
        sensor.execute(context(sensor))


def test_many_jobs_are_waited_for_like_one(monkeypatch):
    """However long the list that was asked for, jobs that ended well do not fail the task over its size."""
    assert len(outcome(monkeypatch, False, *["Completed"] * 500)["jobs"]) == 500


def full(job):
    """A job that waits for room."""
    return JobStatus(status="Running", job_id=job, message={"waiting": "The disk is full"})


@pytest.mark.parametrize("message", ["event", "scheduler"])
def test_a_timeout_says_why_the_job_waits(monkeypatch, message):
    """However the task is woken."""
    sensor = NucleusJobSensor(task_id="wait", job_id="job_1", deferrable=True)
    looks(monkeypatch, sensor, full)

    with pytest.raises(AirflowSensorTimeout, match=r"The server says: The disk is full\. Make room there"):
        woken_late(sensor, message)


def test_the_event_knows_why_the_job_waited(monkeypatch):
    """When the last look fails."""
    sensor = troubled(monkeypatch, PASSING[0], deferrable=True)
    event = WaitEvent("timeout", {"job_1": full("job_1").model_dump(mode="json")})

    with pytest.raises(AirflowSensorTimeout, match="The disk is full"):
        sensor.resume_execution("execute_complete", {"event": event.to_payload()}, context(sensor))


def test_a_poke_says_why_the_job_waits(monkeypatch, caplog, capsys):
    """Once."""
    sensor = NucleusJobSensor(task_id="wait", job_id="job_1", deferrable=False)
    looks(monkeypatch, sensor, full)

    sensor.poke(context(sensor))
    sensor.poke(context(sensor))

    # Tasks log through the standard library, to the output or to both, as the Airflow is.
    logs = caplog.text, capsys.readouterr().out
    assert max(log.count("Job job_1 waits, the server says: The disk is full") for log in logs) == 1
