"""The decisions of waiting, without any waiting."""

from __future__ import annotations

import random

import pytest

from airflow_provider_nucleus.client.polling import (
    Done,
    GiveUp,
    PollPolicy,
    PollState,
    StopReason,
    Wait,
    decide,
)
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusAuthError,
    NucleusConnectionError,
    NucleusNotFoundError,
    NucleusRateLimitError,
    NucleusServerError,
)

POLICY = PollPolicy(interval=5.0, max_interval=60.0, failure_budget=3)
LOST = NucleusConnectionError("lost")


def step(seen, state=PollState(), policy=POLICY, *, terminal=False, now=0.0):  # ruff: ignore[function-call-in-default-argument] - a frozen value
    return decide(state, seen, policy, terminal=terminal, now=now, rng=random.Random(1))


def test_an_answer_that_is_not_final_waits_one_interval():
    """Exactly; load is spread by when waits begin."""
    assert (PollState(answered=True), Wait(5.0)) == step("running")


def test_a_final_answer_is_the_end():
    """Its value is handed back."""
    assert Done("completed") == step("completed", terminal=True)[1]


def test_a_final_answer_counts_even_after_the_deadline():
    """Work that is done is not thrown away."""
    policy = PollPolicy(deadline=100.0)

    assert Done("completed") == step("completed", policy=policy, terminal=True, now=200.0)[1]


def test_waiting_ends_at_the_deadline():
    """And never sleeps beyond it."""
    policy = PollPolicy(interval=5.0, deadline=100.0)

    assert Wait(2.0) == step("running", policy=policy, now=98.0)[1]
    assert GiveUp(StopReason.DEADLINE) == step("running", policy=policy, now=100.0)[1]
    assert GiveUp(StopReason.DEADLINE) == step(LOST, policy=policy, now=100.0)[1]


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        NucleusServerError("x", status=502),
        NucleusRateLimitError("x", status=429),
        NucleusAnswerError("x", status=200),
    ],
)
def test_failures_in_a_row_are_borne_up_to_the_budget(error):
    """A look that fails says nothing about the job."""
    state = PollState()
    for _ in range(3):
        state, decision = step(error, state)
        assert isinstance(decision, Wait)

    assert GiveUp(StopReason.FAILURES, error) == step(error, state)[1]


def test_one_answer_clears_the_count():
    """Only failures in a row count."""
    state, _ = step(LOST, PollState(answered=True, failures=2))
    state, _ = step("running", state)

    assert state.failures == 0


def test_waits_grow_while_looks_fail():
    """With jitter between the interval and a doubling ceiling."""
    for failures, ceiling in ((0, 10.0), (1, 20.0), (2, 40.0)):
        _, decision = step(LOST, PollState(answered=True, failures=failures))

        assert isinstance(decision, Wait)
        assert 5.0 <= decision.seconds <= ceiling


def test_a_server_that_says_when_is_obeyed():
    """Retry-After is a lower bound here too."""
    _, decision = step(NucleusRateLimitError("x", status=429, retry_after=90.0))

    assert Wait(90.0) == decision


def test_a_failure_that_waiting_does_not_cure_ends_it():
    """A revoked key will not come back."""
    error = NucleusAuthError("x", status=401)

    assert GiveUp(StopReason.FATAL, error) == step(error)[1]


def test_a_job_not_found_yet_may_take_a_moment():
    """Until it has been seen once; then it is gone."""
    error = NucleusNotFoundError("x", status=404)

    assert isinstance(step(error)[1], Wait)
    assert GiveUp(StopReason.FATAL, error) == step(error, PollState(answered=True))[1]
