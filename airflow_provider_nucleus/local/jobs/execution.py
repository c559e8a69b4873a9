"""The context of a job's runner: its job, the store, and whether to stop.

A runner does its work in steps. Each step commits its rows together with the job's progress in one transaction, so that
after a crash the job goes on behind the last committed step: nothing is lost and nothing is done twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.local.store.catalog import jobs

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["JobCancelled", "JobContext", "JobInterrupted", "JobOutcome", "Runner", "failure_of"]


class JobCancelled(Exception):  # ruff: ignore[error-suffix-on-exception-name] - not a failure
    """The job is cancelled; what it has committed stays."""


class JobInterrupted(Exception):  # ruff: ignore[error-suffix-on-exception-name] - not a failure
    """The server is shutting down; the job goes on at the next start."""


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """The outcome of a job: a final status and its message object."""

    status: str
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class JobContext:
    """One execution of a job. `job` is as it was when the execution began."""

    services: Services
    job: jobs.JobRecord
    stopping: threading.Event

    def check(self, cursor: Cursor) -> None:
        """Raise if the job was cancelled or the server is stopping; call it before each step is committed."""
        if self.stopping.is_set():
            raise JobInterrupted
        if jobs.is_cancelled(cursor, self.job):
            raise JobCancelled


def failure_of(error: Exception) -> str:
    """Return the text for clients of an error nobody expected: its kind and text, but no path of this machine."""
    text = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {text or error}"


if TYPE_CHECKING:
    Runner = Callable[[JobContext], JobOutcome]
