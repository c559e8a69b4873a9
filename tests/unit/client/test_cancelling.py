"""Cancelling: asked once, and one interpretation of the answer for both transports."""

from __future__ import annotations

import threading
import time

import pytest

from airflow_provider_nucleus.client.calls.jobs import cancel_job
from airflow_provider_nucleus.client.cancellation import Cancellation, cancel_all
from airflow_provider_nucleus.exceptions import NucleusAuthError, NucleusConnectionError, NucleusServerError
from tests.unit.client.scripted import Reply, Reset


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Cancellation.REQUESTED),
        (409, Cancellation.ENDED),
        (404, Cancellation.UNSUPPORTED),
        (405, Cancellation.UNSUPPORTED),
        (501, Cancellation.UNSUPPORTED),
    ],
)
def test_answers_that_say_what_became_of_the_job(server, transport, status, outcome):
    """Each is asked for once: a second request could only meet the outcome of the first."""
    server.answers(Reply(status))

    assert outcome is transport(server).cancel(cancel_job("job_1"))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Reply(401), NucleusAuthError),
        (Reply(500), NucleusServerError),
        (Reply(503), NucleusServerError),
        (Reset(), NucleusConnectionError),
    ],
)
def test_answers_that_say_nothing_about_the_job_are_errors(server, transport, answer, error):
    """The job may still be running, and whoever asked has to know."""
    server.answers(answer)

    with pytest.raises(error):
        transport(server).cancel(cancel_job("job_1"))

    assert len(server.requests) == 1


class SlowServer:
    """A client whose server takes its time over some jobs, and fails others."""

    def __init__(self, *, seconds: float = 0.0, hangs: tuple[str, ...] = ()) -> None:
        self.seconds = seconds
        self.hangs = hangs
        self.asked: list[str] = []
        self.released = threading.Event()

    def send(self, call, *, retry):
        job_id = call.path.split("/")[1]
        self.asked.append(job_id)
        if job_id in self.hangs:
            self.released.wait(30)
        time.sleep(self.seconds)
        if job_id == "job_refused":
            raise NucleusServerError("500", status=500)


def ask(server, *job_ids, seconds=5.0):
    """Cancel jobs; return their outcomes and how long it took."""
    began = time.monotonic()
    outcomes = cancel_all(server, {job_id: cancel_job(job_id) for job_id in job_ids}, seconds=seconds)
    return outcomes, time.monotonic() - began


def test_many_jobs_are_cancelled_side_by_side():
    """Sixteen that take 0.2 s each are two rounds, not 3.2 s; one that cannot be cancelled keeps none of the others."""
    jobs = [f"job_{number}" for number in range(15)]
    outcomes, took = ask(SlowServer(seconds=0.2), *jobs, "job_refused")

    assert [outcomes[job] for job in jobs] == [Cancellation.REQUESTED] * 15
    assert isinstance(outcomes["job_refused"], NucleusServerError)
    assert took < 2


def test_a_server_that_does_not_answer_holds_nobody_up():
    """After the given seconds the outcome of each is known, or known to be unknown; what was not begun is left."""
    hanging = tuple(f"job_{number}" for number in range(8))
    server = SlowServer(hangs=hanging)
    try:
        outcomes, took = ask(server, *hanging, "job_late", seconds=0.3)
    finally:
        server.released.set()

    assert outcomes == dict.fromkeys((*hanging, "job_late"))
    assert took < 2
    time.sleep(0.1)
    assert "job_late" not in server.asked


def test_nothing_to_cancel():
    """No threads, no waiting."""
    assert ask(SlowServer())[0] == {}
