"""Operators that start jobs of the server and wait for them, in the worker or deferred.

What becomes of a remote job, whoever ends the wait:

===============================  =================================================================================
the task is marked failed,       cancelled where the server can (`cancel_on_kill`), else left running and named in
cleared or marked success        the log; while waiting by `on_kill` of the operator, while deferred by that of the
                                 trigger (Airflow 3.3; below, and in the seconds before a triggerer has taken the
                                 trigger up, nothing of ours is called and the job is left running)
`job_timeout` passes           one last look at each job; if one still runs the same, then NucleusJobTimeout
`execution_timeout` passes     the same as for a mark, while waiting and while deferred
the deferral times out           one last look, as for `job_timeout`: the scheduler wakes the task only to fail it, see
                                 `resume_execution`
the trigger crashes              left running and named in the log; a retry attaches to it
the worker dies                  left running; a retry attaches to it, and starts it again, once, if it ends cancelled:
                                 the dying try may have requested that
the job vanishes (404)           it has ended, and not well: a retry starts it again
===============================  =================================================================================
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import get_current_context

from airflow_provider_nucleus.client.cancellation import Cancellation
from airflow_provider_nucleus.client.job_outcome import cancelled_among, gone
from airflow_provider_nucleus.client.waiting import RIDE_OUT, Patience, WaitOutcome, log_stall, stall_hint
from airflow_provider_nucleus.exceptions import (
    NucleusError,
    NucleusJobCancelled,
    NucleusJobTimeout,
    NucleusNotFoundError,
)
from airflow_provider_nucleus.links.nucleus import RESUMED
from airflow_provider_nucleus.operators.base import NucleusOperator
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.tasks.deferring import (
    DEFERRAL_GRACE,
    EXECUTION_DEADLINE,
    FAIL,
    default_deferrable,
    deferral_timed_out,
    execution_deadline,
    require_execution_time,
    ride_out_seconds,
    seconds,
)
from airflow_provider_nucleus.tasks.state import task_state
from airflow_provider_nucleus.triggers.events import WaitEvent
from airflow_provider_nucleus.triggers.job import NucleusJobTrigger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_nucleus.client.cancellation import Outcome

__all__ = ["ATTACHED", "NucleusWaitingOperator"]

ATTACHED: Final = "attached"
"""Key in a resume payload: the jobs that an earlier try started."""

_WAIT_KEY: Final = "nucleus_wait"
_FIRST_PAUSE: Final = 0.1
"""Seconds between the first two looks at a job; small jobs should not pay a whole poll interval."""

_KILL_SECONDS: Final = 4.0
"""Time for cancelling when the task is killed: Airflow's supervisor ends a process five seconds after the signal to end."""

_PATIENCE_SECONDS: Final = 60.0
"""Time for cancelling when nobody counts the seconds."""


class NucleusWaitingOperator(NucleusOperator):
    """Base of the operators that wait for jobs; a subclass says what to do when they have ended.

    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param poll_interval: seconds between two looks at a job
    :param job_timeout: longest wait for the jobs, in seconds or as timedelta
    :param ride_out: how long the server may be away while the task waits, in seconds or as timedelta; `job_timeout` still counts
    :param cancel_on_kill: whether to cancel the jobs when the task is killed or gives up waiting, where the server can
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        poll_interval: float = 5.0,
        job_timeout: float | timedelta = timedelta(hours=6),
        ride_out: float | timedelta = RIDE_OUT,
        cancel_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.poll_interval = poll_interval
        self.job_timeout = job_timeout
        self.ride_out = ride_out
        self.cancel_on_kill = cancel_on_kill
        if poll_interval <= 0 or seconds(job_timeout) <= 0:
            raise ValueError("poll_interval and job_timeout must be positive")
        ride_out_seconds(ride_out)
        self._running: list[str] = []
        self._killed = False

    def jobs_ended(
        self, context: Context, statuses: Mapping[str, JobStatus], resume_payload: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the task's result; every job is terminal. To be defined by the subclass."""
        raise NotImplementedError

    def start_again(self, context: Context, resume_payload: dict[str, Any]) -> list[str]:
        """Start anew what an earlier try had started and was cancelled with it. To be defined by subclasses that attach."""
        raise NotImplementedError

    def look(self, job_id: str) -> JobStatus:
        """Look at a job. What else is waited for is looked at by a subclass, in the shape of a job."""
        return self.hook.job_status(job_id)

    def wait_for(
        self, job_ids: Sequence[str], patience: Patience, *, earlier: WaitOutcome[Any] | None = None
    ) -> WaitOutcome[JobStatus]:
        """Wait in the worker until jobs are over or *patience* is at its end; an *earlier* wait goes on."""
        return self.hook.wait_for_jobs(job_ids, patience, earlier=earlier)

    def request_cancellation(self, job_ids: Sequence[str], *, patience: float) -> Mapping[str, Outcome]:
        """Ask for jobs to be cancelled, and return what came of it within *patience* seconds, by job."""
        return self.hook.cancel_jobs(job_ids, seconds=patience)

    def trigger_for(self, job_ids: Sequence[str], resume_payload: Mapping[str, Any]) -> NucleusJobTrigger:
        """Return the trigger that waits for *job_ids* in the place of the worker."""
        return NucleusJobTrigger(
            nucleus_conn_id=self.nucleus_conn_id,
            job_ids=list(job_ids),
            deadline=min(
                time.time() + seconds(self.job_timeout), resume_payload.get(EXECUTION_DEADLINE, inf)
            ),
            poll_interval=self.poll_interval,
            ride_out=ride_out_seconds(self.ride_out),
            cancel_on_kill=self.cancel_on_kill,
            resume_payload=dict(resume_payload),
        )

    def check_deferrable(self, resume_payload: Mapping[str, Any]) -> None:
        """Raise before anything is started if the wait could not be handed to the triggerer."""
        if self.deferrable:
            self.trigger_for(["job_0"], resume_payload).check_serializable()

    def wait_for_jobs(
        self, context: Context, job_ids: Sequence[str], resume_payload: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Wait for *job_ids* and return what `jobs_ended` makes of them; *resume_payload* survives a deferral.

        Raises TaskDeferred in a deferrable task with a job that is still running.
        """
        if self._killed:
            self._killed_while_starting(job_ids)
        self._running = list(job_ids)
        if job_ids:
            self.link_to(
                context,
                dataset_id=resume_payload.get("dataset_id"),
                model_id=resume_payload.get("model_id"),
                job_id=job_ids[-1],
                iou_threshold=resume_payload.get("iou_threshold"),
            )
        timeout = 0.0 if self.deferrable else seconds(self.job_timeout)
        outcome = self._wait_here(job_ids, self._patience(timeout))
        if self.deferrable and outcome.open:
            payload = dict(resume_payload) | execution_deadline(self, resume_payload)
            self._remember(context, job_ids, payload)
            self.log.info("Waiting in the triggerer for %s", ", ".join(job_ids))
            self.defer(
                trigger=self.trigger_for(job_ids, payload),
                method_name="execute_complete",
                timeout=timedelta(seconds=seconds(self.job_timeout)) + DEFERRAL_GRACE,
            )
        if outcome.open:
            raise self._timed_out(outcome.open, outcome.seen)
        return self._finish(context, _statuses(job_ids, outcome), resume_payload)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on when the triggerer says that the wait is over."""
        waited = WaitEvent.from_payload(event)
        self._running = list(waited.jobs)
        if waited.message:
            self.log.info("%s", waited.message)
        # Empty when a job was never seen.
        statuses = {job_id: JobStatus.from_wire(status) for job_id, status in waited.jobs.items() if status}
        if waited.status == "timeout":
            require_execution_time(self, waited.resume_payload)
            statuses = self._last_look(self._running, statuses)
        elif waited.status == "unreachable":
            # One look from here: either it works again, or it is the last of the outage and its error goes to the retry policy.
            patience = replace(self._patience(0.0), not_found_grace=0.0)
            outage: WaitOutcome[JobStatus] = WaitOutcome([], failing=dict.fromkeys(self._running, 0.0))
            outcome = self._wait_here(self._running, patience, earlier=outage)
            if outcome.open:
                raise NucleusJobTimeout(
                    f"Lost sight of {', '.join(waited.jobs)}: {waited.message}",
                    job_id=next(iter(waited.jobs), ""),
                    conn_id=self.nucleus_conn_id,
                    hint="The jobs were left running; a retry attaches to them.",
                )
            statuses = _statuses(self._running, outcome)
        return self._finish(context, statuses, waited.resume_payload)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Wake up; when Airflow wakes the task only to fail it, first see to the jobs it was waiting for."""
        setattr(self, RESUMED, True)
        if next_method != FAIL:
            return super().resume_execution(next_method, next_kwargs, context)
        self._running, resume_payload = self._remembered(context)
        if deferral_timed_out(next_method, next_kwargs):
            require_execution_time(self, resume_payload or {})
            statuses = self._last_look(self._running, {})
            if resume_payload is None:
                raise self._timed_out(self._running, statuses)
            return self._finish(context, statuses, resume_payload)
        named = ", ".join(self._running) or "jobs that were not recorded"
        self.log.error("The trigger failed; %s: left running, a retry attaches to them", named)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel what this task waits for; called in a signal handler, so it is quick and never raises."""
        self._killed = True
        if not self._running:
            # Airflow 2 ends a task whose time is over before it has resumed.
            self._running = self._jobs_of_the_deferral()
        self.abandon(self._running, patience=_KILL_SECONDS)

    def cancel_jobs(self, job_ids: Sequence[str], *, patience: float = _PATIENCE_SECONDS) -> None:
        """Cancel jobs where the server can, within *patience* seconds, and say in the log what became of each."""
        if not job_ids:
            return
        # First of all their names: whatever ends this process leaves them in the log.
        self.log.info("Asking for %s to be cancelled", ", ".join(job_ids))
        try:
            outcomes = self.request_cancellation(job_ids, patience=patience)
        except NucleusError as error:
            self.log.warning("Could not cancel anything, all may still be running: %s", error)
            return
        for job_id, outcome in outcomes.items():
            if isinstance(outcome, Cancellation):
                self.log.info("Job %s %s", job_id, outcome)
            else:
                reason = outcome or f"no answer within {patience:g} s"
                self.log.warning("Could not cancel job %s, it may still be running: %s", job_id, reason)

    def abandon(self, job_ids: Sequence[str], *, patience: float = _PATIENCE_SECONDS) -> None:
        """See to jobs that nobody will wait for any more."""
        if self.cancel_on_kill:
            self.cancel_jobs(job_ids, patience=patience)
        elif job_ids:
            self.log.warning("Left running: %s", ", ".join(job_ids))

    def _killed_while_starting(self, job_ids: Sequence[str]) -> None:
        """See to the jobs that were being started when the signal came, and go no further."""
        self.abandon([job_id for job_id in job_ids if job_id not in self._running], patience=_KILL_SECONDS)
        raise NucleusJobCancelled(
            f"The task was killed while it started {', '.join(job_ids) or 'a job'}.",
            job_id=job_ids[-1] if job_ids else "",
            conn_id=self.nucleus_conn_id,
            hint="The log says whether the jobs were cancelled; a retry goes on from there.",
        )

    def _timed_out(self, job_ids: Sequence[str], seen: Mapping[str, JobStatus]) -> NucleusJobTimeout:
        """Cancel what may be cancelled and return the error to raise; *seen* is how the jobs were last seen."""
        stalled = stall_hint(seen[job_id].waiting for job_id in job_ids if job_id in seen)
        if self.cancel_on_kill:
            self.cancel_jobs(job_ids)
        return NucleusJobTimeout(
            f"Gave up waiting for {', '.join(job_ids) or 'a job'} after {seconds(self.job_timeout):g} s.",
            job_id=job_ids[-1] if job_ids else "",
            conn_id=self.nucleus_conn_id,
            hint="The log says whether it was cancelled. "
            + (stalled or "Raise job_timeout if such jobs take longer."),
        )

    def _finish(
        self, context: Context, statuses: Mapping[str, JobStatus], resume_payload: Mapping[str, Any]
    ) -> dict[str, Any]:
        self.link_to(
            context,
            dataset_id=resume_payload.get("dataset_id"),
            model_id=resume_payload.get("model_id"),
            job_id=list(statuses)[-1] if statuses else None,
            iou_threshold=resume_payload.get("iou_threshold"),
        )
        if cancelled := cancelled_among(statuses, resume_payload.get(ATTACHED) or ()):
            self.log.warning(
                "An earlier try started %s, and they were cancelled, as its end may have requested: starting again",
                ", ".join(cancelled),
            )
            rest = {key: value for key, value in resume_payload.items() if key != ATTACHED}
            return self.wait_for_jobs(context, self.start_again(context, rest), rest)
        result = self.jobs_ended(context, statuses, resume_payload)
        self._running = []
        if (state := task_state(context)) is not None:
            state.delete(_WAIT_KEY)
        return result

    def _patience(self, timeout: float) -> Patience:
        """Return the patience of a wait in the worker, at most *timeout* seconds; 0 seconds are one look at each job."""
        return Patience(
            self.poll_interval,
            ride_out=ride_out_seconds(self.ride_out),
            timeout=timeout,
            first_pause=_FIRST_PAUSE,
        )

    def _wait_here(
        self,
        job_ids: Sequence[str],
        patience: Patience,
        *,
        earlier: WaitOutcome[JobStatus] | None = None,
    ) -> WaitOutcome[JobStatus]:
        """Wait in the worker; raises the error of the last look when an outage lasts too long or waiting does not cure it."""
        outcome = self.wait_for(job_ids, patience, earlier=earlier)
        if outcome.error is not None:
            outcome.error.hint = f"{outcome.error.hint or ''} A retry attaches to what still runs.".strip()
            raise outcome.error
        for job_id, error in outcome.gone.items():
            self.log.warning("Job %s is gone: %s", job_id, error)
        return outcome

    def _last_look(self, job_ids: Sequence[str], before: Mapping[str, JobStatus]) -> dict[str, JobStatus]:
        """Look once more when time is up, and return how each job ended; raises NucleusJobTimeout unless all have.

        *before* is how they were last seen.
        """
        seen: dict[str, JobStatus] = {}
        try:
            for job_id in job_ids:
                seen[job_id] = self.look_or_gone(job_id)
                log_stall(self.log, f"Job {job_id}", None, seen[job_id].waiting)
        except NucleusError as error:
            self.log.warning("The last look failed: %s", error)
        left = [job_id for job_id in job_ids if job_id not in seen or not seen[job_id].state.terminal]
        if left or not job_ids:
            raise self._timed_out(left, {**before, **seen})
        self.log.info("All jobs ended while nobody looked")
        return seen

    def look_or_gone(self, job_id: str) -> JobStatus:
        """Look at a job; one that the server does not know (any more) has ended, and not well."""
        try:
            return self.look(job_id)
        except NucleusNotFoundError as error:
            self.log.warning("Job %s is gone: %s", job_id, error)
            return gone(job_id)

    def _remember(self, context: Context, job_ids: Sequence[str], resume_payload: Mapping[str, Any]) -> None:
        """Record what is waited for, for the case that no event of ours comes back."""
        record = {"jobs": list(job_ids), "resume_payload": dict(resume_payload)}
        if (state := task_state(context)) is not None:
            state.set(_WAIT_KEY, record)
        elif self.do_xcom_push:
            context["ti"].xcom_push(key=_WAIT_KEY, value=record)

    def _jobs_of_the_deferral(self) -> list[str]:
        """Return the jobs that an earlier process of this try deferred for, none when that cannot be told."""
        try:
            return self._remembered(get_current_context())[0] if self.deferrable else []
        except Exception:  # ruff: ignore[blind-except] - a signal handler must not raise, and Airflow fails in any way
            return []

    def _remembered(self, context: Context) -> tuple[list[str], dict[str, Any] | None]:
        """Return the jobs and what the wait payload, None when that is not known."""
        state = task_state(context)
        record = (
            state.get(_WAIT_KEY)
            if state is not None
            else context["ti"].xcom_pull(task_ids=self.task_id, key=_WAIT_KEY)
        )
        if not isinstance(record, dict):
            return [], None
        return [str(job_id) for job_id in record.get("jobs") or ()], record.get("resume_payload")


def _statuses(job_ids: Iterable[str], outcome: WaitOutcome[JobStatus]) -> dict[str, JobStatus]:
    """Return how each job ended."""
    return {job_id: gone(job_id) if job_id in outcome.gone else outcome.seen[job_id] for job_id in job_ids}
