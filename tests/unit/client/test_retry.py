"""The decision to send again, as a pure function."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nucleus.client.retry import NoAnswer, RetryPolicy, retry_after_seconds, retry_delay

POLICY = RetryPolicy(attempts=8, base=1.0, cap=60.0, deadline=300.0)
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def delay(outcome, *, attempt=1, headers=None, policy=POLICY, seed=1, **options):
    return retry_delay(attempt, outcome, headers or {}, policy, random.Random(seed), **options)


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 409, 413, 422, 501, 505])
def test_a_status_that_waiting_does_not_cure_is_final(status):
    """501 included: a route that is not there will not come."""
    assert delay(status) is None


@pytest.mark.parametrize(("attempt", "again"), [(1, True), (7, True), (8, False), (50, False)])
def test_a_500_is_worth_a_few_tries_however_patient_the_policy(attempt, again):
    """It may pass, or be a bug that this request meets every time: that should not hold a worker for the whole deadline."""
    patient = RetryPolicy(attempts=1000, deadline=600.0)

    assert again == (delay(500, attempt=attempt, policy=patient) is not None)
    assert delay(503, attempt=attempt, policy=patient) is not None


@pytest.mark.parametrize(
    "outcome", [429, 500, 502, 503, 504, 507, 520, 524, NoAnswer.LOST, NoAnswer.NOT_SENT]
)
def test_passing_trouble_is_worth_another_try(outcome):
    """When repeating is harmless."""
    assert delay(outcome) is not None


def test_a_hopeless_connection_is_not():
    """A wrong certificate stays wrong."""
    assert delay(NoAnswer.HOPELESS) is None


@pytest.mark.parametrize(
    ("outcome", "headers", "again"),
    [
        (NoAnswer.NOT_SENT, {}, True),
        (NoAnswer.LOST, {}, False),
        (429, {}, True),
        (503, {}, False),
        (503, {"retry-after": "1"}, True),
        (503, {"retry-after": "soon"}, False),
        (502, {"retry-after": "1"}, False),
        (504, {}, False),
        (507, {}, False),
        (500, {}, False),
        (500, {"retry-after": "1"}, False),
        (520, {}, False),
        (524, {}, False),
    ],
)
def test_what_may_have_taken_effect_is_repeated_only_if_it_certainly_has_not(outcome, headers, again):
    """The table of ambiguity."""
    assert again == (delay(outcome, headers=headers, repeatable=False) is not None)


@given(attempt=st.integers(1, 7), seed=st.integers(0, 1000))
def test_the_delay_is_drawn_between_zero_and_a_doubling_ceiling(attempt, seed):
    """Full jitter."""
    found = delay(503, attempt=attempt, seed=seed)

    assert found is not None
    assert 0 <= found <= min(60.0, 2.0 ** (attempt - 1))


def test_the_last_attempt_is_the_last():
    """Attempts count requests, not repetitions."""
    assert delay(503, attempt=7) is not None
    assert delay(503, attempt=8) is None


def test_no_attempt_starts_after_the_deadline():
    """The delay counts too."""
    assert delay(503, headers={"retry-after": "10"}, elapsed=280.0) is not None
    assert delay(503, headers={"retry-after": "10"}, elapsed=295.0) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 13:00:30 +0100", 30.0),
        ("Monday, 23-Nov-26 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("86400", 86_400.0),
        ("9" * 400, 86_400.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("²", None),
        ("Mon, 99 Foo 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(text, expected):
    """Seconds or an HTTP date; nonsense counts as absent, and more than a day as a day."""
    assert expected == retry_after_seconds({"retry-after": text}, NOW)


def test_retry_after_absent_is_none():
    """Most servers do not send it."""
    assert retry_after_seconds({}, NOW) is None
