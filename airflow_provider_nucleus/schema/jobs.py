"""Jobs: what the server does on its own time, and how it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_provider_nucleus.schema.base import Answer

__all__ = ["Job", "JobState", "JobStatus", "RowError", "job_state"]


class JobState(StrEnum):
    """Meaning of a status on the wire for someone who waits."""

    PENDING = "pending"
    """Queued or Running: ask again."""
    SUCCEEDED = "succeeded"
    """Completed; single rows may still have been refused or lost, see the counts in its message and the job's errors."""
    FAILED = "failed"
    """Errored in one of the fatal ways, or an unknown status: never mistaken for success."""
    PARTIAL = "partial"
    """Errored_Partial: some of the work was done; the caller decides what that means."""
    CANCELLED = "cancelled"
    """Cancelled, or Retried: superseded by another job."""

    @property
    def terminal(self) -> bool:
        """True when the state is final."""
        return self is not JobState.PENDING


_STATES = {
    "queued": JobState.PENDING,
    "running": JobState.PENDING,
    "completed": JobState.SUCCEEDED,
    "errored_partial": JobState.PARTIAL,
    "cancelled": JobState.CANCELLED,
    "canceled": JobState.CANCELLED,
    "retried": JobState.CANCELLED,
}


def job_state(status: str) -> JobState:
    """Interpret a status of the wire; what is unknown counts as failed."""
    return _STATES.get(status.lower(), JobState.FAILED)


class Job(Answer):
    """A job as the routes that start or list jobs describe it."""

    job_id: str
    job_last_known_status: str
    job_type: str = ""
    job_creation_time: str = ""

    @property
    def state(self) -> JobState:
        """Meaning of the last known status."""
        return job_state(self.job_last_known_status)


class JobStatus(Answer):
    """A job looked at: its status, the server's message, and progress in steps of the server's choosing."""

    status: str
    job_id: str = ""
    job_type: str | None = None
    message: Any = None
    job_progress: str | None = None
    completed_steps: int | None = None
    total_steps: int | None = None

    @property
    def state(self) -> JobState:
        """Meaning of the status."""
        return job_state(self.status)

    @property
    def final_error(self) -> str | None:
        """The reason of a failure, when the server gives one."""
        if isinstance(self.message, dict):
            reason = self.message.get("final_error")
            return None if reason is None else str(reason)
        return self.message if isinstance(self.message, str) and self.message else None

    @property
    def waiting(self) -> str | None:
        """Reason for which a job that has not ended does not get on, when the server says so: an embedded Nucleus whose disk is full."""
        reason = self.message.get("waiting") if isinstance(self.message, dict) else None
        return reason if isinstance(reason, str) and reason and not self.state.terminal else None


@dataclass(frozen=True, slots=True)
class RowError:
    """One line of a job's errors: why one object was refused, and which, as far as the server says."""

    reason: str
    reference_id: str | None = None
    annotation_id: str | None = None
    object: dict[str, Any] | None = None

    @classmethod
    def from_wire(cls, text: str) -> RowError:
        """Read a line: JSON with `annotation` and `error` (ids in either casing), or any other text as the reason."""
        try:
            members = json.loads(text)
        except ValueError:
            return cls(reason=text)
        if not isinstance(members, dict) or "error" not in members:
            return cls(reason=text)
        named = next((members[key] for key in ("annotation", "prediction", "item") if key in members), None)
        if not isinstance(named, dict):
            return cls(reason=str(members["error"]))
        return cls(
            reason=str(members["error"]),
            reference_id=_either(named, "referenceId", "reference_id"),
            annotation_id=_either(named, "annotationId", "annotation_id"),
            object=named,
        )


def _either(members: dict[str, Any], *names: str) -> str | None:
    return next((str(members[name]) for name in names if members.get(name) is not None), None)
