"""Events between triggerer and worker are checked at the boundary."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.exceptions import NucleusEventError
from airflow_provider_nucleus.triggers.events import WaitEvent


def test_event_round_trip():
    """An event survives its way through JSON-ready form unchanged."""
    event = WaitEvent("finished", {"job_1": {"status": "Completed"}}, {"dataset_id": "ds_1"}, "done")

    assert event == WaitEvent.from_payload(event.to_payload())


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "finished",
        {},
        {"version": 1, "status": "success", "jobs": {}, "resume_payload": {}},
        {"version": 1, "jobs": {}, "resume_payload": {}},
        {"version": 2, "status": "finished", "jobs": {}, "resume_payload": {}},
        {"version": 1, "status": "finished", "jobs": ["job_1"], "resume_payload": {}},
        {"version": 1, "status": "finished", "jobs": {"job_1": "Completed"}, "resume_payload": {}},
        {"version": 1, "status": "finished", "jobs": {}, "resume_payload": None},
        {"version": 1, "status": ["finished"], "jobs": {}, "resume_payload": {}},
        {"version": 1, "status": "finished", "jobs": {}, "resume_payload": {}},
        {"version": 1, "status": "finished", "jobs": {"job_1": {}}, "resume_payload": {}},
        {"version": 1, "status": "finished", "jobs": {"job_1": {"status": "Running"}}, "resume_payload": {}},
        {"version": 1, "status": "finished", "jobs": {"job_1": {"state": "ok"}}, "resume_payload": {}},
        {"version": 1, "status": "timeout", "jobs": {"job_1": {"status": None}}, "resume_payload": {}},
    ],
)
def test_foreign_event_fails_loudly(payload):
    """Anything but our own event is refused; it never falls through to success."""
    with pytest.raises(NucleusEventError, match="not one of ours"):
        WaitEvent.from_payload(payload)
