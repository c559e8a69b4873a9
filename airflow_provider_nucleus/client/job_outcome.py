"""Waiting for jobs and evaluations: two thin drivers of `polling` for each."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

from airflow_provider_nucleus.client.calls.evaluations import get_evaluation
from airflow_provider_nucleus.client.calls.jobs import job_errors, job_status
from airflow_provider_nucleus.client.job_counts import job_counts
from airflow_provider_nucleus.client.polling import (
    Done,
    GiveUp,
    PollPolicy,
    PollState,
    StopReason,
    Wait,
    decide,
)
from airflow_provider_nucleus.client.retry import NO_RETRY
from airflow_provider_nucleus.client.stalled import StalledJobs
from airflow_provider_nucleus.exceptions import (
    NucleusError,
    NucleusJobCancelled,
    NucleusJobError,
    NucleusJobFailed,
    NucleusJobTimeout,
    NucleusMetricsError,
)
from airflow_provider_nucleus.schema.evaluations import EvaluationState
from airflow_provider_nucleus.schema.jobs import JobState, JobStatus, RowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_nucleus.client.aio import AsyncNucleusClient
    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.schema.evaluations import Evaluation

__all__ = [
    "GONE",
    "SHOWN_ERRORS",
    "OnPartial",
    "evaluation_failure",
    "gone",
    "is_gone",
    "job_failure",
    "wait_for_evaluation",
    "wait_for_evaluation_async",
    "wait_for_job",
    "wait_for_job_async",
]

T = TypeVar("T")

log = logging.getLogger(__name__)

OnPartial: TypeAlias = Literal["fail", "succeed"]
"""What Errored_Partial counts as, and Completed with refused rows."""

SHOWN_ERRORS = 10
"""Row errors that an error of ours carries."""

GONE = "Gone"
"""Our word, no server's, for the status of what is not there any more."""


def gone(object_id: str) -> JobStatus:
    """Return the status of a job, or an evaluation, that a server answers 404 for: it has ended, and not well."""
    return JobStatus(
        status=GONE, job_id=object_id, message={"final_error": "the server does not know it (any more)"}
    )


def is_gone(status: JobStatus) -> bool:
    """Return whether a status is that of something the server does not know (any more)."""
    return status.status == GONE


def job_failure(
    status: JobStatus,
    *,
    errors: list[str] | None = None,
    on_partial: OnPartial = "fail",
    conn_id: str | None = None,
) -> NucleusJobError | None:
    """Return the error that a finished job deserves, or None if it succeeded; `errors` are its row errors, as sent.

    One that is Completed and counts rows it refused failed in part.
    """
    state = status.state
    refused = counts.errored if (counts := job_counts(status)) is not None else 0
    if state is JobState.SUCCEEDED and refused:
        state = JobState.PARTIAL
    if state is JobState.SUCCEEDED or (state is JobState.PARTIAL and on_partial == "succeed"):
        return None
    kind = NucleusJobCancelled if state is JobState.CANCELLED else NucleusJobFailed
    partly = f"refused {refused:,} rows" if refused else "failed in part"
    what = {JobState.CANCELLED: "was cancelled", JobState.PARTIAL: partly}.get(state, "failed")
    reason = f": {status.final_error}" if status.final_error else ""
    rows = [RowError.from_wire(text).reason for text in (errors or [])[:3]]
    listed = f" First row errors: {'; '.join(rows)}." if rows else ""
    return kind(
        f"Job {status.job_id}{f' ({status.job_type})' if status.job_type else ''} {what} with status "
        f"{status.status}{reason}.{listed}",
        job_id=status.job_id,
        status=status.status,
        job_message=status.message,
        errors=errors,
        conn_id=conn_id,
        hint="Correct what it complains about, then run the task again.",
    )


def evaluation_failure(evaluation: Evaluation, *, conn_id: str | None = None) -> NucleusMetricsError | None:
    """Return the error that a finished evaluation deserves, or None if it succeeded."""
    if evaluation.state is EvaluationState.SUCCEEDED:
        return None
    what = "was cancelled" if evaluation.state is EvaluationState.CANCELLED else "failed"
    reason = f": {evaluation.error_message}" if evaluation.error_message else ""
    return NucleusMetricsError(
        f"Evaluation {evaluation.id} {what} with status {evaluation.status}{reason}.",
        model_id=evaluation.model_id,
        evaluation_id=evaluation.id,
        conn_id=conn_id,
    )


@dataclass(frozen=True, slots=True)
class _Subject(Generic[T]):
    """What is waited for: how to look, when it is over, how it is called."""

    call: Call[T]
    name: str
    object_id: str
    terminal: Callable[[T], bool]
    status: Callable[[T], str]
    waiting: Callable[[T], str | None]
    on_change: Callable[[T], object] | None


class _Watch(Generic[T]):
    """The decisions of one wait, without any waiting."""

    def __init__(self, subject: _Subject[T], policy: PollPolicy, conn_id: str | None) -> None:
        self._subject = subject
        self._policy = policy
        self._conn_id = conn_id
        self._state = PollState()
        self._rng = random.Random()  # ruff: ignore[suspicious-non-cryptographic-random-usage] - jitter
        self._last = ""
        self._reason: str | None = None
        self._stalled = StalledJobs(log)

    def after(self, seen: T | NucleusError, now: float) -> Wait | Done[T]:
        """Decide after a look; raises when waiting is over without an end."""
        terminal = False
        if not isinstance(seen, NucleusError):
            terminal = self._subject.terminal(seen)
            self._announce(seen)
        elif self._state.failures == 0:
            log.warning("Looking at %s failed, it goes on: %s", self._subject.name, seen)
        self._state, decision = decide(
            self._state, seen, self._policy, terminal=terminal, now=now, rng=self._rng
        )
        if isinstance(decision, GiveUp):
            raise self._given_up(decision)
        return decision

    def _announce(self, seen: T) -> None:
        status, reason = self._subject.status(seen), self._subject.waiting(seen)
        if (status, reason) == (self._last, self._reason):
            return
        if status != self._last:
            log.info("%s is %s", self._subject.name, status)
        self._last, self._reason = status, reason
        self._stalled.note(self._subject.object_id, reason)
        if self._subject.on_change is not None:
            self._subject.on_change(seen)

    def _given_up(self, decision: GiveUp) -> NucleusError:
        left = self._stalled.completed(
            f"{self._subject.name} was left as it is and may still be running.", [self._subject.object_id]
        )
        if decision.reason is StopReason.DEADLINE or decision.error is None:
            return NucleusJobTimeout(
                f"{self._subject.name} did not finish in time; its last status is {self._last or 'unknown'}.",
                job_id=self._subject.object_id,
                status=self._last,
                conn_id=self._conn_id,
                hint=left,
            )
        error = decision.error
        error.hint = f"{error.hint} {left}" if error.hint else left
        return error


def _run(client: NucleusClient, watch: _Watch[T], call: Call[T]) -> T:
    while True:
        seen: T | NucleusError
        try:
            seen = client.send(call, retry=NO_RETRY)
        except NucleusError as error:
            seen = error
        decision = watch.after(seen, client.clock())
        if isinstance(decision, Done):
            return decision.value
        client.sleep(decision.seconds)


async def _run_async(client: AsyncNucleusClient, watch: _Watch[T], call: Call[T]) -> T:
    while True:
        seen: T | NucleusError
        try:
            seen = await client.send(call, retry=NO_RETRY)
        except NucleusError as error:
            seen = error
        decision = watch.after(seen, client.clock())
        if isinstance(decision, Done):
            return decision.value
        await client.sleep(decision.seconds)


def _job(job_id: str, on_change: Callable[[JobStatus], object] | None) -> _Subject[JobStatus]:
    return _Subject(
        call=job_status(job_id),
        name=f"Job {job_id}",
        object_id=job_id,
        terminal=lambda status: status.state.terminal,
        status=lambda status: status.status,
        waiting=lambda status: status.waiting,
        on_change=on_change,
    )


def _evaluation(evaluation_id: str, on_change: Callable[[Evaluation], object] | None) -> _Subject[Evaluation]:
    return _Subject(
        call=get_evaluation(evaluation_id),
        name=f"Evaluation {evaluation_id}",
        object_id=evaluation_id,
        terminal=lambda evaluation: evaluation.state.terminal,
        status=lambda evaluation: evaluation.status,
        waiting=lambda _: None,
        on_change=on_change,
    )


def wait_for_job(
    client: NucleusClient,
    job_id: str,
    *,
    poll_interval: float = 5.0,
    timeout: float | None = None,
    deadline: float | None = None,
    failure_budget: int = 5,
    on_partial: OnPartial = "fail",
    on_change: Callable[[JobStatus], object] | None = None,
) -> JobStatus:
    """Wait until a job is over and return its last status.

    `on_change` is called with every new status, and when the reason changes for which the job waits (`JobStatus.waiting`).
    `timeout` is in seconds from now, `deadline` in seconds since the epoch; the earlier counts. Raises NucleusJobFailed or
    NucleusJobCancelled with the first row errors, NucleusJobTimeout, or the error of the last look when looks kept failing.
    """
    watch = _Watch(
        _job(job_id, on_change),
        _waiting(client.clock(), poll_interval, timeout, deadline, failure_budget),
        client.config.conn_id,
    )
    status = _run(client, watch, job_status(job_id))
    if job_failure(status, on_partial=on_partial) is None:
        return status
    try:
        errors = client.send(job_errors(job_id))[:SHOWN_ERRORS]
    except NucleusError as error:
        log.warning("The row errors of job %s could not be read: %s", job_id, error)
        errors = []
    failure = job_failure(status, errors=errors, on_partial=on_partial, conn_id=client.config.conn_id)
    assert failure is not None
    raise failure


async def wait_for_job_async(
    client: AsyncNucleusClient,
    job_id: str,
    *,
    poll_interval: float = 5.0,
    timeout: float | None = None,  # ruff: ignore[async-function-with-timeout] - also a deadline across processes
    deadline: float | None = None,
    failure_budget: int = 5,
    on_partial: OnPartial = "fail",
    on_change: Callable[[JobStatus], object] | None = None,
) -> JobStatus:
    """Do the same as `wait_for_job` in the event loop."""
    watch = _Watch(
        _job(job_id, on_change),
        _waiting(client.clock(), poll_interval, timeout, deadline, failure_budget),
        client.config.conn_id,
    )
    status = await _run_async(client, watch, job_status(job_id))
    if job_failure(status, on_partial=on_partial) is None:
        return status
    try:
        errors = (await client.send(job_errors(job_id)))[:SHOWN_ERRORS]
    except NucleusError as error:
        log.warning("The row errors of job %s could not be read: %s", job_id, error)
        errors = []
    failure = job_failure(status, errors=errors, on_partial=on_partial, conn_id=client.config.conn_id)
    assert failure is not None
    raise failure


def wait_for_evaluation(
    client: NucleusClient,
    evaluation_id: str,
    *,
    poll_interval: float = 5.0,
    timeout: float | None = None,
    deadline: float | None = None,
    failure_budget: int = 5,
    on_change: Callable[[Evaluation], object] | None = None,
) -> Evaluation:
    """Wait until an evaluation is over and return it; raises NucleusMetricsError if it failed or was cancelled."""
    subject = _evaluation(evaluation_id, on_change)
    watch = _Watch(
        subject,
        _waiting(client.clock(), poll_interval, timeout, deadline, failure_budget),
        client.config.conn_id,
    )
    evaluation = _run(client, watch, subject.call)
    failure = evaluation_failure(evaluation, conn_id=client.config.conn_id)
    if failure is not None:
        raise failure
    return evaluation


async def wait_for_evaluation_async(
    client: AsyncNucleusClient,
    evaluation_id: str,
    *,
    poll_interval: float = 5.0,
    timeout: float | None = None,  # ruff: ignore[async-function-with-timeout]
    deadline: float | None = None,
    failure_budget: int = 5,
    on_change: Callable[[Evaluation], object] | None = None,
) -> Evaluation:
    """Do the same as `wait_for_evaluation` in the event loop."""
    subject = _evaluation(evaluation_id, on_change)
    watch = _Watch(
        subject,
        _waiting(client.clock(), poll_interval, timeout, deadline, failure_budget),
        client.config.conn_id,
    )
    evaluation = await _run_async(client, watch, subject.call)
    failure = evaluation_failure(evaluation, conn_id=client.config.conn_id)
    if failure is not None:
        raise failure
    return evaluation


def _waiting(
    now: float, poll_interval: float, timeout: float | None, deadline: float | None, failure_budget: int
) -> PollPolicy:
    ends = [end for end in (deadline, None if timeout is None else now + timeout) if end is not None]
    return PollPolicy(
        interval=poll_interval,
        max_interval=max(60.0, poll_interval),
        failure_budget=failure_budget,
        deadline=min(ends, default=None),
    )
