"""Jobs that run and do not get on, as far as the server says why: an embedded Nucleus whose disk is full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["StalledJobs"]


class _Log(Protocol):
    """A logger, Python's or Airflow's."""

    def info(self, event: str, /, *args: Any) -> Any: ...

    def warning(self, event: str, /, *args: Any) -> Any: ...


class StalledJobs:
    """Why each job that is waited for waits itself; the log has each change once."""

    def __init__(self, log: _Log) -> None:
        self._log = log
        self._reasons: dict[str, str] = {}

    def note(self, job_id: str, reason: str | None) -> None:
        """Take note of the reason that a look at a job gave, None when it gave none."""
        if reason == self._reasons.get(job_id):
            return
        if reason is None:
            del self._reasons[job_id]
            self._log.info("Job %s waits no longer", job_id)
        else:
            self._reasons[job_id] = reason
            self._log.warning("Job %s waits, the server says: %s", job_id, reason)

    def hint(self, job_ids: Iterable[str]) -> str | None:
        """Return what the server says about those of the jobs that wait, and what to do; None when none does."""
        reasons = dict.fromkeys(self._reasons[job_id] for job_id in job_ids if job_id in self._reasons)
        if not reasons:
            return None
        said = " ".join(f"{reason.rstrip('. ')}." for reason in reasons)
        return f"The server says: {said} Make room there; a retry goes on."

    def completed(self, hint: str, job_ids: Iterable[str]) -> str:
        """Return a hint with that of the jobs that wait."""
        stalled = self.hint(job_ids)
        return hint if stalled is None else f"{hint} {stalled}"
