"""Delivery of the chunks of a spool to the server, one after the other, each recorded with its outcome.

At most one chunk is in an unknown state at any time: that bounds the rows a retry sends twice.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from airflow_provider_nucleus.client.calls.jobs import job_errors
from airflow_provider_nucleus.client.content import FileContent
from airflow_provider_nucleus.client.job_counts import RowCounts, answer_counts
from airflow_provider_nucleus.client.jobs import JOBS
from airflow_provider_nucleus.client.uploads.resume.ledger import OpenChunk, Record
from airflow_provider_nucleus.client.uploads.resume.orphan_jobs import sample_rows
from airflow_provider_nucleus.client.uploads.send.job_start import JobStarter
from airflow_provider_nucleus.client.uploads.send.outcomes import (
    Refusals,
    add_unaccounted,
    failure_of,
    job_outcome,
)
from airflow_provider_nucleus.client.uploads.send.request_pool import RequestPool
from airflow_provider_nucleus.client.uploads.send.requests import (
    RequestBatch,
    file_batches,
    local_images_call,
    local_masks_call,
    row_batches,
    rows_call,
)
from airflow_provider_nucleus.client.uploads.send.stored_items import reference_id_of, stored_among
from airflow_provider_nucleus.client.waiting import Patience, StopReason, run, stall_hint, waiting
from airflow_provider_nucleus.exceptions import NucleusError, NucleusJobTimeout, NucleusUploadError
from airflow_provider_nucleus.schema.jobs import Job, JobStatus, RowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.local_files import LocalFiles
    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.client.uploads.check.spool import Chunk, Spool
    from airflow_provider_nucleus.client.uploads.summary import ProgressMeter
    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget
    from airflow_provider_nucleus.schema.models import UploadAnswer

__all__ = ["Delivery"]


class Delivery:
    """Delivery of the chunks that the record does not list as stored or in a job."""

    def __init__(
        self,
        client: NucleusClient,
        target: UploadTarget,
        options: UploadOptions,
        *,
        files: LocalFiles,
        record: Record,
        save: Callable[[], None],
        refusals: Refusals,
        stopped: Callable[[], bool],
        log: logging.Logger,
        meter: ProgressMeter,
    ) -> None:
        self._client = client
        self._target = target
        self._options = options
        self._files = files
        self._record = record
        self._save = save
        self._refusals = refusals
        self._stopped = stopped
        self._log = log
        self._meter = meter
        self._done = 0
        self._starter = JobStarter(client, target, options, claimed=lambda: set(record.job_ids), log=log)
        self._newest_job_time: str | None = None
        self._image_jobs: set[str] = set()
        self._pool: RequestPool[RequestBatch, UploadAnswer | Job] = RequestPool(
            client,
            self._call_for,
            concurrency=options.concurrency,
            ride_out=options.ride_out,
            stopped=stopped,
            log=log,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def deliver(self, spool: Spool) -> None:
        """Deliver rows without local files, by jobs or by requests as the options say."""
        by_jobs = self._options.asynchronous or self._target.kind == "items"
        for chunk in spool.chunks:
            if chunk.to_send:
                self._check_stop()
                if by_jobs:
                    self._deliver_by_job(spool, chunk)
                else:
                    self._deliver_by_requests(chunk, row_batches(spool.lines(chunk)))
            self._advance(chunk.rows)

    def deliver_files(self, spool: Spool, *, spare_stored: bool) -> None:
        """Deliver rows with their local files.

        `spare_stored`: images of items that are stored, and are not to be replaced, count as ignored without being sent.
        """
        stored: frozenset[str] = frozenset()
        if spare_stored and self._target.kind == "items" and not self._options.update:
            lines = (line for chunk in spool.chunks if chunk.to_send for line in spool.lines(chunk))
            stored = stored_among(self._client, self._target.dataset_id, lines, self._log)
        for chunk in spool.chunks:
            if chunk.to_send:
                self._check_stop()
                spared = sum(reference_id_of(line) in stored for line in spool.lines(chunk)) if stored else 0
                absent = _absent(spool.lines(chunk), stored)
                self._deliver_by_requests(chunk, file_batches(absent), spared=spared)
            self._advance(chunk.rows)

    def _deliver_by_job(self, spool: Spool, chunk: Chunk) -> None:
        entry = self._record.open_chunk(chunk.digest)
        if entry is not None:
            # An earlier attempt recorded the start of this job and ended before it recorded the id.
            job = self._starter.find_started(entry)
            if job is not None:
                self._record_job(entry, job, spool, chunk)
                return
            entry.repeated = True
        if self._newest_job_time is None:
            self._newest_job_time = self._starter.newest_job_time()
        request_id = self._starter.put(self._metered(spool.content(chunk), chunk.rows))
        if entry is None:
            entry = OpenChunk(chunk.digest, chunk.rows, self._newest_job_time)
            self._record.open.append(entry)
        entry.request_id = request_id
        self._save()
        try:
            job = self._starter.start(entry, request_id)
        except NucleusError as error:
            if not self._starter.is_ambiguous(error):
                self._record.open.remove(entry)
                self._save()
            raise
        self._record_job(entry, job, spool, chunk)
        self._newest_job_time = job.job_creation_time or self._newest_job_time
        self._log.info("Started job %s for %s rows", job.job_id, f"{chunk.rows:,}")
        # If the upload was stopped meanwhile, the caller has to learn of this job, to cancel it.
        self._check_stop()

    def _record_job(self, entry: OpenChunk, job: Job, spool: Spool, chunk: Chunk) -> None:
        entry.job_id = job.job_id
        if entry.found:
            entry.samples = sample_rows(spool.lines(chunk), chunk.rows)
        self._save()

    def _deliver_by_requests(self, chunk: Chunk, batches: Iterator[RequestBatch], *, spared: int = 0) -> None:
        counts, sent = RowCounts(ignored=spared), spared
        for batch, answer in self._pool.run(batches):
            counts += self._batch_outcome(answer, batch)
            sent += len(batch.lines)
            self._meter.update(self._done + sent)
        self._record.accept(chunk.digest, chunk.rows, **asdict(counts))
        self._save()

    @property
    def jobs(self) -> list[str]:
        """The open jobs, those of image files included."""
        return [*self._record.job_ids, *sorted(self._image_jobs)]

    def _call_for(self, batch: RequestBatch) -> Call[Any]:
        if not batch.files:
            return rows_call(self._target, self._options, batch.lines, masks=batch.masks)
        if self._target.kind == "items":
            call = local_images_call(self._target, self._options, batch.lines, files=self._files)
            return replace(call, parse=lambda answer: self._add_image_job(call.parse(answer)))
        return local_masks_call(self._target, self._options, batch.lines, files=self._files)

    def _batch_outcome(self, answer: UploadAnswer | Job, batch: RequestBatch) -> RowCounts:
        if isinstance(answer, Job):
            return self._image_job_outcome(answer, batch)
        self._refusals.add(answer.errors)
        counts = answer_counts(answer, self._target.kind)
        first = json.loads(batch.lines[0])
        what = f"the request that begins with a row of {first.get('reference_id') or first.get('item_id')!r}"
        return add_unaccounted(counts, len(batch.lines), what, self._refusals, self._log)

    def _add_image_job(self, job: Job) -> Job:
        """Add a job to `jobs` as soon as it is started: it may have to be cancelled before its turn to be waited for."""
        self._image_jobs.add(job.job_id)
        return job

    def _image_job_outcome(self, job: Job, batch: RequestBatch) -> RowCounts:
        """Wait for the job of one request, of at most ten images, and return its counts."""
        status = self._wait_for_image_job(job.job_id, len(batch.lines))
        self._image_jobs.discard(job.job_id)
        errors = partial(self._client.send, job_errors(job.job_id))
        wrong = failure_of(job.job_id, status, len(batch.lines), kind=self._target.kind)
        if wrong is not None:
            reasons = "; ".join(RowError.from_wire(text).reason for text in errors()[:3])
            raise NucleusUploadError(
                f"Of the jobs that take in images, {wrong}, with {len(batch.lines)} images"
                f"{f'. First row errors: {reasons}' if reasons else ''}.",
                job_ids=[job.job_id],
                conn_id=self._client.config.conn_id,
                hint="A retry sends these images again.",
            )
        return job_outcome(
            status, len(batch.lines), errors, self._refusals, self._log, kind=self._target.kind
        )

    def _wait_for_image_job(self, job_id: str, images: int) -> JobStatus:
        """Wait until the job is over; NucleusJobTimeout after `job_timeout` seconds."""
        limit = self._options.job_timeout
        patience = Patience(self._options.poll_interval, self._options.ride_out, limit, not_found_grace=0.0)
        steps = waiting(
            JOBS,
            [job_id],
            patience,
            clock=self._client.clock,
            stopped=self._stopped,
            log=self._log,
            # Thousands of short jobs: only what is wrong with one is worth a line.
            level=logging.DEBUG,
        )
        outcome = run(self._client, steps)
        again = "A retry sends these images again; those that are stored by then are not doubled."
        if outcome.error is not None:
            outcome.error.hint = f"{outcome.error.hint} {again}"
            raise outcome.error
        for error in outcome.gone.values():
            raise error
        if outcome.stop is StopReason.DEADLINE:
            seen = outcome.seen.get(job_id)
            stalled = None if seen is None else stall_hint([seen.waiting])
            raise NucleusJobTimeout(
                f"Job {job_id}, which takes in {images} images, did not end within {limit:g} s.",
                job_id=job_id,
                status="" if seen is None else seen.status,
                conn_id=self._client.config.conn_id,
                hint=again if stalled is None else f"{again} {stalled}",
            )
        if outcome.open:
            self._check_stop()
        return outcome.seen[job_id]

    def _metered(self, content: FileContent, rows: int) -> FileContent:
        """Return the body of a chunk, with progress measured by the bytes read."""

        def opened() -> BinaryIO:
            return cast(
                "BinaryIO",
                _MeteredFile(
                    content.open(),
                    lambda share: self._meter.update(self._done + int(share * rows)),
                    content.size,
                ),
            )

        return FileContent(open=opened, size=content.size)

    def _advance(self, rows: int) -> None:
        self._done += rows
        self._meter.update(self._done)

    def _check_stop(self) -> None:
        if self._stopped():
            jobs = self.jobs
            raise NucleusUploadError(
                f"The upload was stopped; its jobs are left running: {', '.join(jobs) or 'none'}.",
                job_ids=jobs,
                hint="A retry attaches to them and sends what is missing.",
            )


def _absent(lines: Iterator[bytes], stored: frozenset[str]) -> Iterator[bytes]:
    """Return the lines of items that are not stored."""
    return (line for line in lines if reference_id_of(line) not in stored) if stored else lines


class _MeteredFile:
    """A file that reports the share of it that was read."""

    def __init__(self, file: BinaryIO, on_share: Callable[[float], None], size: int) -> None:
        self._file = file
        self._on_share = on_share
        self._size = size
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._read += len(data)
        self._on_share(self._read / max(self._size, 1))
        return data

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._file.__exit__(*details)  # type: ignore[arg-type]
