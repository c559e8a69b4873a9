"""Operators that start jobs of the server and wait for them, in the worker or deferred.

What becomes of a remote job, whoever ends the wait:

===============================  =================================================================================
the task is marked failed,       cancelled where the server can (`cancel_on_kill`), else left running and named in
cleared or marked success        the log; while waiting by ``on_kill`` of the operator, while deferred by that of the
                                 trigger (Airflow 3.3; below, and in the seconds before a triggerer has taken the
                                 trigger up, nothing of ours is called and the job is left running)
``job_timeout`` passes           the same, then NucleusJobTimeout
``execution_timeout`` passes     the same (while waiting; Airflow does not count it while deferred)
the deferral times out           the same: the scheduler wakes the task only to fail it, see ``resume_execution``
the trigger crashes              left running and named in the log; a retry attaches to it
the worker dies                  left running; a retry attaches to it
===============================  =================================================================================
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusError,
    NucleusJobCancelled,
    NucleusJobFailed,
    NucleusJobTimeout,
    NucleusNotFoundError,
)
from airflow_provider_nucleus.links.nucleus import RESUMED
from airflow_provider_nucleus.operators.base import NucleusOperator
from airflow_provider_nucleus.schema.jobs import JobState, JobStatus
from airflow_provider_nucleus.tasks.deferring import DEFERRAL_GRACE, default_deferrable, seconds
from airflow_provider_nucleus.tasks.state import generation, task_state
from airflow_provider_nucleus.triggers.events import WaitEvent
from airflow_provider_nucleus.triggers.job import NucleusJobTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_nucleus.client.cancelling import Cancellation

__all__ = ["NucleusWaitingOperator"]

_WAIT_KEY: Final = "nucleus_wait"
_STARTED_KEY: Final = "nucleus_started"
_FIRST_LOOKS: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Pauses in seconds after the first looks at a job."""

_FAIL: Final = "__fail__"
"""The method Airflow names when it wakes a task only to fail it."""


class NucleusWaitingOperator(NucleusOperator):
    """Base of the operators that wait for jobs; a subclass says what to do when they have ended.

    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param poll_interval: seconds between two looks at a job
    :param job_timeout: longest wait for the jobs, in seconds or as timedelta
    :param cancel_on_kill: whether to cancel the jobs when the task is killed or gives up waiting, where the server can
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        poll_interval: float = 5.0,
        job_timeout: float | timedelta = timedelta(hours=6),
        cancel_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.poll_interval = poll_interval
        self.job_timeout = job_timeout
        self.cancel_on_kill = cancel_on_kill
        if poll_interval <= 0 or seconds(job_timeout) <= 0:
            raise ValueError("poll_interval and job_timeout must be positive")
        self._running: list[str] = []

    def jobs_ended(
        self, context: Context, statuses: Mapping[str, JobStatus], carry: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the task's result; every job is terminal. To be defined by the subclass."""
        raise NotImplementedError

    def look(self, job_id: str) -> JobStatus:
        """Look at a job. What else is waited for is looked at by a subclass, in the shape of a job."""
        return self.hook.job_status(job_id)

    def wait_for(self, job_id: str, *, timeout: float) -> JobStatus:
        """Wait in the worker until a job is over, at most *timeout* seconds."""
        return self.hook.wait_for_job(
            job_id, poll_interval=self.poll_interval, timeout=timeout, on_change=self._log_change
        )

    def cancel(self, job_id: str) -> Cancellation:
        """Ask once for a job to be cancelled, and say what that led to."""
        return self.hook.cancel_job(job_id)

    def check_deferrable(self, carry: Mapping[str, Any]) -> None:
        """Raise before anything is started if the wait could not be handed to the triggerer."""
        if self.deferrable:
            self.trigger_for(["job_0"], carry).check_serializable()

    def attach_or_start(
        self,
        context: Context,
        carry: dict[str, Any],
        *,
        start: Callable[[dict[str, Any]], list[str]],
    ) -> list[str]:
        """Return the jobs an earlier try started for the same *carry*, or those that *start* starts now.

        For jobs that may be started twice without harm; the upload engine keeps a ledger of its own. *start* may add to *carry*
        what the wait should bring back. Jobs of before a clear by the user, and jobs that did not end well, are not taken.
        """
        state = task_state(context)
        settings = dict(carry)
        record = state.get(_STARTED_KEY) if state is not None else None
        if isinstance(record, dict) and record.get("generation") == generation(context):
            jobs = record.get("jobs") or []
            if record.get("settings") == settings and jobs and self._usable(jobs):
                self.log.info("Attaching to %s, which an earlier try started", ", ".join(jobs))
                carry |= record.get("carry") or {}
                return list(jobs)
        jobs = start(carry)
        if state is not None:
            record = {"generation": generation(context), "settings": settings, "jobs": jobs, "carry": carry}
            state.set(_STARTED_KEY, record)
        return jobs

    def _usable(self, job_ids: Sequence[str]) -> bool:
        try:
            states = [self.look(job_id).state for job_id in job_ids]
        except NucleusNotFoundError:
            return False
        return all(state in {JobState.PENDING, JobState.SUCCEEDED} for state in states)

    def wait_for_jobs(
        self, context: Context, job_ids: Sequence[str], carry: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Wait for *job_ids* and return what :meth:`jobs_ended` makes of them; *carry* survives a deferral.

        Raises TaskDeferred in a deferrable task with a job that is still running.
        """
        self._running = list(job_ids)
        if job_ids:
            self.link_to(
                context,
                dataset_id=carry.get("dataset_id"),
                model_id=carry.get("model_id"),
                job_id=job_ids[-1],
            )
        if not self.deferrable:
            deadline = time.time() + seconds(self.job_timeout)
            statuses = self._wait_here(job_ids, deadline)
        else:
            statuses = self._seen(job_ids)
            if len(statuses) < len(job_ids) or not all(one.state.terminal for one in statuses.values()):
                self._remember(context, job_ids)
                self.log.info("Waiting in the triggerer for %s", ", ".join(job_ids))
                self.defer(
                    trigger=self.trigger_for(job_ids, carry),
                    method_name="execute_complete",
                    timeout=timedelta(seconds=seconds(self.job_timeout)) + DEFERRAL_GRACE,
                )
        return self._finish(context, statuses, carry)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on when the triggerer says that the wait is over."""
        waited = WaitEvent.from_payload(event)
        self._running = list(waited.jobs)
        if waited.message:
            self.log.info("%s", waited.message)
        if waited.status == "timeout":
            raise self._timed_out(self._running)
        if waited.status == "finished":
            statuses = {job_id: JobStatus.from_wire(status) for job_id, status in waited.jobs.items()}
        else:
            # One look from here: either it works again, or it raises the error with its own type for the retry policy.
            statuses = {job_id: self.look(job_id) for job_id in waited.jobs}
            if not all(status.state.terminal for status in statuses.values()):
                raise NucleusJobTimeout(
                    f"Lost sight of {', '.join(waited.jobs)}: {waited.message}",
                    job_id=next(iter(waited.jobs), ""),
                    conn_id=self.nucleus_conn_id,
                    hint="The jobs were left running; a retry attaches to them.",
                )
        return self._finish(context, statuses, waited.carry)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Wake up; when Airflow wakes the task only to fail it, first see to the jobs it was waiting for."""
        setattr(self, RESUMED, True)
        if next_method != _FAIL:
            return super().resume_execution(next_method, next_kwargs, context)
        self._running = self._remembered(context)
        named = ", ".join(self._running) or "jobs that were not recorded"
        if "timeout" in str((next_kwargs or {}).get("error", "")).lower():
            raise self._timed_out(self._running)
        self.log.error("The trigger failed; %s: left running, a retry attaches to them", named)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel what this task waits for; called in a signal handler, so it is quick and never raises."""
        if self.cancel_on_kill:
            self.cancel_jobs(self._running)
        elif self._running:
            self.log.warning("Left running: %s", ", ".join(self._running))

    def cancel_jobs(self, job_ids: Sequence[str]) -> None:
        """Cancel jobs where the server can, and say in the log what became of each."""
        for job_id in job_ids:
            try:
                self.log.info("Job %s %s", job_id, self.cancel(job_id))
            except NucleusError as error:
                self.log.warning("Could not cancel job %s, it may still be running: %s", job_id, error)

    def _finish(
        self, context: Context, statuses: Mapping[str, JobStatus], carry: Mapping[str, Any]
    ) -> dict[str, Any]:
        self.link_to(
            context,
            dataset_id=carry.get("dataset_id"),
            model_id=carry.get("model_id"),
            job_id=list(statuses)[-1] if statuses else None,
        )
        result = self.jobs_ended(context, statuses, carry)
        self._running = []
        if (state := task_state(context)) is not None:
            state.delete(_WAIT_KEY)
            state.delete(_STARTED_KEY)
        return result

    def _wait_here(self, job_ids: Sequence[str], deadline: float) -> dict[str, JobStatus]:
        statuses = self._ended_soon(job_ids)
        for job_id in job_ids:
            if job_id in statuses:
                continue
            try:
                statuses[job_id] = self.wait_for(job_id, timeout=max(deadline - time.time(), 0))
            except NucleusJobTimeout as error:
                raise self._timed_out(job_ids) from error
            except (NucleusJobFailed, NucleusJobCancelled):
                # What a job's end means is decided in one place for both ways of waiting.
                statuses[job_id] = self.look(job_id)
        return statuses

    def _ended_soon(self, job_ids: Sequence[str]) -> dict[str, JobStatus]:
        """Return the jobs that end within the first seconds: small jobs should not pay a whole poll interval."""
        ended: dict[str, JobStatus] = {}
        for pause in _FIRST_LOOKS:
            left = [job_id for job_id in job_ids if job_id not in ended]
            seen = self._seen(left)
            ended |= {job_id: status for job_id, status in seen.items() if status.state.terminal}
            if len(ended) == len(job_ids) or len(seen) < len(left) or pause > self.poll_interval:
                break
            time.sleep(pause)
        return ended

    def _seen(self, job_ids: Sequence[str]) -> dict[str, JobStatus]:
        """Look at each job, up to the first look that fails: the wait that follows has a budget for such looks.

        Raises the error when asking again could not help.
        """
        seen: dict[str, JobStatus] = {}
        for job_id in job_ids:
            try:
                seen[job_id] = self.look(job_id)
            except NucleusError as error:
                if not (error.retryable or isinstance(error, NucleusAnswerError)):
                    raise
                self.log.warning("A look at job %s failed, the wait goes on: %s", job_id, error)
                break
        return seen

    def _log_change(self, status: JobStatus) -> None:
        steps = f", {status.completed_steps} of {status.total_steps} steps" if status.total_steps else ""
        self.log.info("Job %s is %s%s", status.job_id, status.status, steps)

    def trigger_for(self, job_ids: Sequence[str], carry: Mapping[str, Any]) -> NucleusJobTrigger:
        """Return the trigger that waits for *job_ids* in the place of the worker."""
        return NucleusJobTrigger(
            nucleus_conn_id=self.nucleus_conn_id,
            job_ids=list(job_ids),
            deadline=time.time() + seconds(self.job_timeout),
            poll_interval=self.poll_interval,
            cancel_on_kill=self.cancel_on_kill,
            carry=dict(carry),
        )

    def _timed_out(self, job_ids: Sequence[str]) -> NucleusJobTimeout:
        """Cancel what may be cancelled and return the error to raise."""
        if self.cancel_on_kill:
            self.cancel_jobs(job_ids)
        return NucleusJobTimeout(
            f"Gave up waiting for {', '.join(job_ids) or 'a job'} after {seconds(self.job_timeout):g} s.",
            job_id=job_ids[-1] if job_ids else "",
            conn_id=self.nucleus_conn_id,
            hint="The log says whether it was cancelled. Raise job_timeout if such jobs take longer.",
        )

    def _remember(self, context: Context, job_ids: Sequence[str]) -> None:
        """Record what is waited for, for the case that no event of ours comes back."""
        record = {"jobs": list(job_ids)}
        if (state := task_state(context)) is not None:
            state.set(_WAIT_KEY, record)
        elif self.do_xcom_push:
            context["ti"].xcom_push(key=_WAIT_KEY, value=record)

    def _remembered(self, context: Context) -> list[str]:
        state = task_state(context)
        record = (
            state.get(_WAIT_KEY)
            if state is not None
            else context["ti"].xcom_pull(task_ids=self.task_id, key=_WAIT_KEY)
        )
        jobs = record.get("jobs") if isinstance(record, dict) else None
        return [str(job_id) for job_id in jobs or ()]
