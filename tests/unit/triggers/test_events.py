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
        {"version": 1, "status": "success", "jobs": {}, "carry": {}},
        {"version": 1, "jobs": {}, "carry": {}},
        {"version": 2, "status": "finished", "jobs": {}, "carry": {}},
        {"version": 1, "status": "finished", "jobs": ["job_1"], "carry": {}},
        {"version": 1, "status": "finished", "jobs": {"job_1": "Completed"}, "carry": {}},
        {"version": 1, "status": "finished", "jobs": {}, "carry": None},
        {"version": 1, "status": ["finished"], "jobs": {}, "carry": {}},
    ],
)
def test_foreign_event_fails_loudly(payload):
    """Anything but our own event is refused; it never falls through to success."""
    with pytest.raises(NucleusEventError, match="not one of ours"):
        WaitEvent.from_payload(payload)
