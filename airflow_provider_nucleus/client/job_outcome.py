"""The outcome of a job or an evaluation: the error that a bad end becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from airflow_provider_nucleus.client.job_counts import job_counts
from airflow_provider_nucleus.exceptions import (
    NucleusJobCancelled,
    NucleusJobError,
    NucleusJobFailed,
    NucleusMetricsError,
)
from airflow_provider_nucleus.schema.evaluations import EvaluationState
from airflow_provider_nucleus.schema.jobs import JobState, JobStatus, RowError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow_provider_nucleus.schema.evaluations import Evaluation

__all__ = [
    "GONE", "SHOWN_ERRORS", "OnPartial", "cancelled_among", "evaluation_failure", "gone", "is_gone", "job_failure",
]  # fmt: skip

OnPartial: TypeAlias = Literal["fail", "succeed"]
"""Outcome that Errored_Partial counts as, and Completed with refused rows."""

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


def cancelled_among(statuses: Mapping[str, JobStatus], attached: Collection[str]) -> list[str]:
    """Return the jobs among *attached* that ended cancelled, if nothing else went wrong with any job."""
    bad = [
        job_id
        for job_id, status in statuses.items()
        if status.state not in {JobState.SUCCEEDED, JobState.PARTIAL}
    ]
    if all(job_id in attached and statuses[job_id].state is JobState.CANCELLED for job_id in bad):
        return bad
    return []
