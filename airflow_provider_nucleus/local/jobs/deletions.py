"""The job behind `DELETE annotation/{ds}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.annotation_table import OBJECT_TABLES
from airflow_provider_nucleus.local.jobs.execution import JobOutcome
from airflow_provider_nucleus.local.store.catalog import datasets, jobs
from airflow_provider_nucleus.local.store.catalog.object_sets import SetOwner, find_set

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.jobs.execution import JobContext

__all__ = ["run_annotation_deletion"]


def run_annotation_deletion(context: JobContext) -> JobOutcome:
    """Delete the ground truth of the named items, or of the whole dataset if none is named."""
    job = context.job
    names: list[str] = job.request["reference_ids"]
    deleted = 0
    with context.services.db.write() as cursor:
        context.check(cursor)
        assert job.dataset_no is not None
        dataset = datasets.by_number(cursor, job.dataset_no)
        set_no = find_set(cursor, SetOwner(role="truth", dataset=dataset), dataset.number)
        chosen = (
            "AND item_no IN (SELECT item_no FROM items WHERE dataset_no = ? "
            "AND reference_id IN (SELECT unnest(?::VARCHAR[])))"
        )
        for table in OBJECT_TABLES:
            found = cursor.execute(
                f"DELETE FROM {table} WHERE set_no = ? {chosen if names else ''}",
                [set_no, *([dataset.number, names] if names else [])],
            ).fetchone()
            deleted += found[0] if found else 0
        done = jobs.JobProgress(cursor=0, counts={"deleted": deleted}, completed_steps=1, total_steps=1)
        jobs.save_progress(cursor, job, done)
    return JobOutcome("Completed", {"annotations_deleted": deleted, "datasetId": job.dataset_id})
