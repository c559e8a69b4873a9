"""The job trigger against a server that answers as told: events, deadlines, failures, killing."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_provider_nucleus.client.waiting import Patience
from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.triggers import backoff, job
from airflow_provider_nucleus.triggers.evaluation import NucleusEvaluationTrigger
from airflow_provider_nucleus.triggers.events import WaitEvent
from airflow_provider_nucleus.triggers.job import NucleusJobTrigger
from tests.airflow.harness import connection_json

KEY = "live_0123456789abcdef"


class Script:
    """A Nucleus whose jobs answer from a list of (status code, body), the last one for ever."""

    def __init__(self, answers: list[tuple[int, dict[str, Any]]], *, cancel: int = 200) -> None:
        self.answers = answers
        self.cancel = cancel
        self.requests: Counter[str] = Counter()
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                script.requests["look"] += 1
                self.answer(*script.look(self.path))

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                script.requests[self.path.rpartition("/")[2] or "list"] += 1
                listing = self.path.endswith("/jobs/")
                self.answer(200 if listing else script.cancel, [] if listing else {"job_id": "job_1"})

            def answer(self, status: int, body: Any) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def look(self, path: str) -> tuple[int, dict[str, Any]]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1/nucleus"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


RUNNING = (200, {"status": "Running", "job_id": "job_1"})
COMPLETED = (200, {"status": "Completed", "job_id": "job_1", "message": {"annotation_upload": {"total": 1}}})
AWAY = (503, {"error": "away"})


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """Make a scripted Nucleus the connection `probe`; pauses between rounds last no time."""
    with contextlib.ExitStack() as stack:

        def start(*answers: tuple[int, dict[str, Any]], **options: Any) -> Script:
            server = Script(list(answers), **options)
            stack.callback(server.close)
            monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection_json(endpoint=server.endpoint, api_key=KEY))
            return server

        monkeypatch.setattr(backoff, "MAX_BACK_OFF", 0.0)
        yield start


def trigger(**changes: Any) -> NucleusJobTrigger:
    """Return a trigger that waits for one job."""
    arguments: dict[str, Any] = {
        "nucleus_conn_id": "probe",
        "job_ids": ["job_1"],
        "deadline": time.time() + 60,
        "poll_interval": 0.001,
        "resume_payload": {"dataset_id": "ds_1"},
    }
    return NucleusJobTrigger(**arguments | changes)


def events(waiting: NucleusJobTrigger) -> list[WaitEvent]:
    """Run a trigger to its end and return everything it sent."""

    async def collect() -> list[WaitEvent]:
        return [WaitEvent.from_payload(event.payload) async for event in waiting.run()]

    return asyncio.run(collect())


def test_serialisation_round_trip():
    """A trigger made anew from what it serialises, over JSON, is the same trigger."""
    first = trigger(ride_out=3.0, cancel_on_kill=False)
    path, arguments = first.serialize()
    module, _, name = path.rpartition(".")
    second = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))

    assert first.serialize() == second.serialize()


def test_airflows_own_encoding_keeps_the_arguments():
    """What Airflow stores of the trigger decodes to the same arguments."""
    decoders = pytest.importorskip("airflow.serialization.decoders", reason="moved in Airflow 3.2")
    encoders = pytest.importorskip("airflow.serialization.encoders")
    first = trigger()

    assert first.serialize()[1] == decoders.smart_decode_trigger_kwargs(
        encoders.encode_trigger(first)["kwargs"]
    )


def test_arguments_hold_no_secret(script):
    """Airflow prints a trigger's arguments; the key is not among them."""
    script(COMPLETED)

    assert KEY not in repr(trigger())


@pytest.mark.parametrize("resume_payload", [{"x": object()}, {"x": float("nan")}, {"x": (1, 2)}, {1: "x"}])
def test_what_cannot_travel_is_refused_before_anything_starts(resume_payload):
    """Arguments that JSON would lose or change are an error at once, not after the job was started."""
    with pytest.raises(NucleusConfigError, match="cannot be deferred"):
        trigger(resume_payload=resume_payload).check_serializable()


def test_one_event_when_all_jobs_have_ended(script):
    """The event carries each job's last status and what the task gave the trigger."""
    script(RUNNING, RUNNING, COMPLETED)

    (event,) = events(trigger())

    assert event.status == "finished"
    assert event.jobs["job_1"]["status"] == "Completed"
    assert event.jobs["job_1"]["message"] == {"annotation_upload": {"total": 1}}
    assert event.resume_payload == {"dataset_id": "ds_1"}


@pytest.mark.parametrize("status", ["Errored_Server", "Errored_Partial", "Cancelled", "Retried", "Nonsense"])
def test_a_job_that_ended_badly_has_ended(script, status):
    """The trigger waits; what the end means is the task's to say."""
    script((200, {"status": status, "job_id": "job_1"}))

    assert [event.status for event in events(trigger())] == ["finished"]


def test_transient_errors_do_not_end_the_wait(script):
    """A server that is away for a while is waited for."""
    script(RUNNING, AWAY, AWAY, AWAY, COMPLETED)

    assert [event.status for event in events(trigger())] == ["finished"]


def test_an_outage_that_lasts_too_long_ends_it_and_leaves_the_job(script):
    """The event says that the job was lost sight of, and with which error."""
    server = script(RUNNING, AWAY)

    (event,) = events(trigger(ride_out=0.0))

    assert event.status == "unreachable"
    assert "503" in event.message
    assert "ride_out allows (0 s). Job job_1 was left as it is and may still be running." in event.message
    assert server.requests["look"] == 2
    assert server.requests["cancel"] == 0


def test_wrong_key_ends_the_wait_at_once(script):
    """What a repetition cannot cure is not repeated; the key is not in the event."""
    server = script((401, {"error": f"bad key {KEY}"}))

    (event,) = events(trigger())

    assert event.status == "unreachable"
    assert server.requests["look"] == 1
    assert KEY not in json.dumps(event.to_payload())


def test_connection_that_is_wrong_ends_the_wait(monkeypatch):
    """A connection without a key is an event, not a crash of the trigger."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROBE", connection_json(endpoint="http://127.0.0.1:9/v1/nucleus", api_key=None)
    )

    (event,) = events(trigger())

    assert event.status == "unreachable"
    assert "'probe'" in event.message


def test_deadline_ends_the_wait(script):
    """A job that still runs after it; the event says that time is up."""
    script(RUNNING)

    (event,) = events(trigger(deadline=time.time() - 1))

    assert (event.status, list(event.jobs)) == ("timeout", ["job_1"])


def test_a_deadline_that_passed_while_no_triggerer_ran_grants_a_look(script):
    """The job ended long ago: the first round decides, not the clock."""
    script(COMPLETED)

    assert [event.status for event in events(trigger(deadline=time.time() - 3600))] == ["finished"]


def test_a_job_that_vanishes_has_ended(script):
    """The server forgets a job it showed before: the event says so, and it is no reason to stop looking at others."""
    script(RUNNING, (404, {"error": "no such job"}))

    (event,) = events(trigger())

    assert (event.status, event.jobs["job_1"]["status"]) == ("finished", "Gone")


def test_the_others_are_waited_for_when_a_job_vanishes(script, monkeypatch):
    """One of two jobs is gone, the other completes later."""
    server = script(RUNNING)

    def look(path):
        if path.endswith("job_2"):
            return (404, {"error": "no such job"})
        return COMPLETED if server.requests["look"] > 40 else RUNNING

    server.look = look
    monkeypatch.setattr(job, "_patience", lambda _: Patience(not_found_grace=0.0))
    (event,) = events(trigger(job_ids=["job_1", "job_2"]))

    assert event.status == "finished"
    assert [job["status"] for job in event.jobs.values()] == ["Completed", "Gone"]


def test_on_kill_cancels_the_jobs(script):
    """A user who kills the deferred task means the job as well."""
    server = script(RUNNING)

    asyncio.run(trigger(job_ids=["job_1", "job_2"]).on_kill())

    assert server.requests["cancel"] == 2


@pytest.mark.parametrize("answer", [404, 409, 501, 500])
def test_on_kill_never_raises(script, caplog, answer):
    """Where the server cannot cancel, the log names the job and says that it was left."""
    script(RUNNING, cancel=answer)

    asyncio.run(trigger().on_kill())


def test_on_kill_leaves_jobs_alone_when_told_to(script):
    """`cancel_on_kill=False` means that."""
    server = script(RUNNING)

    asyncio.run(trigger(cancel_on_kill=False).on_kill())

    assert server.requests["cancel"] == 0


def test_many_triggers_share_one_poll(script):
    """Fifty deferred tasks of one connection cost a listing a round, and one look each when they have ended."""
    server = script(COMPLETED)

    async def one(number: int) -> WaitEvent:
        (event,) = [
            WaitEvent.from_payload(event.payload) async for event in trigger(job_ids=[f"job_{number}"]).run()
        ]
        return event

    async def all_of_them() -> list[WaitEvent]:
        return await asyncio.gather(*(one(number) for number in range(50)))

    assert {"finished"} == {event.status for event in asyncio.run(all_of_them())}
    assert server.requests["look"] == 50
    assert server.requests["list"] <= 3


WAITS = (200, {"status": "Running", "job_id": "job_1", "message": {"waiting": "The disk is full."}})


def test_why_a_job_waits_is_told_and_travels(script, caplog):
    """The log of the triggerer has it, and the event when the deadline passes."""
    script(WAITS)

    with caplog.at_level("INFO"):
        (event,) = events(trigger(deadline=time.time() - 1))

    assert caplog.text.count("Job job_1 waits, the server says: The disk is full.") == 1
    assert (event.status, event.jobs["job_1"]["message"]) == ("timeout", {"waiting": "The disk is full."})


def test_an_outage_begins_and_ends_in_the_log(script, caplog):
    """Once each, however many looks fail."""
    script(AWAY, AWAY, RUNNING, COMPLETED)

    with caplog.at_level("INFO"):
        events(trigger())

    assert caplog.text.count("Waiting goes on, through an outage of 600 s at most (ride_out): ") == 1
    assert caplog.text.count("Job job_1 can be looked at again") == 1


def test_an_evaluation_that_is_not_found_yet_is_one_line_in_the_log(caplog):
    """It is looked at in every round within the grace; the log has the first, and calls it by its name."""
    from airflow_provider_nucleus.exceptions import NucleusNotFoundError
    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.triggers.job import _JobWatcher

    missing = NucleusNotFoundError("not found", status=404)
    wait = _JobWatcher(["ev_1"], 1.0, 600.0, time.time() + 60, NucleusEvaluationTrigger.subject)
    with caplog.at_level("INFO"):
        for seen in (missing, missing, JobStatus(status="Running"), missing):
            wait.apply({"ev_1": seen})

    assert caplog.messages == [
        f"Waiting goes on: {missing}",
        "Evaluation ev_1 is Running",
        f"Evaluation ev_1 is gone: {missing}",
    ]


def test_a_listing_does_not_hide_why_a_job_waits(script, caplog):
    """It has no messages: the reason holds until the job itself is looked at."""
    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.triggers.job import _JobWatcher

    wait = _JobWatcher(["job_1"], 1.0, 600.0, time.time() + 60, "Job")
    with caplog.at_level("INFO"):
        wait.apply({"job_1": JobStatus.from_wire(WAITS[1])})
        wait.apply({"job_1": JobStatus(status="Running")})
        assert wait.event("timeout", {}).jobs["job_1"]["message"] == {"waiting": "The disk is full."}
        assert "waits no longer" not in caplog.text
        wait.apply({"job_1": JobStatus(status="Running", message={})})

    assert "Job job_1 waits no longer" in caplog.text
