"""The listing as a poll reads it: running jobs by id, and nobody's odd entry blinds the others."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.client.calls.jobs import running_jobs
from airflow_provider_nucleus.exceptions import NucleusValidationError


def entry(job_id, status, **more):
    return {"job_id": job_id, "job_last_known_status": status, "job_type": "uploadPredictions", **more}


def test_running_jobs_by_id_share_their_status():
    """Ended ones are left out; what the server adds to an entry does not matter."""
    found = running_jobs(limit=5).parse([
        entry("a", "Running", job_progress={"x": 1}),
        entry("b", "Completed"),
        entry("c", "Running"),
        entry("d", "Queued"),
        entry(5, "Running"),
    ])

    assert {job: status.status for job, status in found.items()} == {
        "a": "Running", "c": "Running", "d": "Queued", "5": "Running",
    }  # fmt: skip
    assert found["a"] is found["c"]
    assert found["a"].job_type == "uploadPredictions"


@pytest.mark.parametrize(
    "odd",
    [None, 5, "job", [], {}, entry(None, "Running"), entry("x", None), entry("x", "Running", job_type=None)],
)
def test_an_entry_that_cannot_be_read_is_left_out(odd):
    """Whose job it is has a look of its own; the other jobs are seen."""
    assert list(running_jobs(limit=5).parse([odd, entry("a", "Running")])) == ["a"]


def test_an_answer_that_is_no_list_is_an_error():
    """Of the look, which may pass."""
    with pytest.raises(NucleusValidationError):
        running_jobs(limit=5).parse({"jobs": []})
