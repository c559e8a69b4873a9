"""The parts of one running server, as one value: the store, the files, the jobs, the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.catalog import jobs

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_nucleus.local.blobs import BlobFiles
    from airflow_provider_nucleus.local.datadir import DataDir
    from airflow_provider_nucleus.local.evaluations.reading.result import ResultCache
    from airflow_provider_nucleus.local.keys import KeyRing
    from airflow_provider_nucleus.local.settings import Settings
    from airflow_provider_nucleus.local.store.database import Cursor, Database

__all__ = ["Pool", "Services"]


class Pool(Protocol):
    """Protocol of the pool that runs jobs whose rows are committed."""

    def start(self, services: Services) -> None:
        """Begin with the jobs that a former server left unfinished."""

    def submit(self, job_id: str) -> None:
        """Queue a job."""

    def wake(self, job_id: str) -> None:
        """Have a job that waits for room on the disk decide at once whether to go on."""

    def remark(self, job_id: str) -> dict[str, str]:
        """Return what the message of a running job says beside what is stored of it."""

    def stop(self) -> None:
        """Let each job finish its step and end."""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one running server."""

    settings: Settings
    folder: DataDir
    db: Database
    blobs: BlobFiles
    keys: KeyRing
    pool: Pool
    results: ResultCache
    started: datetime = field(default_factory=timestamps.now)
    """The moment from which no other store can have been put in the place of this one."""

    def start_job(
        self,
        cursor: Cursor,
        job_type: str,
        *,
        dataset_no: int | None,
        request: dict[str, Any],
        total_steps: int = 1,
        requested_by: dict[str, str] | None = None,
    ) -> jobs.JobRecord:
        """Add a job inside the caller's transaction; it is run once that is committed. `requested_by` is the task that asks for it."""
        job = jobs.create(
            cursor,
            job_type,
            dataset_no=dataset_no,
            request=request,
            total_steps=total_steps,
            requested_by=requested_by,
        )
        self.db.after_commit(lambda: self.pool.submit(job.id))
        return job

    def cancel_job(self, cursor: Cursor, job: jobs.JobRecord) -> None:
        """Request the cancellation of a running job, in the caller's transaction; raises `ConflictError` if it has ended."""
        jobs.request_cancel(cursor, job)
        self.db.after_commit(lambda: self.pool.wake(job.id))

    def close(self) -> None:
        """Let jobs finish their step, write everything to disk and release the directory."""
        self.pool.stop()
        self.db.close()
        self.folder.close()
