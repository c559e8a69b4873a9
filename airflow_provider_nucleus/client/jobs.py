"""Waiting for jobs and evaluations, in a thread and in the event loop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeVar

from airflow_provider_nucleus.client.calls.evaluations import get_evaluation
from airflow_provider_nucleus.client.calls.jobs import job_errors, job_status
from airflow_provider_nucleus.client.job_outcome import SHOWN_ERRORS, evaluation_failure, job_failure
from airflow_provider_nucleus.client.waiting import (
    RIDE_OUT,
    Patience,
    WaitSubject,
    left_running,
    run,
    run_async,
    stall_hint,
    waiting,
)
from airflow_provider_nucleus.exceptions import NucleusError, NucleusJobTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_nucleus.client.aio import AsyncNucleusClient
    from airflow_provider_nucleus.client.job_outcome import OnPartial
    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.client.waiting import WaitOutcome, WaitSteps
    from airflow_provider_nucleus.exceptions import NucleusJobError
    from airflow_provider_nucleus.schema.evaluations import Evaluation
    from airflow_provider_nucleus.schema.jobs import JobStatus

__all__ = [
    "EVALUATIONS",
    "JOBS",
    "wait_for_evaluation",
    "wait_for_evaluation_async",
    "wait_for_evaluations",
    "wait_for_job",
    "wait_for_job_async",
    "wait_for_jobs",
]

T = TypeVar("T")

log = logging.getLogger(__name__)


def _steps(status: JobStatus) -> str:
    return f", {status.completed_steps} of {status.total_steps} steps" if status.total_steps else ""


JOBS: Final[WaitSubject[JobStatus]] = WaitSubject(
    "Job",
    job_status,
    ended=lambda status: status.state.terminal,
    status=lambda status: status.status,
    progress=_steps,
    stalled=lambda status: status.waiting,
)

EVALUATIONS: Final[WaitSubject[Evaluation]] = WaitSubject(
    "Evaluation",
    get_evaluation,
    ended=lambda evaluation: evaluation.state.terminal,
    status=lambda evaluation: evaluation.status,
)


def wait_for_job(
    client: NucleusClient,
    job_id: str,
    *,
    poll_interval: float = 5.0,
    timeout: float | None = None,
    deadline: float | None = None,
    ride_out: float = RIDE_OUT,
    on_partial: OnPartial = "fail",
    on_change: Callable[[JobStatus], object] | None = None,
) -> JobStatus:
    """Wait until a job is over and return its last status.

    `on_change` is called with every new status, and when the reason changes for which the job waits (`JobStatus.waiting`).
    `timeout` is in seconds from now, `deadline` in seconds since the epoch; the earlier counts. Looks that fail in ways that may
    pass are ridden out for `ride_out` seconds. Raises NucleusJobTimeout, the error of the last look when an outage lasted longer
    or waiting does not cure it, NucleusNotFoundError for a job that the server does not know (any more), and for one that ended badly
    NucleusJobFailed or NucleusJobCancelled with its first row errors. `wait_for_jobs` raises none of them.
    """
    patience = Patience(poll_interval, ride_out, timeout, deadline)
    outcome = run(client, _waiting(client, JOBS, job_id, patience, on_change))
    status = _last(JOBS, outcome, client.config.conn_id)
    if job_failure(status, on_partial=on_partial) is None:
        return status
    try:
        errors = client.send(job_errors(job_id))[:SHOWN_ERRORS]
    except NucleusError as error:
        log.warning("The row errors of job %s could not be read: %s", job_id, error)
        errors = []
    raise _bad_end(status, errors, on_partial, client.config.conn_id)


def wait_for_jobs(
    client: NucleusClient,
    job_ids: Iterable[str],
    patience: Patience,
    *,
    earlier: WaitOutcome[JobStatus] | None = None,
) -> WaitOutcome[JobStatus]:
    """Wait for jobs and return how that went; raises nothing, neither for a bad end nor for an outage.

    With the outcome of an `earlier` wait for the same jobs, that one goes on.
    """
    return run(client, waiting(JOBS, job_ids, patience, clock=client.clock, earlier=earlier))


def wait_for_evaluations(
    client: NucleusClient,
    evaluation_ids: Iterable[str],
    patience: Patience,
    *,
    earlier: WaitOutcome[Evaluation] | None = None,
) -> WaitOutcome[Evaluation]:
    """Wait for evaluations and return how that went, as `wait_for_jobs` does."""
    return run(client, waiting(EVALUATIONS, evaluation_ids, patience, clock=client.clock, earlier=earlier))


async def wait_for_job_async(
    client: AsyncNucleusClient,
    job_id: str,
    *,
    poll_interval: float = 5.0,
    timeout: float | None = None,  # ruff: ignore[async-function-with-timeout] - also a deadline across processes
    deadline: float | None = None,
    ride_out: float = RIDE_OUT,
    on_partial: OnPartial = "fail",
    on_change: Callable[[JobStatus], object] | None = None,
) -> JobStatus:
    """Do the same as `wait_for_job` in the event loop."""
    patience = Patience(poll_interval, ride_out, timeout, deadline)
    outcome = await run_async(client, _waiting(client, JOBS, job_id, patience, on_change))
    status = _last(JOBS, outcome, client.config.conn_id)
    if job_failure(status, on_partial=on_partial) is None:
        return status
    try:
        errors = (await client.send(job_errors(job_id)))[:SHOWN_ERRORS]
    except NucleusError as error:
        log.warning("The row errors of job %s could not be read: %s", job_id, error)
        errors = []
    raise _bad_end(status, errors, on_partial, client.config.conn_id)


def wait_for_evaluation(
    client: NucleusClient,
    evaluation_id: str,
    *,
    poll_interval: float = 5.0,
    timeout: float | None = None,
    deadline: float | None = None,
    ride_out: float = RIDE_OUT,
    on_change: Callable[[Evaluation], object] | None = None,
) -> Evaluation:
    """Wait until an evaluation is over and return it, as `wait_for_job` does; raises NucleusMetricsError if it ended badly."""
    patience = Patience(poll_interval, ride_out, timeout, deadline)
    outcome = run(client, _waiting(client, EVALUATIONS, evaluation_id, patience, on_change))
    return _succeeded(_last(EVALUATIONS, outcome, client.config.conn_id), client.config.conn_id)


async def wait_for_evaluation_async(
    client: AsyncNucleusClient,
    evaluation_id: str,
    *,
    poll_interval: float = 5.0,
    timeout: float | None = None,  # ruff: ignore[async-function-with-timeout]
    deadline: float | None = None,
    ride_out: float = RIDE_OUT,
    on_change: Callable[[Evaluation], object] | None = None,
) -> Evaluation:
    """Do the same as `wait_for_evaluation` in the event loop."""
    patience = Patience(poll_interval, ride_out, timeout, deadline)
    outcome = await run_async(client, _waiting(client, EVALUATIONS, evaluation_id, patience, on_change))
    return _succeeded(_last(EVALUATIONS, outcome, client.config.conn_id), client.config.conn_id)


def _waiting(
    client: NucleusClient | AsyncNucleusClient,
    subject: WaitSubject[T],
    object_id: str,
    patience: Patience,
    on_change: Callable[[T], object] | None,
) -> WaitSteps[T]:
    return waiting(subject, [object_id], patience, clock=client.clock, on_change=on_change)


def _bad_end(
    status: JobStatus, errors: list[str], on_partial: OnPartial, conn_id: str | None
) -> NucleusJobError:
    failure = job_failure(status, errors=errors, on_partial=on_partial, conn_id=conn_id)
    assert failure is not None
    return failure


def _succeeded(evaluation: Evaluation, conn_id: str | None) -> Evaluation:
    if (failure := evaluation_failure(evaluation, conn_id=conn_id)) is not None:
        raise failure
    return evaluation


def _last(subject: WaitSubject[T], outcome: WaitOutcome[T], conn_id: str | None) -> T:
    """Return what was seen last of the one that was waited for, or raise why it has not ended."""
    if outcome.error is not None:
        raise outcome.error
    for error in outcome.gone.values():
        raise error
    for object_id in outcome.open:
        seen = outcome.seen.get(object_id)
        status = "" if seen is None else subject.status(seen)
        stalled = None if seen is None else subject.stalled(seen)
        left = left_running(subject.name, outcome.open)
        raise NucleusJobTimeout(
            f"{subject.name} {object_id} did not finish in time; its last status is {status or 'unknown'}.",
            job_id=object_id,
            status=status,
            conn_id=conn_id,
            hint=f"{left} {hint}" if (hint := stall_hint([stalled])) else left,
        )
    (last,) = outcome.seen.values()
    return last
