"""The job behind `POST modelRun/merge`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.jobs.execution import JobOutcome
from airflow_provider_nucleus.local.store.catalog import jobs, models
from airflow_provider_nucleus.local.store.catalog.merging import merge_run

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.jobs.execution import JobContext

__all__ = ["MERGE_JOB", "run_merge"]

MERGE_JOB: Final = "modelRunMerge"


def run_merge(context: JobContext) -> JobOutcome:
    """Copy the source runs into the new run, all in one transaction."""
    job = context.job
    counts = dict(job.state.counts)
    # A crash between this transaction and the job's end must not copy twice.
    if not job.state.completed_steps:
        with context.services.db.write() as cursor:
            context.check(cursor)
            destination = models.find_run(cursor, job.request["model_run_id"])
            sources = [models.find_run(cursor, run_id) for run_id in job.request["sources"]]
            merged = [merge_run(cursor, source, destination) for source in sources]
            counts = {
                "predictions_copied": sum(entry.copied for entry in merged),
                "predictions_ignored": sum(entry.ignored for entry in merged),
                "annotation_ids_rewritten": sum(entry.rewritten for entry in merged),
            }
            done = jobs.JobProgress(cursor=0, counts=counts, completed_steps=1, total_steps=1)
            jobs.save_progress(cursor, job, done)
    return JobOutcome("Completed", counts)
