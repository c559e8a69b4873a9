"""How long a pool of requests rides out an outage, on a clock of its own."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_nucleus.client.uploads.send.request_pool import RequestPool
from airflow_provider_nucleus.exceptions import NucleusRateLimitError, NucleusServerError

LOST = NucleusServerError("unavailable", status=503)


class Away:
    """A client whose requests fail for so many seconds, from the first one on."""

    def __init__(self, seconds: float, error: Exception = LOST) -> None:
        self.now = 1000.0
        self.requests = 0
        self._seconds = seconds
        self._error = error

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def send(self, call: Any, *, retry: Any) -> Any:
        self.requests += 1
        if self.now - 1000 < self._seconds:
            raise self._error
        return call


def _call(work: int) -> Any:
    return work


def run(client: Any, ride_out: float) -> list[tuple[int, int]]:
    pool: RequestPool[int, int] = RequestPool(
        client,
        _call,
        concurrency=1,
        ride_out=ride_out,
        stopped=lambda: False,
        log=logging.getLogger(__name__),
    )
    try:
        return list(pool.run([7]))
    finally:
        pool.close()


@pytest.mark.parametrize(("seconds", "ride_out"), [(10, 600), (599.5, 600), (86_000, 86_400)])
def test_a_shorter_outage_is_ridden_out(seconds, ride_out):
    """However close to the end it is, and however many requests fail meanwhile."""
    assert run(Away(seconds), ride_out) == [(7, 7)]


def test_a_longer_outage_ends_it_not_before_its_time():
    """Neither before `ride_out` has passed nor later than a pause after it."""
    client = Away(10_000)
    with pytest.raises(NucleusServerError):
        run(client, 600)

    assert 600 <= client.now - 1000 <= 660


def test_no_patience_is_no_second_request():
    """`ride_out=0`."""
    client = Away(10)
    with pytest.raises(NucleusServerError):
        run(client, 0)

    assert client.requests == 1


def test_a_server_that_says_when_is_obeyed():
    """Even beyond `ride_out`, and the request after that is the last."""
    busy = NucleusRateLimitError("busy", status=429, retry_after=90.0)

    assert run(Away(80, busy), 60) == [(7, 7)]
    client = Away(10_000, busy)
    with pytest.raises(NucleusRateLimitError):
        run(client, 60)
    assert client.requests == 2
