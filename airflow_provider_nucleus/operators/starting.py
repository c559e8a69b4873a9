"""Operators that start their jobs themselves and remember them across tries; the upload engine keeps a ledger of its own.

What must not be relaxed: the intent to start is saved before the call and the jobs after it, so that a try that follows knows
that something may have been started; and jobs that are not taken are not forgotten, they are cancelled or named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.operators.waiting import ATTACHED, NucleusWaitingOperator
from airflow_provider_nucleus.schema.jobs import JobState
from airflow_provider_nucleus.tasks.state import clear_count, task_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_nucleus.schema.jobs import JobStatus

__all__ = ["NucleusStartingOperator", "StartIntent"]

_STARTED_KEY: Final = "nucleus_started"


@dataclass(frozen=True, slots=True)
class StartIntent:
    """Marks that are recorded before something is started: the one to be recorded, and that of an earlier try.

    Call `record` right before the start, with a mark of the server's that everything older than the start lies before (the
    time of the newest job, say). `earlier` is the mark of an earlier try that did not live to record what came of it: something
    younger may be running. None when there is no such try.
    """

    record: Callable[[str], None]
    earlier: str | None = None


class NucleusStartingOperator(NucleusWaitingOperator):
    """Base of the operators that start jobs which may be started twice without harm."""

    def start_jobs(self, resume_payload: dict[str, Any], intent: StartIntent) -> list[str]:
        """Start the jobs that *resume_payload* describes, or find those of an earlier intent; add what the wait should keep."""
        raise NotImplementedError

    def attach_or_start(self, context: Context, resume_payload: dict[str, Any]) -> list[str]:
        """Return the jobs an earlier try started for the same *resume_payload*, or those that `start_jobs` starts now.

        Jobs of before a clear by the user, for other arguments, or that did not end well, are not taken; those that still run
        are cancelled, or named where they must not be.
        """
        state = task_state(context)
        record = state.get(_STARTED_KEY) if state is not None else None
        if not isinstance(record, dict):
            return self._start(context, resume_payload, settings=dict(resume_payload))
        jobs = [str(job_id) for job_id in record.get("jobs") or ()]
        states = {job_id: self.look_or_gone(job_id).state for job_id in jobs}
        same = record.get("clear_count") == clear_count(context) and record.get("settings") == resume_payload
        if same and jobs and all(one in {JobState.PENDING, JobState.SUCCEEDED} for one in states.values()):
            self.log.info("Attaching to %s, which an earlier try started", ", ".join(jobs))
            resume_payload |= record.get("resume_payload") or {}
            resume_payload[ATTACHED] = jobs
            return jobs
        if running := [job_id for job_id, one in states.items() if one is JobState.PENDING]:
            self.log.info("Nobody will wait for %s of an earlier try any more", ", ".join(running))
            self.abandon(running)
        earlier = record.get("since") if same and not jobs else None
        return self._start(context, resume_payload, settings=dict(resume_payload), earlier=earlier)

    def start_again(self, context: Context, resume_payload: dict[str, Any]) -> list[str]:
        """Start anew what an earlier try had started and was cancelled with it."""
        state = task_state(context)
        record = state.get(_STARTED_KEY) if state is not None else None
        settings = record.get("settings") if isinstance(record, dict) else None
        return self._start(context, resume_payload, settings=settings or dict(resume_payload))

    def _start(
        self,
        context: Context,
        resume_payload: dict[str, Any],
        *,
        settings: dict[str, Any],
        earlier: str | None = None,
    ) -> list[str]:
        state = task_state(context)
        record = {"clear_count": clear_count(context), "settings": settings}

        def save(since: str) -> None:
            if state is not None:
                state.set(_STARTED_KEY, record | {"since": since})

        jobs = self.start_jobs(resume_payload, StartIntent(save, earlier))
        if state is not None:
            state.set(_STARTED_KEY, record | {"jobs": jobs, "resume_payload": resume_payload})
        return jobs

    def forget_jobs(self, context: Context) -> None:
        """Let a retry start anew: it would attach to jobs that succeeded, however little they did."""
        if (state := task_state(context)) is not None:
            state.delete(_STARTED_KEY)

    def _finish(
        self, context: Context, statuses: Mapping[str, JobStatus], resume_payload: Mapping[str, Any]
    ) -> dict[str, Any]:
        result = super()._finish(context, statuses, resume_payload)
        self.forget_jobs(context)
        return result
