"""The decisions of waiting, without any waiting, and the rounds of a wait for several jobs."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from airflow_provider_nucleus.client.exchange import Pause
from airflow_provider_nucleus.client.jobs import JOBS
from airflow_provider_nucleus.client.waiting import Patience, StopReason, WaitOutcome, waiting
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusAuthError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusNotFoundError,
    NucleusRateLimitError,
    NucleusServerError,
)
from airflow_provider_nucleus.schema.jobs import JobStatus

LOST = NucleusConnectionError("lost")
GONE = NucleusNotFoundError("x", status=404)


class Wait:
    """A wait for jobs on a clock of its own; jobs are answered by a function of job and time."""

    def __init__(self, answer, *job_ids, earlier=None, **patience):
        self.now = 1000.0
        self.pauses = []
        self.looks = []
        steps = waiting(JOBS, job_ids, Patience(**patience), clock=lambda: self.now, earlier=earlier)
        seen = None
        while True:
            try:
                step = steps.send(seen)
            except StopIteration as finished:
                self.outcome = finished.value
                return
            if isinstance(step, Pause):
                self.pauses.append(step.seconds)
                self.now += step.seconds
                seen = None
            else:
                job_id = step.path.rpartition("/")[2]
                self.looks.append(job_id)
                seen = answer(job_id, self.now - 1000)
                if isinstance(seen, str):
                    seen = JobStatus(status=seen, job_id=job_id)


def away(error, seconds):
    """A job that ends; looks fail with an error for so many seconds, from the first one on."""
    return lambda job_id, at: error if at < seconds else "Completed"


def test_an_answer_that_is_not_final_waits_one_interval():
    """Exactly; load is spread by when waits begin."""
    assert Wait(lambda _, at: "Completed" if at > 7 else "Running", "a", interval=5).pauses == [5, 5]


def test_the_first_pauses_may_be_short():
    """Small jobs should not pay a whole interval."""
    wait = Wait(lambda _, at: "Completed" if at > 12 else "Running", "a", interval=5, first_pause=0.5)

    assert wait.pauses == [0.5, 1, 2, 4, 5]


def test_a_final_answer_is_the_end():
    """Its value is handed back; a bad end is one as well."""
    wait = Wait(lambda *_: "Errored", "a")

    assert wait.outcome.seen["a"].status == "Errored"
    assert (wait.outcome.open, wait.outcome.stop, wait.outcome.error) == ([], None, None)


def test_a_final_answer_counts_even_after_the_deadline():
    """Work that is done is not thrown away."""
    assert Wait(lambda *_: "Completed", "a", deadline=900.0).outcome.open == []


@pytest.mark.parametrize("answer", ["Running", LOST], ids=["running", "away"])
def test_waiting_ends_at_the_deadline(answer):
    """And never sleeps beyond it; the earlier of deadline and timeout counts."""
    wait = Wait(lambda *_: answer, "a", interval=5, deadline=1012.0, timeout=100)

    assert wait.now == 1012.0
    assert (wait.outcome.stop, wait.outcome.open) == (StopReason.DEADLINE, ["a"])


def test_no_time_is_one_look():
    """At each job."""
    wait = Wait(lambda *_: "Running", "a", "b", timeout=0)

    assert (wait.looks, wait.pauses, wait.outcome.stop) == (["a", "b"], [], StopReason.DEADLINE)


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        NucleusServerError("x", status=502),
        NucleusRateLimitError("x", status=429),
        NucleusAnswerError("x", status=200),
    ],
)
def test_an_outage_is_ridden_out_for_so_many_seconds(error):
    """A look that fails says nothing about the job; the last one is made when the time is over, not before."""
    assert Wait(away(error, 299), "a", ride_out=300).outcome.open == []
    wait = Wait(away(error, 1_000), "a", ride_out=300)

    assert (wait.outcome.stop, wait.outcome.error) == (StopReason.OUTAGE, error)
    assert 300 <= wait.now - 1000 < 301


def test_one_answer_ends_an_outage():
    """The next one is ridden out anew."""
    wait = Wait(
        lambda _, at: "Running" if 200 < at < 260 else LOST if at < 450 else "Completed", "a", ride_out=300
    )

    assert wait.outcome.open == []


def test_an_outage_goes_on_in_the_next_wait():
    """Pokes of a sensor are rounds of one wait."""
    first = Wait(lambda *_: LOST, "a", timeout=0, ride_out=300).outcome

    assert first.failing == {"a": 1000.0}
    assert Wait(lambda *_: LOST, "a", earlier=first, ride_out=300).now == pytest.approx(1300.0)
    before = WaitOutcome([], failing={"a": 700.0})
    assert Wait(lambda *_: LOST, "a", earlier=before, timeout=0, ride_out=300).outcome.error is LOST
    assert Wait(lambda *_: "Running", "a", earlier=before, timeout=0).outcome.failing == {}


def test_no_patience_is_no_second_look():
    """`ride_out=0`."""
    assert Wait(lambda *_: LOST, "a", ride_out=0).looks == ["a"]


def test_a_failure_that_may_pass_ends_the_round():
    """The server is not asked for the other jobs meanwhile; then for all that are left."""
    wait = Wait(lambda job_id, at: LOST if job_id == "b" and at < 5 else "Completed", *"abc")

    assert wait.looks == ["a", "b", "b", "c"]


@pytest.mark.parametrize("answered", [1, 2])
def test_a_server_that_answers_some_looks_of_each_round_is_not_away(answered):
    """A limit of requests, say: every job is looked at in turn, and none seems to fail for as long as `ride_out`."""
    left = {}

    def answer(job_id, at):
        left.setdefault(at, answered)
        left[at] -= 1
        return "Running" if left[at] >= 0 and at < 2000 else LOST if at < 2000 else "Completed"

    assert Wait(answer, *"abcd", interval=5, ride_out=600).outcome.open == []


def test_a_clock_that_was_put_back_lengthens_no_outage():
    """It lasts `ride_out` seconds from then on at most, whatever machine took the time before."""
    before = WaitOutcome([], failing={"a": 5000.0})

    assert Wait(lambda *_: LOST, "a", earlier=before, ride_out=300).now == pytest.approx(1300.0)


def test_pauses_grow_while_looks_fail():
    """With jitter between the interval and a ceiling that grows with the outage."""
    pauses = Wait(away(LOST, 500), "a", interval=5).pauses

    ceiling = 0.0
    for at, pause in zip([sum(pauses[:n]) for n in range(len(pauses))], pauses, strict=True):
        ceiling = min(60, 10 + at)
        assert 5 <= pause <= ceiling
    assert max(pauses) > 20


def test_a_server_that_says_when_is_obeyed():
    """Retry-After is a lower bound here too, also for the last look of an outage."""
    later = NucleusRateLimitError("x", status=429, retry_after=90.0)

    assert Wait(away(later, 300), "a", ride_out=60).pauses == [90]
    assert Wait(away(later, 80), "a", ride_out=60).outcome.open == []


def test_a_failure_that_waiting_does_not_cure_ends_it():
    """A revoked key will not come back."""
    error = NucleusAuthError("x", status=401)
    wait = Wait(lambda job_id, _: error if job_id == "b" else "Running", *"abc")

    assert (wait.outcome.stop, wait.outcome.error, wait.looks) == (StopReason.FATAL, error, ["a", "b"])
    assert "3 jobs were left as they are and may still be running: a, b, c." in str(error)
    assert "ride_out" not in str(error)


def test_a_job_not_found_yet_is_one_line_in_the_log(caplog):
    """It is looked at many times within the grace, and the log has the first."""
    Wait(lambda _, at: GONE if at < 30 else "Completed", "job_1", interval=5.0, first_pause=0.1)

    assert [line for line in caplog.messages if "goes on" in line] == [f"Waiting goes on: {GONE}"]


@pytest.mark.parametrize(
    ("jobs", "lines"),
    [
        ("abc", ["Job a is Completed (2 to go)", "Job b is Running", "Job c is Completed (1 to go)", "Job b is Completed (0 to go)"]),
        ("a", ["Job a is Completed"]),
    ],
)  # fmt: skip
def test_the_log_counts_the_jobs_that_are_to_go(caplog, jobs, lines):
    """Whoever reads it sees how far several jobs are; of one there is nothing to count."""
    caplog.set_level("INFO")
    Wait(lambda job_id, at: "Running" if job_id == "b" and at < 5 else "Completed", *jobs)

    assert caplog.messages == lines


def test_an_outage_is_one_line_in_the_log_whatever_failed_before(caplog):
    """A job that was not found, and then a server that is away: the log has both, once."""
    answers = {True: GONE, False: LOST}
    Wait(lambda _, at: answers[at < 10] if at < 60 else "Completed", "job_1", interval=5.0)

    assert [line for line in caplog.messages if "goes on" in line] == [
        f"Waiting goes on: {GONE}",
        f"Waiting goes on, through an outage of 600 s at most (ride_out): {LOST}",
    ]


def test_a_job_not_found_yet_may_take_a_moment():
    """Until it has been seen once; then it is gone. The others are waited for."""
    assert Wait(away(GONE, 50), "a").outcome.gone == {}
    late = Wait(away(GONE, 70), "a")
    assert (late.outcome.gone, late.outcome.open, late.now) == ({"a": GONE}, [], 1060)
    seen = Wait(lambda job_id, at: "Running" if not at else GONE if job_id == "a" else "Completed", *"ab")
    assert (list(seen.outcome.gone), list(seen.outcome.seen), seen.now) == (["a"], ["a", "b"], 1005)


@pytest.mark.parametrize("ride_out", [-1, math.nan, math.inf, "long", None, timedelta(minutes=1)])
def test_what_is_no_number_of_seconds_is_refused(ride_out):
    """With the name of the argument."""
    with pytest.raises(NucleusConfigError, match="ride_out must be a number of seconds, 0 or more"):
        Patience(ride_out=ride_out)
