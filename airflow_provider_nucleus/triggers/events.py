"""Events from a trigger to the task it wakes, checked at both ends.

Events cross two processes and a database. Nothing outside the event reaches the resumed task for certain, so it carries
all the task needs (`resume_payload`), and an event that is not exactly what a trigger of ours sends is refused: an unknown status
must never fall through to success.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast, get_args

from airflow_provider_nucleus.exceptions import NucleusEventError, NucleusValidationError
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.schema.texts import storable

__all__ = ["EVENT_VERSION", "EventStatus", "WaitEvent"]

EVENT_VERSION: Final = 1

EventStatus = Literal["finished", "timeout", "unreachable"]
_STATUSES: Final = get_args(EventStatus)


@dataclass(frozen=True, slots=True)
class WaitEvent:
    """The end of a wait for jobs.

    `finished`: every job is terminal, whatever its outcome. `timeout`: the deadline passed. `unreachable`: the
    jobs' statuses could not be read for too long, or the server refused to tell; the jobs were left as they are.
    `jobs` holds the last known status object of each job (empty when none was ever read), `resume_payload` what the task gave the
    trigger, `message` a sentence for the log.
    """

    status: EventStatus
    jobs: dict[str, dict[str, Any]]
    resume_payload: dict[str, Any] = field(default_factory=dict)
    message: str = ""

    def to_payload(self) -> dict[str, Any]:
        """Return the event as the JSON-ready dict that travels, through a database that may refuse what is in a server's texts."""
        return {
            "version": EVENT_VERSION,
            "status": self.status,
            "jobs": storable(self.jobs),
            "resume_payload": self.resume_payload,
            "message": storable(self.message),
        }

    @classmethod
    def from_payload(cls, payload: Any) -> WaitEvent:
        """Read an event back; raises NucleusEventError when anything about it is not as `to_payload` makes it."""
        if not isinstance(payload, dict):
            raise _refused(f"it is {type(payload).__name__}, not a dict")
        if payload.get("version") != EVENT_VERSION:
            raise _refused(f"its version is {payload.get('version')!r}, not {EVENT_VERSION}")
        status = payload.get("status")
        if status not in _STATUSES:
            raise _refused(f"its status is {status!r}, not one of {', '.join(_STATUSES)}")
        jobs, resume_payload = payload.get("jobs"), payload.get("resume_payload")
        if not isinstance(jobs, dict) or not all(isinstance(job, dict) for job in jobs.values()):
            raise _refused("its jobs are not a dict of dicts")
        if not isinstance(resume_payload, dict):
            raise _refused("its resume_payload is not a dict")
        try:
            ended = [bool(job) and JobStatus.from_wire(job).state.terminal for job in jobs.values()]
        except NucleusValidationError as error:
            raise _refused(f"one of its jobs has no status: {error}") from error
        if not jobs or (status == "finished" and not all(ended)):
            raise _refused(f"it is {status}, but it names no jobs or some that have not ended")
        return cls(
            status=cast("EventStatus", status),
            jobs=jobs,
            resume_payload=resume_payload,
            message=str(payload.get("message") or ""),
        )


def _refused(problem: str) -> NucleusEventError:
    return NucleusEventError(
        f"The event from the triggerer is not one of ours: {problem}.",
        hint="Do worker and triggerer run the same version of airflow-provider-nucleus? The task's jobs were left as "
        "they are; a retry looks at them again.",
    )
