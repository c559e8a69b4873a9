"""What a job that ended did with its rows."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.client.uploads.outcomes import Refusals, settle
from airflow_provider_nucleus.schema.jobs import JobStatus

COUNTED = {"annotation_upload": {"processed": 6, "ignored": 2, "errored": 2}}


@pytest.mark.parametrize(
    ("status", "message", "errors", "expected"),
    [
        ("Completed", None, [], (10, 0, 0)),
        ("Completed", None, ["a", "b"], (8, 0, 2)),
        ("Completed", COUNTED, ["a", "b"], (6, 2, 2)),
        ("Errored_Partial", None, ["a", "b"], (8, 0, 2)),
        ("Errored_Partial", None, [], (10, 0, 1)),
        ("Errored_Partial", COUNTED, ["a", "b"], (6, 2, 2)),
        # No word about a single row: none can be said to be stored.
        ("Errored", None, [], (0, 0, 10)),
        ("Errored_Server", None, ["a"], (0, 0, 10)),
        ("Cancelled", None, [], (0, 0, 10)),
        ("Something_New", None, [], (0, 0, 10)),
    ],
)
def test_rows_of_a_job_that_ended(status, message, errors, expected):
    """The server's counts, else what its status allows to conclude; a job that did not succeed says why."""
    refusals = Refusals()
    counts = settle(JobStatus(status=status, message=message, job_id="job_1"), 10, errors, refusals)

    assert (counts.processed, counts.ignored, counts.errored) == expected
    assert refusals.first(9) == (
        errors or ([] if status == "Completed" else [f"job job_1 ended as {status}"])
    )
