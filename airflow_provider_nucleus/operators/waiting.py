"""Operators that start jobs of the server and wait for them, in the worker or deferred.

What becomes of a remote job, whoever ends the wait:

===============================  =================================================================================
the task is marked failed,       cancelled where the server can (`cancel_on_kill`), else left running and named in
cleared or marked success        the log; while waiting by ``on_kill`` of the operator, while deferred by that of the
                                 trigger (Airflow 3.3; below, and in the seconds before a triggerer has taken the
                                 trigger up, nothing of ours is called and the job is left running)
``job_timeout`` passes           one last look at each job; if one still runs the same, then NucleusJobTimeout
``execution_timeout`` passes     the same as for a mark (while waiting; Airflow does not count it while deferred)
the deferral times out           one last look, as for ``job_timeout``: the scheduler wakes the task only to fail it, see
                                 ``resume_execution``
the trigger crashes              left running and named in the log; a retry attaches to it
the worker dies                  left running; a retry attaches to it, and starts it again, once, if it ends cancelled:
                                 the dying try may have asked for that
the job vanishes (404)           it has ended, and not well: a retry starts it again
===============================  =================================================================================
"""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.client.cancellation import Cancellation
from airflow_provider_nucleus.client.jobs import gone
from airflow_provider_nucleus.client.polling import may_pass
from airflow_provider_nucleus.client.stalled import StalledJobs
from airflow_provider_nucleus.exceptions import (
    NucleusError,
    NucleusJobCancelled,
    NucleusJobFailed,
    NucleusJobTimeout,
    NucleusNotFoundError,
)
from airflow_provider_nucleus.links.nucleus import RESUMED
from airflow_provider_nucleus.operators.base import NucleusOperator
from airflow_provider_nucleus.schema.jobs import JobState, JobStatus
from airflow_provider_nucleus.tasks.deferring import (
    DEFERRAL_GRACE,
    FAIL,
    default_deferrable,
    deferral_timed_out,
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
"""Key of what a wait carries: the jobs that an earlier try started."""

_WAIT_KEY: Final = "nucleus_wait"
_FIRST_LOOKS: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Pauses in seconds after the first looks at a job."""

_KILL_SECONDS: Final = 4.0
"""Time for cancelling when the task is killed: Airflow's supervisor ends a process five seconds after it was told to go."""

_PATIENCE_SECONDS: Final = 60.0
"""Time for cancelling when nobody counts the seconds."""


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
        self._killed = False

    @cached_property
    def _stalled(self) -> StalledJobs:
        """Why the jobs of this task wait."""
        return StalledJobs(self.log)

    def jobs_ended(
        self, context: Context, statuses: Mapping[str, JobStatus], carry: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the task's result; every job is terminal. To be defined by the subclass."""
        raise NotImplementedError

    def start_again(self, context: Context, carry: dict[str, Any]) -> list[str]:
        """Start anew what an earlier try had started and was cancelled with it. To be defined by subclasses that attach."""
        raise NotImplementedError

    def look(self, job_id: str) -> JobStatus:
        """Look at a job. What else is waited for is looked at by a subclass, in the shape of a job."""
        return self.hook.job_status(job_id)

    def wait_for(self, job_id: str, *, timeout: float) -> JobStatus:
        """Wait in the worker until a job is over, at most *timeout* seconds."""
        return self.hook.wait_for_job(
            job_id, poll_interval=self.poll_interval, timeout=timeout, on_change=self._log_change
        )

    def request_cancellation(self, job_ids: Sequence[str], *, patience: float) -> Mapping[str, Outcome]:
        """Ask for jobs to be cancelled, and return what came of it within *patience* seconds, by job."""
        return self.hook.cancel_jobs(job_ids, seconds=patience)

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

    def check_deferrable(self, carry: Mapping[str, Any]) -> None:
        """Raise before anything is started if the wait could not be handed to the triggerer."""
        if self.deferrable:
            self.trigger_for(["job_0"], carry).check_serializable()

    def wait_for_jobs(
        self, context: Context, job_ids: Sequence[str], carry: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Wait for *job_ids* and return what :meth:`jobs_ended` makes of them; *carry* survives a deferral.

        Raises TaskDeferred in a deferrable task with a job that is still running.
        """
        if self._killed:
            self._killed_while_starting(job_ids)
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
            if not _ended(job_ids, statuses):
                self._remember(context, job_ids, carry)
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
            for job_id, status in waited.jobs.items():
                # Empty when none was ever read.
                if status:
                    self._stalled.note(job_id, JobStatus.from_wire(status).waiting)
            return self._finish(context, self._last_look(self._running), waited.carry)
        if waited.status == "finished":
            statuses = {job_id: JobStatus.from_wire(status) for job_id, status in waited.jobs.items()}
        else:
            # One look from here: either it works again, or it raises the error with its own type for the retry policy.
            statuses = {job_id: self.look_or_gone(job_id) for job_id in waited.jobs}
            if not _ended(self._running, statuses):
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
        if next_method != FAIL:
            return super().resume_execution(next_method, next_kwargs, context)
        self._running, carry = self._remembered(context)
        if deferral_timed_out(next_method, next_kwargs):
            statuses = self._last_look(self._running)
            if carry is None:
                raise self._timed_out(self._running)
            return self._finish(context, statuses, carry)
        named = ", ".join(self._running) or "jobs that were not recorded"
        self.log.error("The trigger failed; %s: left running, a retry attaches to them", named)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel what this task waits for; called in a signal handler, so it is quick and never raises."""
        self._killed = True
        self.let_go(self._running, patience=_KILL_SECONDS)

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

    def let_go(self, job_ids: Sequence[str], *, patience: float = _PATIENCE_SECONDS) -> None:
        """See to jobs that nobody will wait for any more."""
        if self.cancel_on_kill:
            self.cancel_jobs(job_ids, patience=patience)
        elif job_ids:
            self.log.warning("Left running: %s", ", ".join(job_ids))

    def _killed_while_starting(self, job_ids: Sequence[str]) -> None:
        """See to the jobs that were being started when the signal came, and go no further."""
        self.let_go([job_id for job_id in job_ids if job_id not in self._running], patience=_KILL_SECONDS)
        raise NucleusJobCancelled(
            f"The task was killed while it started {', '.join(job_ids) or 'a job'}.",
            job_id=job_ids[-1] if job_ids else "",
            conn_id=self.nucleus_conn_id,
            hint="The log says whether the jobs were cancelled; a retry goes on from there.",
        )

    def _timed_out(self, job_ids: Sequence[str]) -> NucleusJobTimeout:
        """Cancel what may be cancelled and return the error to raise."""
        if self.cancel_on_kill:
            self.cancel_jobs(job_ids)
        return NucleusJobTimeout(
            f"Gave up waiting for {', '.join(job_ids) or 'a job'} after {seconds(self.job_timeout):g} s.",
            job_id=job_ids[-1] if job_ids else "",
            conn_id=self.nucleus_conn_id,
            hint="The log says whether it was cancelled. "
            + (self._stalled.hint(job_ids) or "Raise job_timeout if such jobs take longer."),
        )

    def _finish(
        self, context: Context, statuses: Mapping[str, JobStatus], carry: Mapping[str, Any]
    ) -> dict[str, Any]:
        self.link_to(
            context,
            dataset_id=carry.get("dataset_id"),
            model_id=carry.get("model_id"),
            job_id=list(statuses)[-1] if statuses else None,
        )
        if cancelled := _cancelled_with_an_earlier_try(statuses, carry):
            self.log.warning(
                "An earlier try started %s, and they were cancelled, as its end may have asked for: starting again",
                ", ".join(cancelled),
            )
            rest = {key: value for key, value in carry.items() if key != ATTACHED}
            return self.wait_for_jobs(context, self.start_again(context, rest), rest)
        result = self.jobs_ended(context, statuses, carry)
        self._running = []
        if (state := task_state(context)) is not None:
            state.delete(_WAIT_KEY)
        return result

    def _wait_here(self, job_ids: Sequence[str], deadline: float) -> dict[str, JobStatus]:
        statuses = self._ended_soon(job_ids)
        for job_id in job_ids:
            if job_id in statuses:
                continue
            try:
                statuses[job_id] = self.wait_for(job_id, timeout=max(deadline - time.time(), 0))
            except NucleusJobTimeout as error:
                raise self._timed_out([one for one in job_ids if one not in statuses]) from error
            except (NucleusJobFailed, NucleusJobCancelled):
                # What a job's end means is decided in one place for both ways of waiting.
                statuses[job_id] = self.look_or_gone(job_id)
            except NucleusNotFoundError as error:
                self.log.warning("Job %s is gone: %s", job_id, error)
                statuses[job_id] = gone(job_id)
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

        Also for a job that is not found: it may just have been started. Raises the error when asking again could not help.
        """
        seen: dict[str, JobStatus] = {}
        for job_id in job_ids:
            try:
                seen[job_id] = self.look(job_id)
                self._stalled.note(job_id, seen[job_id].waiting)
            except NucleusError as error:
                if not (may_pass(error) or isinstance(error, NucleusNotFoundError)):
                    raise
                self.log.warning("A look at job %s failed, the wait goes on: %s", job_id, error)
                break
        return seen

    def _last_look(self, job_ids: Sequence[str]) -> dict[str, JobStatus]:
        """Look once more when time is up, and return how each job ended; raises NucleusJobTimeout unless all have."""
        seen: dict[str, JobStatus] = {}
        try:
            for job_id in job_ids:
                seen[job_id] = self.look_or_gone(job_id)
                self._stalled.note(job_id, seen[job_id].waiting)
        except NucleusError as error:
            self.log.warning("The last look failed: %s", error)
        if _ended(job_ids, seen) and job_ids:
            self.log.info("All jobs ended while nobody looked")
            return seen
        left = [job_id for job_id in job_ids if job_id not in seen or not seen[job_id].state.terminal]
        raise self._timed_out(left)

    def look_or_gone(self, job_id: str) -> JobStatus:
        """Look at a job; one that the server does not know (any more) has ended, and not well."""
        try:
            return self.look(job_id)
        except NucleusNotFoundError as error:
            self.log.warning("Job %s is gone: %s", job_id, error)
            return gone(job_id)

    def _log_change(self, status: JobStatus) -> None:
        steps = f", {status.completed_steps} of {status.total_steps} steps" if status.total_steps else ""
        self.log.info("Job %s is %s%s", status.job_id, status.status, steps)
        self._stalled.note(status.job_id, status.waiting)

    def _remember(self, context: Context, job_ids: Sequence[str], carry: Mapping[str, Any]) -> None:
        """Record what is waited for, for the case that no event of ours comes back."""
        record = {"jobs": list(job_ids), "carry": dict(carry)}
        if (state := task_state(context)) is not None:
            state.set(_WAIT_KEY, record)
        elif self.do_xcom_push:
            context["ti"].xcom_push(key=_WAIT_KEY, value=record)

    def _remembered(self, context: Context) -> tuple[list[str], dict[str, Any] | None]:
        """Return the jobs and what the wait carried, None when that is not known."""
        state = task_state(context)
        record = (
            state.get(_WAIT_KEY)
            if state is not None
            else context["ti"].xcom_pull(task_ids=self.task_id, key=_WAIT_KEY)
        )
        if not isinstance(record, dict):
            return [], None
        return [str(job_id) for job_id in record.get("jobs") or ()], record.get("carry")


def _ended(job_ids: Iterable[str], statuses: Mapping[str, JobStatus]) -> bool:
    return all(job_id in statuses and statuses[job_id].state.terminal for job_id in job_ids)


def _cancelled_with_an_earlier_try(statuses: Mapping[str, JobStatus], carry: Mapping[str, Any]) -> list[str]:
    """Return the jobs that this try attached to and that ended cancelled, if nothing else went wrong."""
    bad = [
        job_id
        for job_id, status in statuses.items()
        if status.state not in {JobState.SUCCEEDED, JobState.PARTIAL}
    ]
    attached = set(carry.get(ATTACHED) or ())
    if all(job_id in attached and statuses[job_id].state is JobState.CANCELLED for job_id in bad):
        return bad
    return []
