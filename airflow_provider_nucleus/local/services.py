"""What every handler can reach: the store, the files, the jobs, the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.local.blobs import BlobFiles
from airflow_provider_nucleus.local.evaluations.computing.result_files import ResultFiles
from airflow_provider_nucleus.local.evaluations.computing.result_layouts import log_other_layouts
from airflow_provider_nucleus.local.evaluations.reading.result import ResultCache
from airflow_provider_nucleus.local.jobs.cleanup import sweep_at_start, sweep_spilled, sweep_uploads
from airflow_provider_nucleus.local.jobs.pool import JobPool
from airflow_provider_nucleus.local.jobs.registry import RUNNERS
from airflow_provider_nucleus.local.store.catalog import jobs
from airflow_provider_nucleus.local.store.database import Database
from airflow_provider_nucleus.local.store.ingest import signed_uploads

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.datadir import DataDir
    from airflow_provider_nucleus.local.settings import Settings
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Services"]


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one running server."""

    settings: Settings
    folder: DataDir
    db: Database
    blobs: BlobFiles
    pool: JobPool
    results: ResultCache

    @classmethod
    def open(cls, folder: DataDir, settings: Settings) -> Services:
        """Open the store of a locked data directory."""
        sweep_spilled(folder.root)
        db = Database(folder.database, memory_limit=settings.memory_limit, spill=folder.spool / "spill")
        return cls(
            settings,
            folder,
            db,
            BlobFiles(folder.blobs),
            JobPool(RUNNERS, workers=settings.job_workers),
            ResultCache(ResultFiles(folder.evaluations)),
        )

    def start(self) -> None:
        """Clear away leftovers and resume unfinished jobs; called once the server is about to answer."""
        sweep_at_start(self)
        log_other_layouts(self)
        self.pool.start(self)

    def start_job(
        self,
        cursor: Cursor,
        job_type: str,
        *,
        dataset_no: int | None,
        request: dict[str, Any],
        total_steps: int = 1,
    ) -> jobs.Job:
        """Add a job inside the caller's transaction; it is run once that is committed."""
        job = jobs.create(cursor, job_type, dataset_no=dataset_no, request=request, total_steps=total_steps)
        self.db.after_commit(lambda: self.pool.submit(job.id))
        return job

    def cancel_job(self, cursor: Cursor, job: jobs.Job) -> None:
        """Ask a running job to stop, in the caller's transaction; raises :class:`ConflictError` if it has ended."""
        jobs.request_cancel(cursor, job)
        self.db.after_commit(lambda: self.pool.wake(job.id))

    def forget_input(self, job: jobs.Job) -> None:
        """Delete the uploaded file that an ended job has read."""
        token = job.request.get("token")
        if token is not None:
            with self.db.write() as cursor:
                signed_uploads.remove(cursor, token)
            signed_uploads.spool_path(self.folder.spool, token).unlink(missing_ok=True)
        sweep_uploads(self)

    def close(self) -> None:
        """Let jobs finish their step, write everything to disk and release the directory."""
        self.pool.stop()
        self.db.close()
        self.folder.close()
