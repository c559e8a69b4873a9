"""Waiting for jobs and evaluations, through both transports."""

from __future__ import annotations

import json
import re

import pytest

from airflow_provider_nucleus.client.job_outcome import job_failure
from airflow_provider_nucleus.exceptions import (
    NucleusAuthError,
    NucleusConnectionError,
    NucleusJobCancelled,
    NucleusJobError,
    NucleusJobFailed,
    NucleusJobTimeout,
    NucleusMetricsError,
    NucleusNotFoundError,
    NucleusServerError,
)
from airflow_provider_nucleus.schema import JobState, JobStatus
from tests.unit.client.scripted import Reply, Reset


def status(name, **more):
    return Reply(
        200, {"job_id": "job_1", "status": name, "message": {}, "job_type": "uploadAnnotations"} | more
    )


def failure(client, **options):
    """The error with which the wait for a job ends."""
    with pytest.raises(NucleusJobError) as caught:
        client.wait_for_job("job_1", **options)
    return caught.value


def test_queued_and_running_both_mean_not_yet(server, transport):
    """The official client stops at Queued; we do not."""
    server.answers(status("Queued"), status("Running"), status("Running"), status("Completed"))
    client = transport(server)
    seen = []

    done = client.wait_for_job("job_1", poll_interval=7, on_change=lambda change: seen.append(change.status))

    assert done.status == "Completed"
    assert JobState.SUCCEEDED is done.state
    assert seen == ["Queued", "Running", "Completed"]
    assert client.sleeps == [7, 7, 7]


@pytest.mark.parametrize(
    "name", ["Errored", "Errored_Server", "Errored_User", "Errored_Hanging", "Errored_Partial", "New"]
)
def test_every_kind_of_error_fails_with_the_first_row_errors(server, transport, name):
    """Also a status nobody knows: success is never assumed."""
    row = json.dumps({"annotation": {"referenceId": "a"}, "error": "Item with id a doesn't exist"})
    server.answers(status(name, message={"final_error": "BadRequestError: no"}), Reply(200, [row] * 50))

    error = failure(transport(server))

    assert isinstance(error, NucleusJobFailed)
    assert ("job_1", name) == (error.job_id, error.status)
    assert len(error.errors) == 10
    assert "BadRequestError: no" in str(error)
    assert "Item with id a doesn't exist" in str(error)
    assert not error.retryable


@pytest.mark.parametrize("name", ["Cancelled", "Retried"])
def test_a_cancelled_job_is_no_success(server, transport, name):
    """The official client returns silently."""
    server.answers(status(name), Reply(200, []))

    assert isinstance(failure(transport(server)), NucleusJobCancelled)


def test_a_partial_failure_may_count_as_success(server, transport):
    """If the caller says so."""
    server.answers(status("Errored_Partial"))
    ended = transport(server).wait_for_job("job_1", on_partial="succeed")

    assert JobState.PARTIAL is ended.state


@pytest.mark.parametrize(
    "part", ["annotation_upload", "image_upload_step", "scene_upload", "metadata_update"]
)
def test_a_completed_job_that_refused_rows_failed_in_part(server, transport, part):
    """Completed says that it ended: the reasons are asked for, unless the caller can live with a part."""
    completed = {"status": "Completed", "job_id": "job_1", "message": {part: {"processed": 5, "errored": 2}}}
    server.answers(Reply(200, completed), Reply(200, ["row 7 is bad"]), Reply(200, completed))

    error = failure(transport(server))

    assert re.search(r"refused 2 rows with status Completed.*row 7 is bad", str(error))
    assert transport(server).wait_for_job("job_1", on_partial="succeed").state is JobState.SUCCEEDED


def test_row_errors_that_cannot_be_read_do_not_hide_the_failure(server, transport):
    """The failure is what counts."""
    server.answers(status("Errored"), Reply(404, {"error": "no errors"}))

    assert isinstance(failure(transport(server)), NucleusJobFailed)


def test_looks_may_fail_while_the_job_goes_on(server, transport):
    """Connection resets, gateways, nonsense."""
    server.answers(status("Running"), Reset(), Reply(502, {}), Reply(200, "<html>"), status("Completed"))

    assert transport(server).wait_for_job("job_1").status == "Completed"


def test_looks_that_keep_failing_end_the_wait_and_say_that_the_job_goes_on(server, transport):
    """The next try can attach to it."""
    server.answers(status("Running"))
    server.otherwise = Reply(503, {"error": "down"})
    client = transport(server)

    with pytest.raises(NucleusServerError, match=r"ride_out allows \(60 s\).*may still be running") as caught:
        client.wait_for_job("job_1", ride_out=60)

    assert caught.value.retryable
    # From the first look that failed, which was one interval after the one that did not.
    assert sum(client.sleeps[1:]) == pytest.approx(60)


def test_a_job_nobody_ever_saw_may_take_a_moment_to_be_found(server, transport):
    """It was just started; after a minute the server's answer is believed."""
    server.answers(Reply(404, {}), Reply(404, {}), status("Completed"))
    assert transport(server).wait_for_job("job_1").status == "Completed"

    server.otherwise = Reply(404, {"error": "no such job"})
    client = transport(server)
    with pytest.raises(NucleusNotFoundError):
        client.wait_for_job("job_1")
    assert sum(client.sleeps) == 60


def test_a_job_that_vanishes_is_gone_at_once(server, transport):
    """It was there a moment ago."""
    server.answers(status("Running"), Reply(404, {"error": "no such job"}))
    client = transport(server)

    with pytest.raises(NucleusNotFoundError):
        client.wait_for_job("job_1")
    assert len(client.sleeps) == 1


def test_a_revoked_key_ends_the_wait_at_once(server, transport):
    """Waiting does not cure it."""
    server.answers(status("Running"), Reply(401, {"error": "revoked"}))

    with pytest.raises(NucleusAuthError, match="may still be running"):
        transport(server).wait_for_job("job_1")


def test_a_timeout_leaves_the_job_alone_and_says_so(server, transport):
    """By the wall clock, not by the number of looks."""
    server.otherwise = status("Running")
    client = transport(server)

    with pytest.raises(NucleusJobTimeout, match="may still be running") as caught:
        client.wait_for_job("job_1", poll_interval=10, timeout=25)

    assert client.sleeps == [10, 10, 5]
    assert caught.value.status == "Running"
    assert caught.value.retryable


def test_the_earlier_of_deadline_and_timeout_counts(server, transport):
    """A deadline travels between processes."""
    server.otherwise = status("Running")
    client = transport(server)

    with pytest.raises(NucleusJobTimeout):
        client.wait_for_job("job_1", poll_interval=10, timeout=1000, deadline=client.clock() + 15)

    assert client.sleeps == [10, 5]


def test_an_unreachable_host_ends_in_a_connection_error(transport):
    """With the job named."""
    client = transport("http://127.0.0.1:9/v1/nucleus")

    with pytest.raises(NucleusConnectionError, match="job_1"):
        client.wait_for_job("job_1", ride_out=1)


def test_a_job_that_succeeded_deserves_no_error():
    """The pure half, for whoever looks at a job themselves."""
    assert job_failure(JobStatus(status="Completed", job_id="job_1")) is None


def test_an_evaluation_is_waited_for(server, transport):
    """Pending, computing, done."""
    server.answers(*[
        Reply(200, {"id": "evalv2_1", "status": name}) for name in ("pending", "computing", "succeeded")
    ])

    assert transport(server).wait_for_evaluation("evalv2_1").status == "succeeded"


@pytest.mark.parametrize("name", ["failed", "cancelled", "exploded"])
def test_an_evaluation_that_does_not_succeed_raises(server, transport, name):
    """With the server's reason; the official client lets cancelled pass."""
    server.answers(Reply(200, {"id": "evalv2_1", "status": name, "error_message": "no items"}))

    with pytest.raises(NucleusMetricsError, match="no items") as caught:
        transport(server).wait_for_evaluation("evalv2_1")

    assert caught.value.evaluation_id == "evalv2_1"


FULL = "The disk of this Nucleus server is full."


def test_why_a_job_waits_is_told_when_it_changes(server, transport, caplog):
    """Once when it appears and once when it goes, though the status stays the same."""
    waits = status("Running", message={"waiting": FULL})
    server.answers(status("Running"), waits, waits, status("Running"), status("Completed"))
    seen = []

    with caplog.at_level("INFO"):
        transport(server).wait_for_job("job_1", on_change=lambda change: seen.append(change.waiting))

    assert seen == [None, FULL, None, None]
    assert caplog.text.count(f"Job job_1 waits, the server says: {FULL}") == 1
    assert caplog.text.count("Job job_1 waits no longer") == 1


def test_a_timeout_says_why_the_job_waits(server, transport):
    """More time would not help."""
    server.otherwise = status("Running", message={"waiting": FULL})

    with pytest.raises(NucleusJobTimeout, match=rf"The server says: {FULL} Make room there; a retry goes on"):
        transport(server).wait_for_job("job_1", poll_interval=10, timeout=25)


@pytest.mark.parametrize(
    ("name", "message"), [("Completed", {"waiting": FULL}), ("Running", {"waiting": ""}), ("Running", {"waiting": 1}), ("Running", FULL)]
)  # fmt: skip
def test_what_is_no_reason_to_wait(name, message):
    """Of a job that ended, or no text."""
    assert JobStatus(status=name, message=message).waiting is None
