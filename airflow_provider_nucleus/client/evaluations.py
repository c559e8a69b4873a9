"""Evaluations in the shape of jobs, so that what waits for one can wait for the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.schema.evaluations import EvaluationState
from airflow_provider_nucleus.schema.jobs import JobStatus

if TYPE_CHECKING:
    from airflow_provider_nucleus.schema.evaluations import Evaluation

__all__ = ["as_job"]

_STATUSES = {
    EvaluationState.PENDING: "Running",
    EvaluationState.COMPUTING: "Running",
    EvaluationState.SUCCEEDED: "Completed",
    EvaluationState.FAILED: "Errored",
    EvaluationState.CANCELLED: "Cancelled",
}


def as_job(evaluation: Evaluation) -> JobStatus:
    """Return an evaluation in the shape of a job: that is what waiting, deferring and cancelling are written for.

    An unknown status becomes a failure, never a success.
    """
    message = {"final_error": evaluation.error_message, "status": evaluation.status}
    return JobStatus(
        status=_STATUSES[evaluation.state],
        job_id=evaluation.id,
        job_type="evaluation",
        message=message if evaluation.state.terminal else None,
    )
