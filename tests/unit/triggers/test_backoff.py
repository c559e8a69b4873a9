"""The pause after rounds that failed, and rounds held together; on a clock of the test's own."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusAuthError,
    NucleusConnectionError,
    NucleusServerError,
)
from airflow_provider_nucleus.triggers.backoff import MAX_BACK_OFF, RoundBackoff, due_together, next_due

LOST = NucleusConnectionError("away")


def pauses(*rounds) -> list[float]:
    """Return the pause after each round; every round is held when the one before allows it."""
    backoff, now, found = RoundBackoff(random.Random(0)), 100.0, []
    for errors in rounds:
        backoff.record(errors, now)
        found.append(backoff.until - now)
        now = backoff.until
    return found


def test_the_pause_doubles_up_to_a_minute_and_is_never_the_same_for_two():
    """Jittered by up to a quarter: failures in a row are given time, and many triggerers do not come back at once."""
    found = pauses(*[[LOST]] * 9)

    for pause, most in zip(found, [2, 4, 8, 16, 32, *[MAX_BACK_OFF] * 4], strict=True):
        assert 0.75 * most <= pause <= most
    assert len(set(found)) == 9


def test_a_good_round_ends_the_pauses():
    """What failed before does not count any more."""
    assert pauses([LOST], [LOST], [])[-1] == 0
    assert pauses([LOST], [LOST], [], [LOST])[-1] <= 2


def test_a_server_that_asks_for_more_gets_it():
    """Retry-After counts in full, from whichever look it came."""
    found = pauses([LOST, NucleusServerError("later", status=503, retry_after=120.0), LOST])

    assert found == [120.0]


@pytest.mark.parametrize(
    ("error", "rests"),
    [(NucleusAnswerError("a page", status=200), True), (NucleusAuthError("no", status=401), False)],
)
def test_errors_that_may_pass_are_waited_for(error, rests):
    """A portal's page passes; a wrong key is no reason to look less often."""
    assert (pauses([error])[0] > 0) is rests


def waiting(*dues: float, interval: float = 10.0) -> list:
    return [SimpleNamespace(due=due, interval=interval) for due in dues]


def test_rounds_that_are_due_soon_are_held_together():
    """By up to half an interval, so that many waits cost one listing; not earlier, and not when nobody's is due."""
    watchers = waiting(99.0, 104.9, 105.1, 120.0)

    assert due_together(watchers, 100.0) == watchers[:2]
    assert due_together(watchers, 98.0) == []
    assert next_due(watchers, 98.0) == 99.0
    assert next_due([], 98.0) == 98.0
