"""Resumption of uploads: every combination of what an earlier attempt can have left, and the decision about it."""

from __future__ import annotations

import itertools

import pytest

from airflow_provider_nucleus.client.uploads.resume.decision import (
    Attach,
    Collect,
    Fail,
    Policies,
    RemoteJobState,
    Submit,
    decide,
)
from airflow_provider_nucleus.client.uploads.resume.ledger import FlawedChunk, OpenChunk, Record

R = RemoteJobState
DEFAULTS = Policies()
DONE, SENT, PART = "done", "all sent", "part sent"


def a_record(progress: str, jobs: int = 1) -> Record:
    return Record(
        clear_count=1,
        fingerprint="f1",
        destination="here",
        open=[OpenChunk(f"{n:012d}", 10, job_id=f"job_{n}") for n in range(jobs)],
        all_sent=progress != PART,
        summary={"rows": 1} if progress == DONE else None,
    )


# What must happen for (progress, states of the jobs) when neither the input nor the clear_count changed.
SAME_INPUT = [
    (DONE, (), Collect),
    (DONE, (R.PENDING,), Collect),
    (DONE, (R.UNKNOWN,), Collect),
    (SENT, (), Collect),
    (SENT, (R.SUCCEEDED,), Collect),
    (SENT, (R.PARTIAL,), Collect),
    (SENT, (R.SUCCEEDED, R.PARTIAL), Collect),
    (SENT, (R.PENDING,), Attach),
    (SENT, (R.SUCCEEDED, R.PENDING), Attach),
    (SENT, (R.FAILED,), Submit),
    (SENT, (R.CANCELLED,), Submit),
    (SENT, (R.GONE,), Submit),
    (SENT, (R.PENDING, R.FAILED), Submit),
    (SENT, (R.UNKNOWN,), Fail),
    (SENT, (R.SUCCEEDED, R.UNKNOWN), Fail),
    (SENT, (R.FAILED, R.UNKNOWN), Fail),
    (PART, (), Submit),
    (PART, (R.SUCCEEDED,), Submit),
    (PART, (R.PARTIAL,), Submit),
    (PART, (R.PENDING,), Submit),
    (PART, (R.FAILED,), Submit),
    (PART, (R.GONE,), Submit),
    (PART, (R.CANCELLED,), Submit),
    (PART, (R.UNKNOWN,), Fail),
]


def run(
    progress: str,
    states: tuple[RemoteJobState, ...],
    *,
    fingerprint="f1",
    destination="here",
    clear_count=1,
    policies=DEFAULTS,
):
    remote = {f"job_{n}": state for n, state in enumerate(states)}
    return decide(
        a_record(progress, len(states)),
        remote,
        fingerprint=fingerprint,
        destination=destination,
        clear_count=clear_count,
        policies=policies,
    )


def test_nothing_recorded_submits_everything():
    """The first attempt has nothing to respect, whatever the policies."""
    for on_change, on_clear in itertools.product(("fail", "restart", "continue"), ("rerun", "reattach")):
        policies = Policies(on_change, on_clear)
        decision = decide(None, {}, fingerprint="f", destination="here", clear_count=5, policies=policies)
        assert decision == Submit("no earlier try is recorded", fresh=True)


@pytest.mark.parametrize(("progress", "states", "expected"), SAME_INPUT)
@pytest.mark.parametrize("on_change", ["fail", "restart", "continue"])
@pytest.mark.parametrize("on_clear", ["rerun", "reattach"])
@pytest.mark.parametrize("fingerprint", ["f1", None])
def test_a_retry_over_the_same_input(progress, states, expected, on_change, on_clear, fingerprint):
    """The policies do not matter while nothing changed; an input without a fingerprint counts as unchanged."""
    decision = run(progress, states, fingerprint=fingerprint, policies=Policies(on_change, on_clear))

    assert type(decision) is expected
    if isinstance(decision, Submit):
        assert not decision.fresh
        failed = {n for n, state in enumerate(states) if state in {R.FAILED, R.CANCELLED, R.GONE}}
        assert decision.resend == {f"job_{n}" for n in failed}
        assert decision.abandoned == ()
    if isinstance(decision, Attach):
        assert decision.job_ids == tuple(f"job_{n}" for n, state in enumerate(states) if state is R.PENDING)


@pytest.mark.parametrize(("progress", "states", "expected"), SAME_INPUT)
@pytest.mark.parametrize("on_change", ["fail", "restart", "continue"])
@pytest.mark.parametrize("fingerprint", ["f1", "f2", None])
def test_a_cleared_task_reruns_by_default(progress, states, expected, on_change, fingerprint):
    """Clearing means "again": the record is forgotten, changed input or not, and running jobs are named."""
    decision = run(
        progress, states, fingerprint=fingerprint, clear_count=2, policies=Policies(on_change, "rerun")
    )

    assert isinstance(decision, Submit)
    assert decision.fresh
    running = tuple(f"job_{n}" for n, state in enumerate(states) if state in {R.PENDING, R.UNKNOWN})
    assert decision.abandoned == running


@pytest.mark.parametrize(("progress", "states", "expected"), SAME_INPUT)
def test_a_cleared_task_reattaches_on_request(progress, states, expected):
    """With on_clear='reattach' clearing is like a retry."""
    policies = Policies(on_clear="reattach")

    assert run(progress, states, clear_count=2, policies=policies) == run(progress, states, policies=policies)


@pytest.mark.parametrize(("progress", "states", "_"), SAME_INPUT)
@pytest.mark.parametrize(("clear_count", "on_clear"), [(1, "rerun"), (1, "reattach"), (2, "reattach")])
def test_a_changed_input_follows_its_policy(progress, states, _, clear_count, on_clear):
    """Fail says what still runs; restart forgets; continue keeps what was accepted and sends again what did not end well."""
    running = tuple(f"job_{n}" for n, state in enumerate(states) if state in {R.PENDING, R.UNKNOWN})

    def decision(on_change):
        return run(
            progress,
            states,
            fingerprint="f2",
            clear_count=clear_count,
            policies=Policies(on_change, on_clear),
        )

    failed = decision("fail")
    assert isinstance(failed, Fail)
    assert all(job in failed.reason for job in running)
    assert "on_change" in failed.hint
    restarted = decision("restart")
    assert (restarted.fresh, restarted.abandoned) == (True, running)
    continued = decision("continue")
    if R.UNKNOWN in states and progress != DONE:
        # What the job has stored is not known: neither to be kept nor to be sent again.
        assert isinstance(continued, Fail)
        return
    assert isinstance(continued, Submit)
    failed = {n for n, state in enumerate(states) if state in {R.FAILED, R.CANCELLED, R.GONE}}
    assert (continued.fresh, continued.resend) == (False, {f"job_{n}" for n in failed})


@pytest.mark.parametrize(("progress", "states", "_"), SAME_INPUT)
@pytest.mark.parametrize(("clear_count", "on_clear"), [(1, "rerun"), (1, "reattach"), (2, "reattach")])
@pytest.mark.parametrize("fingerprint", ["f1", "f2", None])
def test_what_went_elsewhere_counts_for_nothing_here(progress, states, _, clear_count, on_clear, fingerprint):
    """Another dataset, model or update: the record is not attached to and not collected, whatever it says; on_change decides."""
    running = tuple(f"job_{n}" for n, state in enumerate(states) if state in {R.PENDING, R.UNKNOWN})

    def decision(on_change):
        policies = Policies(on_change, on_clear)
        return run(
            progress,
            states,
            fingerprint=fingerprint,
            destination="there",
            clear_count=clear_count,
            policies=policies,
        )

    failed = decision("fail")
    assert isinstance(failed, Fail)
    assert all(word in failed.reason for word in ("here", "there", *running))
    assert "on_change" in failed.hint
    for on_change in ("restart", "continue"):
        anew = decision(on_change)
        assert (type(anew), anew.fresh, anew.abandoned, anew.resend) == (Submit, True, running, frozenset())


@pytest.mark.parametrize("progress", [SENT, PART])
def test_refused_rows_nobody_reported_are_offered_again(progress):
    """The reasons went with the process that heard them; a finished upload has reported them."""
    record = a_record(progress, 0)
    record.flawed = [FlawedChunk("f" * 12, 10, 8, 1, 1, 0)]

    same = {"fingerprint": "f1", "destination": "here", "clear_count": 1, "policies": DEFAULTS}
    decision = decide(record, {}, **same)
    assert (type(decision), decision.fresh) == (Submit, False)
    record.summary = {"rows": 10}
    assert type(decide(record, {}, **same)) is Collect


def test_every_state_of_a_job_is_in_the_table():
    """A new state must be decided about, not fall through."""
    assert {state for _, states, _ in SAME_INPUT for state in states} == set(RemoteJobState)
