"""One server that is away for a while, everybody who waits: the same outcome for all, on a clock that nobody waits for."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import sys
from datetime import timedelta
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import BaseSensorOperator, TaskDeferred

from airflow_provider_nucleus.client import AsyncNucleusClient, NucleusClient, NucleusConfig
from airflow_provider_nucleus.client.benchmarks import ensure_benchmark
from airflow_provider_nucleus.client.exchange import Failure, Response
from airflow_provider_nucleus.client.retry import NoAnswer
from airflow_provider_nucleus.client.uploads import StartedUpload, Upload, UploadOptions, UploadTarget
from airflow_provider_nucleus.exceptions import (
    NucleusAuthError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusError,
    NucleusMetricsError,
    NucleusServerError,
)
from airflow_provider_nucleus.hooks import nucleus as hook_module
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.operators import waiting as waiting_operator
from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
from airflow_provider_nucleus.operators.waiting import NucleusWaitingOperator
from airflow_provider_nucleus.sensors import base as sensor_base
from airflow_provider_nucleus.sensors.evaluation import NucleusEvaluationSensor
from airflow_provider_nucleus.sensors.job import NucleusJobSensor
from airflow_provider_nucleus.sources import open_rows
from airflow_provider_nucleus.triggers import job as job_trigger
from airflow_provider_nucleus.triggers import poller, watcher
from tests.airflow.harness import connection_json
from tests.unit.operators.fakes import StateStore, context
from tests.virtual_time import Clock, VirtualLoop

ENDPOINT = "http://nucleus.test/v1/nucleus"
LOOK = re.compile(r"GET /v1/nucleus/(job/job_1|evaluationsV2/ev_1|benchmarks/bm_1)$")
LEFT = re.compile(r"(Job job_1|Evaluation ev_1|Benchmark bm_1) was left as it is and may still be running")
JOB = {"job_id": "job_1", "job_last_known_status": "Running", "job_type": "uploadDatasetItems"}


ROWS_JOB = "POST /v1/nucleus/dataset/ds_1/annotate?async=1"


class Script:
    """A Nucleus whose objects run until an outage, which begins a second after the first look, and have ended after it.

    `begins` is another request whose first one begins the outage instead.
    """

    def __init__(self, clock: Clock, seconds: float, *, well: bool = True) -> None:
        self.clock = clock
        self.seconds = seconds
        self.well = well
        self.first_look: float | None = None
        self.first_failure: float | None = None
        self.begins: str | None = None
        self.unreachable = False
        self.away = Response(503, {}, b'{"error": "away"}')
        self.requests: list[str] = []

    def answer(self, request: Any) -> Response | Failure:
        """Answer a request as of now."""
        line = f"{request.method} {request.url.partition('nucleus.test')[2]}"
        self.requests.append(line)
        look = LOOK.match(line) if self.begins is None else re.match(self.begins, line)
        if look and self.first_look is None:
            self.first_look = self.clock.now - (self.begins is not None)
        since = 0.0 if self.first_look is None else self.clock.now - self.first_look
        if 1 <= since < 1 + self.seconds:
            self.first_failure = self.first_failure or self.clock.now
            if self.unreachable:
                return Failure(NoAnswer.NOT_SENT, OSError("no route"))
            return self.away
        return Response(200, {}, json.dumps(self._body(line, ended=since >= 1 or not self.seconds)).encode())

    def _body(self, line: str, *, ended: bool) -> Any:
        route = line.partition("/v1/nucleus/")[2]
        if route == "job/job_1":
            status = ("Completed" if self.well else "Errored") if ended else "Running"
            counts = {"completed": 1, "errored": 0, "pending": 0}
            rows = {"processed": 1, "ignored": 0, "errored": 0}
            message = (
                {"annotation_upload": rows} if ROWS_JOB in self.requests else {"image_upload_step": counts}
            )
            return {"status": status, "job_id": "job_1", "message": message}
        if route == "evaluationsV2/ev_1":
            status = ("succeeded" if self.well else "failed") if ended else "computing"
            return {"id": "ev_1", "status": status, "benchmark_id": "bm_1", "model_id": "prj_1"}
        if route == "benchmarks/bm_1":
            return {"benchmark_id": "bm_1", "name": "b", "status": "ready" if ended else "building"}
        if route == "benchmarks":
            return [{"benchmark_id": "bm_1", "name": "b", "status": "building"}]
        if "signedUrl" in route:
            return {"signed_url": "http://nucleus.test/bucket"}
        if route == "dataset/ds_1/annotate":
            return {"annotations_processed": 1, "annotations_ignored": 0}
        # Errors of a job, jobs, and the start of one.
        return [] if "errors" in route or route == "jobs/" else JOB


class World:
    """A Nucleus by script, and everything that asks it on one clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Any) -> None:
        self.clock = Clock()
        self.folder = folder
        self.store = StateStore() if find_spec("airflow.sdk") else None
        self.script = Script(self.clock, 0)
        client = functools.partial(NucleusClient, sleep=self.clock.sleep, clock=self.clock)
        self.client = client(NucleusConfig(endpoint=ENDPOINT, api_key="key"))

        async def perform(_: Any, request: Any) -> Response | Failure:  # ruff: ignore[unused-async] - as the real one
            return self.script.answer(request)

        async def opened(_: Any) -> None: ...

        async def config(hook: NucleusHook) -> NucleusConfig:  # ruff: ignore[unused-async] - as the real one
            return hook.config

        monkeypatch.setenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", connection_json(endpoint=ENDPOINT, api_key="key"))
        monkeypatch.setattr(NucleusClient, "_perform", lambda _, request: self.script.answer(request))
        monkeypatch.setattr(AsyncNucleusClient, "_perform", perform)
        monkeypatch.setattr(AsyncNucleusClient, "_opened", opened)
        monkeypatch.setattr(NucleusHook, "async_config", config)
        monkeypatch.setattr(hook_module, "NucleusClient", client)
        time = SimpleNamespace(time=self.clock, monotonic=self.clock, sleep=self.clock.sleep)
        airflows = sys.modules[BaseSensorOperator.__module__]
        for module in (airflows, sensor_base, waiting_operator, job_trigger, poller, watcher):
            monkeypatch.setattr(module, "time", time)

    def run(self, make: Any) -> Any:
        """Run a task as Airflow does: until it neither defers nor reschedules itself, each time in another process."""
        task = make()
        run = functools.partial(task.execute, self.context(task))
        while True:
            try:
                return run()
            except TaskDeferred as deferral:
                payload = self.event(deferral.trigger)
                task = make()
                run = functools.partial(
                    task.resume_execution, deferral.method_name, {"event": payload}, self.context(task)
                )
            except AirflowRescheduleException:
                self.clock.sleep(task.poke_interval)
                task = make()
                run = functools.partial(task.execute, self.context(task))

    def context(self, task: Any) -> dict[str, Any]:
        """Return the context of the one try."""
        made = context(task, store=self.store)
        made["ti"].get_first_reschedule_date = lambda _: None
        made["ti"].try_number = 1
        return made

    def event(self, trigger: Any) -> Any:
        """Run a trigger in a triggerer of its own, and return what it sent."""

        async def one() -> Any:
            (event,) = [event async for event in trigger.run()]
            return event.payload

        with asyncio.Runner(loop_factory=lambda: VirtualLoop(self.clock)) as runner:
            return runner.run(one())


class Waits(NucleusWaitingOperator):
    """Waits for a job that somebody else has started."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(task_id="wait", poll_interval=10.0, **arguments)

    def execute(self, context: Any) -> Any:
        return self.wait_for_jobs(context, ["job_1"], {})

    def jobs_ended(self, context: Any, statuses: Any, resume_payload: Any) -> Any:
        return {job_id: status.status for job_id, status in statuses.items()}


def operator(world: World, **arguments: Any) -> Any:
    """An operator, in the worker or deferred."""
    return world.run(lambda: Waits(**arguments))


def job_sensor(world: World, **arguments: Any) -> Any:
    """A sensor of a job."""
    return world.run(
        lambda: NucleusJobSensor(task_id="see", job_id="job_1", poke_interval=10, timeout=9_999, **arguments)
    )


def evaluation_sensor(world: World, **arguments: Any) -> Any:
    """A sensor of an evaluation."""
    return world.run(
        lambda: NucleusEvaluationSensor(
            task_id="see", evaluation_id="ev_1", poke_interval=10, timeout=9_999, **arguments
        )
    )


def upload(world: World) -> Any:
    """The wait for the jobs of an upload."""
    made = Upload(world.client, UploadTarget("annotations", "ds_1"), list, UploadOptions(poll_interval=10.0))
    return made.wait(StartedUpload(["job_1"], done=False, reason="started"))


def images(world: World) -> Any:
    """An upload of an image, which waits for the job that takes it in."""
    (world.folder / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(40))
    rows = [{"reference_id": "a", "image_url": str(world.folder / "a.jpg")}]
    options = UploadOptions(local_root=str(world.folder), poll_interval=10.0)
    target = UploadTarget("items", "ds_1")
    return Upload(world.client, target, lambda: open_rows(rows, kind="items"), options).run()


def rows(world: World, *, begins: str, asynchronous: bool) -> Any:
    """An upload of a box, in a request or as a file with a job; the outage begins with one of its requests."""
    world.script.begins = begins
    box = {"reference_id": "a", "label": "car", "type": "box", "annotation_id": "1"}
    box["geometry"] = {"x": 1, "y": 1, "width": 2, "height": 2}
    options = UploadOptions(asynchronous=asynchronous, poll_interval=10.0)
    target = UploadTarget("annotations", "ds_1")
    return Upload(world.client, target, lambda: open_rows([box], kind="annotations"), options).run()


def benchmark(world: World) -> Any:
    """The wait for a benchmark that is being made."""
    return ensure_benchmark(world.client, "b", poll_interval=10.0, timeout=9_999)


CALLERS = {
    "worker": functools.partial(operator, deferrable=False),
    "deferred": functools.partial(operator, deferrable=True),
    "upload": upload,
    "images of an upload": images,
    "rows in a request": functools.partial(rows, begins="POST .*/annotate$", asynchronous=False),
    "jobs before an upload": functools.partial(rows, begins="POST .*/jobs/$", asynchronous=True),
    "address of a file": functools.partial(rows, begins="GET .*/signedUrl/", asynchronous=True),
    "file of rows": functools.partial(rows, begins="PUT ", asynchronous=True),
    "start of a job": functools.partial(rows, begins=re.escape(ROWS_JOB), asynchronous=True),
    "benchmark": benchmark,
} | {
    f"{name} {way}": functools.partial(sensor, **arguments)
    for name, sensor in (("job sensor", job_sensor), ("evaluation sensor", evaluation_sensor))
    for way, arguments in {
        "poking": {"deferrable": False, "mode": "poke"},
        "rescheduled": {"deferrable": False, "mode": "reschedule"},
        "deferred": {"deferrable": True},
    }.items()
}


@pytest.fixture
def world(monkeypatch, tmp_path, request) -> World:
    """Everything on one clock."""
    made = World(monkeypatch, tmp_path)
    if made.store is None and "rescheduled" in request.node.name:
        pytest.skip("task state comes with Airflow 3.3")
    return made


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("seconds", [10, 5 * 60, 11 * 60])
def test_everybody_rides_out_the_same_outage(world: World, caller: str, seconds: float):
    """Ten seconds and five minutes are nothing; eleven minutes are too long, and the error says so, with its own type."""
    world.script.seconds = seconds
    if seconds < 600:
        assert CALLERS[caller](world)
        return

    with pytest.raises(NucleusServerError) as caught:
        CALLERS[caller](world)

    said = str(caught.value)
    assert "answered 503" in said
    assert "Requests failed for longer than ride_out allows (600 s)." in said
    assert bool(LEFT.search(said)) == (world.script.begins is None)
    if caller in {"worker", "deferred", "upload"}:
        assert said.count("A retry attaches to what still runs.") == 1
    # Not before, and not later than the longest pause between two looks.
    assert world.script.first_failure is not None
    assert 600 <= round(world.clock.now - world.script.first_failure, 6) <= 660


PASSING = {
    "request time-out": Response(408, {}, b""),
    "too early": Response(425, {}, b""),
    "conflict": Response(409, {}, b'{"error":"busy"}'),
    "locked": Response(423, {}, b'{"error":"locked"}'),
    "portal": Response(302, {"location": "http://portal.test/login"}, b""),
    "ingress": Response(404, {}, b"default backend - 404"),
    "gateway": Response(404, {}, b'{"message":"no Route matched with those values"}'),
    "framework": Response(404, {}, b'{"timestamp":1,"status":404,"error":"Not Found","path":"/v1"}'),
    "page": Response(403, {}, b"<!DOCTYPE html><title>Access denied</title>"),
    "login page": Response(200, {}, b"<html><title>Log in</title></html>"),
    "nothing": Response(200, {}, b""),
    "no such object": Response(200, {}, b'{"ok": true}'),
    "cloud front": Response(530, {}, b"error code: 1016"),
}
"""Answers that say nothing of the object of a look."""

FEW = ["worker", "deferred", "upload", "benchmark", "job sensor rescheduled", "evaluation sensor deferred"]


@pytest.mark.parametrize("caller", FEW)
@pytest.mark.parametrize("answer", PASSING)
def test_an_answer_that_says_nothing_of_the_object_is_an_outage(world: World, caller: str, answer: str):
    """It is neither gone nor failed; nothing is started or sent again."""
    world.script.seconds, world.script.away = 5 * 60, PASSING[answer]

    assert CALLERS[caller](world)
    assert not [line for line in world.script.requests if "POST" in line and "jobs/" not in line]


@pytest.mark.parametrize("caller", ["file of rows", "rows in a request", "jobs before an upload"])
@pytest.mark.parametrize("answer", ["request time-out", "cloud front"])
def test_uploads_ride_out_what_passes(world: World, caller: str, answer: str):
    """Where repeating is harmless."""
    world.script.seconds, world.script.away = 5 * 60, PASSING[answer]

    assert CALLERS[caller](world)


@pytest.mark.parametrize("caller", FEW)
def test_a_few_refusals_in_a_row_pass_and_many_do_not(world: World, caller: str):
    """Gateways forbid what is too much for them; a key without rights stays one."""
    world.script.away = Response(403, {}, b'{"error":"not now"}')
    world.script.seconds = 25
    assert CALLERS[caller](world)

    world.script = Script(world.clock, 11 * 60)
    world.script.away = Response(403, {}, b'{"error":"not now"}')
    begun = world.clock.now
    with pytest.raises(NucleusAuthError, match="not now"):
        CALLERS[caller](world)
    assert world.clock.now - begun < 300


@pytest.mark.parametrize("caller", FEW)
def test_a_header_that_asks_for_a_year_does_not_end_all_looks(world: World, caller: str):
    """Nor does one that asks for it in a way that nobody can read."""
    for asked in ("31536000", "Mon, 01 Jan 99999999999 00:00:00 GMT", "9" * 5000):
        world.script = Script(world.clock, 60)
        world.script.away = Response(503, {"retry-after": asked}, b"{}")
        begun = world.clock.now
        assert CALLERS[caller](world)
        assert world.clock.now - begun < 600


@pytest.mark.parametrize("seconds", [10, 5 * 60, 11 * 60])
def test_a_start_that_never_leaves_rides_out_no_longer(world: World, seconds: float):
    """No connection comes about, neither for the start nor for the search for its job: it is one outage."""
    world.script.seconds = seconds
    world.script.unreachable = True
    if seconds < 600:
        assert CALLERS["start of a job"](world)
        assert world.script.requests.count("PUT /bucket") == 1
        return

    with pytest.raises(NucleusConnectionError, match=r"ride_out allows \(600 s\)"):
        CALLERS["start of a job"](world)
    assert world.script.first_failure is not None
    assert 600 <= round(world.clock.now - world.script.first_failure, 6) <= 660


@pytest.mark.parametrize("caller", [name for name in CALLERS if "sensor" in name or name == "deferred"])
@pytest.mark.parametrize(("ride_out", "ends"), [(0, False), (700, True)])
def test_how_long_is_for_the_task_to_say(world: World, monkeypatch, caller: str, ride_out: float, ends: bool):
    """Not at all, or longer than the outage."""
    world.script.seconds = 11 * 60
    patient = functools.partial(CALLERS[caller], ride_out=ride_out)
    if ends:
        assert patient(world)
        return
    with pytest.raises(NucleusError, match=r"ride_out allows \(0 s\)"):
        patient(world)
    assert world.clock.now == world.script.first_failure


@pytest.mark.parametrize("ride_out", [-1, float("nan"), float("inf"), "long", True, timedelta(seconds=-1)])
@pytest.mark.parametrize("task", [Waits, functools.partial(NucleusJobSensor, task_id="see", job_id="job_1")])
def test_what_is_no_duration_is_refused_in_the_dag_file(task: Any, ride_out: Any):
    """With the name of the argument."""
    with pytest.raises(NucleusConfigError, match="ride_out must be a number of seconds, 0 or more, not"):
        task(ride_out=ride_out)


def test_a_duration_may_be_a_timedelta():
    """It reaches the triggerer in seconds."""
    task = Waits(ride_out=timedelta(minutes=5), deferrable=True)

    assert task.trigger_for(["job_1"], {}).serialize()[1]["ride_out"] == 300.0


def test_a_rescheduled_sensor_forgets_an_outage_that_is_over(world: World):
    """Its next one is ridden out anew; and nothing is left in Airflow's store."""
    world.script.seconds = 5 * 60
    seen = []
    assert world.store is not None
    replaced = world.store.set
    world.store.set = lambda key, value, **more: seen.append(value) or replaced(key, value, **more)

    assert job_sensor(world, deferrable=False, mode="reschedule")
    assert [value["failing"] for value in seen] == [{"job_1": world.script.first_failure}]
    assert world.store.values == {}


def test_another_try_of_a_rescheduled_sensor_begins_an_outage_anew(world: World):
    """A try that gave up leaves nothing that would end the next one at its first look."""
    assert world.store is not None
    world.store.values["nucleus_outage"] = json.dumps({"try_number": 0, "failing": {"job_1": 1.0}})
    world.script.seconds = 5 * 60
    world.script.first_look = world.clock.now - 1
    assert job_sensor(world, deferrable=False, mode="reschedule")

    world.script = Script(world.clock, 11 * 60)
    with pytest.raises(NucleusServerError):
        job_sensor(world, deferrable=False, mode="reschedule")
    assert world.store.values == {}


@pytest.mark.parametrize(
    "record",
    [
        "x",
        [],
        {"try_number": 1},
        {"try_number": 1, "failing": ["job_1"]},
        {"try_number": 1, "failing": {"job_1": "x"}},
    ],
)
def test_a_rescheduled_sensor_takes_no_notice_of_a_broken_record(world: World, record: Any):
    """The store may hold anything under the key; the outage begins anew."""
    assert world.store is not None
    world.store.values["nucleus_outage"] = json.dumps(record)
    world.script.seconds = 5 * 60

    assert job_sensor(world, deferrable=False, mode="reschedule")
    assert world.store.values == {}


def test_an_evaluation_that_ended_is_looked_at_once(world: World):
    """In the worker, which has seen all it needs to say why it failed."""
    world.script = Script(world.clock, 0, well=False)
    task = NucleusEvaluateModelOperator(task_id="evaluate", model_id="prj_1", benchmark_id="bm_1")

    with pytest.raises(NucleusMetricsError, match="failed"):
        task.wait_for_jobs(world.context(task), ["ev_1"], {})
    assert world.script.requests == ["GET /v1/nucleus/evaluationsV2/ev_1"]
