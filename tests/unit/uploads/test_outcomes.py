"""What a job that ended did with its rows."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_nucleus.client.uploads.send.outcomes import Refusals, job_outcome
from airflow_provider_nucleus.schema.jobs import JobStatus

COUNTED = {"annotation_upload": {"processed": 6, "ignored": 2, "errored": 2}}
SHORT = {"annotation_upload": {"processed": 6, "ignored": 2, "errored": 0}}


@pytest.mark.parametrize(
    ("status", "message", "errors", "expected"),
    [
        # No word about a single row: none can be said to be stored.
        ("Completed", None, [], (0, 0, 0, 10)),
        ("Completed", None, ["a", "b"], (0, 0, 2, 8)),
        ("Completed", COUNTED, ["a", "b"], (6, 2, 2, 0)),
        ("Completed", SHORT, [], (6, 2, 0, 2)),
        ("Completed", SHORT, ["a"], (6, 2, 1, 1)),
        ("Completed", SHORT, ["a", "b", "c"], (6, 2, 2, 0)),
        ("Errored_Partial", None, ["a", "b"], (0, 0, 2, 8)),
        ("Errored_Partial", None, [], (0, 0, 1, 9)),
        ("Errored_Partial", COUNTED, ["a", "b"], (6, 2, 2, 0)),
        ("Errored_Partial", SHORT, [], (6, 2, 1, 1)),
        ("Errored_Partial", {"annotation_upload": {"processed": 10}}, [], (10, 0, 1, 0)),
    ],
)
def test_rows_of_a_job_that_ended(status, message, errors, expected):
    """The server's counts, and nothing that they leave out; a job that did not succeed says why."""
    refusals = Refusals()
    found = job_outcome(
        JobStatus(status=status, message=message, job_id="job_1"),
        10,
        lambda: errors,
        refusals,
        logging.getLogger("test"),
        kind="annotations",
    )

    assert (found.processed, found.ignored, found.errored, found.unaccounted) == expected
    said = errors or ([] if status == "Completed" else [f"job job_1 ended as {status}"])
    *_, unaccounted = expected
    lost = [
        f"not accounted for by the server: {unaccounted} of the 10 rows of job job_1; it counts {10 - unaccounted}"
    ]
    assert refusals.first_reasons(9) == said + (lost if unaccounted else [])
