"""Cancelling: asked once, and one interpretation of the answer for both transports."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.client.calls.jobs import cancel_job
from airflow_provider_nucleus.client.cancelling import Cancellation
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
