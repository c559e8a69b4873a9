"""Working through an uploaded file: chunk after chunk, each committed together with how far the job is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.store.catalog import datasets, jobs
from airflow_provider_nucleus.local.store.ingest.ndjson import read_chunk
from airflow_provider_nucleus.local.store.ingest.signed_uploads import spool_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_nucleus.local.jobs.execution import JobContext
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["dataset_of", "run_chunks"]


def run_chunks(
    context: JobContext,
    prepare: Callable[[Cursor, bytes, int], int],
    store: Callable[[Cursor, Counter[str]], Iterable[str]],
) -> Counter[str]:
    """Work through the job's file and return its final counts.

    `prepare` parses a chunk without the writer's lock and returns its rows; `store` runs inside the transaction,
    adds to the counts and returns error texts.
    """
    job, services = context.job, context.services
    state = job.state
    counts = Counter[str](state.counts)
    path = spool_path(services.folder.spool, job.request["token"])
    with services.db.session() as cursor, path.open("rb") as file:
        while True:
            chunk = read_chunk(file, state.cursor, size=services.settings.chunk_bytes)
            if not chunk.data:
                break
            rows = prepare(cursor, chunk.data, state.completed_steps)
            with services.db.write(cursor):
                context.check(cursor)
                errors = store(cursor, counts)
                done = state.completed_steps + rows
                total = max(state.total_steps, done)
                state = jobs.JobProgress(
                    cursor=chunk.end, counts=dict(counts), completed_steps=done, total_steps=total
                )
                jobs.save_progress(cursor, job, state)
                jobs.add_errors(cursor, job, list(errors))
        with services.db.write(cursor):
            context.check(cursor)
            # Blank lines were counted when the file arrived and are no rows.
            done = state.completed_steps
            final = jobs.JobProgress(
                cursor=state.cursor, counts=dict(counts), completed_steps=done, total_steps=done
            )
            jobs.save_progress(cursor, job, final)
    return counts


def dataset_of(cursor: Cursor, context: JobContext) -> DatasetRecord:
    """Return the job's dataset as it is now; raises `NotFoundError` if it was deleted meanwhile."""
    assert context.job.dataset_no is not None
    return datasets.by_number(cursor, context.job.dataset_no)
