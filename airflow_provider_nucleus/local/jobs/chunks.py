"""Working through an uploaded file: chunk after chunk, each committed together with how far the job is."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from duckdb import OutOfMemoryException

from airflow_provider_nucleus.local.exact_json import dump_json
from airflow_provider_nucleus.local.store.catalog import datasets, jobs
from airflow_provider_nucleus.local.store.ingest.ndjson import read_chunk
from airflow_provider_nucleus.local.store.ingest.signed_uploads import spool_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_nucleus.local.jobs.execution import JobContext
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.ingest.ndjson import LineChunk

__all__ = ["dataset_of", "run_chunks"]

log = logging.getLogger(__name__)


def run_chunks(
    context: JobContext,
    prepare: Callable[[Cursor, bytes, int], int],
    store: Callable[[Cursor, Counter[str]], Iterable[str]],
    *,
    kind: str,
) -> Counter[str]:
    """Work through the job's file and return its final counts.

    `prepare` parses a chunk without the writer's lock and returns its rows; `store` runs inside the transaction,
    adds to the counts and returns error texts. A chunk that takes more memory than there is is worked through in halves, down to the
    one row that is too large, which becomes an error. `kind` is what a row is in the texts of errors.
    """
    services, state = context.services, context.job.state
    path = spool_path(services.folder.spool, context.job.request["token"])
    with services.db.session() as cursor, path.open("rb") as file:
        work = _ChunkWork(context, cursor, prepare, store, kind)
        while (chunk := read_chunk(file, state.cursor, size=services.settings.chunk_bytes)).data:
            state = work.stored_somehow(chunk, state)
        with services.db.write(cursor):
            context.check(cursor)
            # Blank lines were counted when the file arrived and are no rows.
            jobs.save_progress(cursor, context.job, replace(state, total_steps=state.completed_steps))
    return Counter(state.counts)


@dataclass(frozen=True, slots=True)
class _ChunkWork:
    """Storing chunks one by one."""

    context: JobContext
    cursor: Cursor
    prepare: Callable[[Cursor, bytes, int], int]
    store: Callable[[Cursor, Counter[str]], Iterable[str]]
    kind: str

    def stored_somehow(self, chunk: LineChunk, state: jobs.JobProgress) -> jobs.JobProgress:
        """Store a chunk, or the first part of it that there is memory for, and return how far the job is."""
        while True:
            try:
                return self._stored(chunk, state)
            except (OutOfMemoryException, MemoryError):
                if chunk.problem is not None:
                    raise
                log.warning(
                    "job %s: %s bytes of rows take more memory than there is, half of them are tried",
                    self.context.job.id,
                    len(chunk.data),
                )
                chunk = chunk.halved()

    def _stored(self, chunk: LineChunk, state: jobs.JobProgress) -> jobs.JobProgress:
        job, cursor = self.context.job, self.cursor
        counts = Counter[str](state.counts)
        rows = 1 if chunk.problem is not None else self.prepare(cursor, chunk.data, state.completed_steps)
        with self.context.services.db.write(cursor):
            self.context.check(cursor)
            if chunk.problem is None:
                errors = list(self.store(cursor, counts))
            else:
                counts.update(total=1, errored=1)
                errors = [_unread(self.kind, chunk.data, chunk.problem)]
            done = state.completed_steps + rows
            total = max(state.total_steps, done)
            progress = jobs.JobProgress(
                cursor=chunk.end, counts=dict(counts), completed_steps=done, total_steps=total
            )
            jobs.save_progress(cursor, job, progress)
            jobs.add_errors(cursor, job, errors)
        return progress


def _unread(kind: str, beginning: bytes, problem: str) -> str:
    return dump_json({kind: {"raw": beginning.decode(errors="replace")}, "error": problem}).decode()


def dataset_of(cursor: Cursor, context: JobContext) -> DatasetRecord:
    """Return the job's dataset as it is now; raises `NotFoundError` if it was deleted meanwhile."""
    assert context.job.dataset_no is not None
    return datasets.by_number(cursor, context.job.dataset_no)
