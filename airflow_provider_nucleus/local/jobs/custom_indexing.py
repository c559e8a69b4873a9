"""The job that the contract starts on objects with embeddings. Here they are stored already, and nothing searches them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.jobs.execution import JobOutcome

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.jobs.execution import JobContext
    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.catalog.jobs import JobRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["INDEXING_JOB", "run_custom_indexing", "start_custom_indexing"]

INDEXING_JOB: Final = "customIndexing"


def start_custom_indexing(
    services: Services, cursor: Cursor, *, dataset_no: int | None, count: int
) -> JobRecord:
    """Add the job for objects that came with embeddings, in the caller's transaction."""
    return services.start_job(cursor, INDEXING_JOB, dataset_no=dataset_no, request={"embeddings": count})


def run_custom_indexing(context: JobContext) -> JobOutcome:
    """Say what there is: the embeddings, and no index of them."""
    return JobOutcome(
        "Completed",
        {"embeddings_stored": context.job.request["embeddings"], "note": "This server indexes nothing."},
    )
