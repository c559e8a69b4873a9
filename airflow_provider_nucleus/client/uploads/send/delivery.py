"""Bringing the chunks of a spool to the server, one after the other, and noting in the record what became of each.

At most one chunk is in an unknown state at any time: that is what bounds the rows a retry sends twice.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from airflow_provider_nucleus.client.calls.jobs import job_errors, job_status
from airflow_provider_nucleus.client.content import FileContent
from airflow_provider_nucleus.client.job_counts import RowCounts, answer_counts
from airflow_provider_nucleus.client.stalled import StalledJobs
from airflow_provider_nucleus.client.uploads.resume.ledger import OpenChunk, Record
from airflow_provider_nucleus.client.uploads.resume.orphan_jobs import sample
from airflow_provider_nucleus.client.uploads.send.job_start import JobStarter
from airflow_provider_nucleus.client.uploads.send.outcomes import Refusals, accounted, bad_end, settle
from airflow_provider_nucleus.client.uploads.send.request_pool import Sender
from airflow_provider_nucleus.client.uploads.send.requests import (
    RequestBatch,
    file_batches,
    local_images_call,
    local_masks_call,
    row_batches,
    rows_call,
)
from airflow_provider_nucleus.exceptions import NucleusError, NucleusJobTimeout, NucleusUploadError
from airflow_provider_nucleus.schema.jobs import Job, JobStatus, RowError

if TYPE_CHECKING:
    import logging
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
    """Delivers the chunks that the record does not vouch for."""

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
        self._since: str | None = None
        self._image_jobs: set[str] = set()
        self._sender: Sender[RequestBatch, UploadAnswer | Job] = Sender(
            client,
            self._call_for,
            concurrency=options.concurrency,
            retry_seconds=options.retry_seconds,
            stopped=stopped,
            log=log,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.close()

    def deliver(self, spool: Spool) -> None:
        """Deliver rows that travel alone: by jobs or by requests, as the options say."""
        by_jobs = self._options.asynchronous or self._target.kind == "items"
        for chunk in spool.chunks:
            if chunk.kept:
                self._check_stop()
                if by_jobs:
                    self._by_job(spool, chunk)
                else:
                    self._by_requests(chunk, row_batches(spool.lines(chunk)))
            self._advance(chunk.rows)

    def deliver_files(self, spool: Spool) -> None:
        """Deliver rows that take a local file along."""
        for chunk in spool.chunks:
            if chunk.kept:
                self._check_stop()
                self._by_requests(chunk, file_batches(spool.lines(chunk)))
            self._advance(chunk.rows)

    def _by_job(self, spool: Spool, chunk: Chunk) -> None:
        entry = self._record.find(chunk.digest)
        if entry is not None:
            # An earlier attempt was about to start this job, or did and did not live to hear of it.
            job = self._starter.find(entry)
            if job is not None:
                self._name(entry, job, spool, chunk)
                return
        if self._since is None:
            self._since = self._starter.newest_job_time()
        request_id = self._starter.put(self._metered(spool.content(chunk), chunk.rows))
        if entry is None:
            entry = OpenChunk(chunk.digest, chunk.rows, self._since)
            self._record.open.append(entry)
        self._save()
        try:
            job = self._starter.start(entry, request_id)
        except NucleusError as error:
            if not self._starter.ambiguous(error):
                self._record.open.remove(entry)
                self._save()
            raise
        self._name(entry, job, spool, chunk)
        self._since = job.job_creation_time or self._since
        self._log.info("Started job %s for %d rows", job.job_id, chunk.rows)
        # Whoever stopped the upload meanwhile did not know of this job, and may want it cancelled.
        self._check_stop()

    def _name(self, entry: OpenChunk, job: Job, spool: Spool, chunk: Chunk) -> None:
        entry.job_id = job.job_id
        if entry.found:
            entry.proof = sample(spool.lines(chunk), chunk.rows)
        self._save()

    def _by_requests(self, chunk: Chunk, pieces: Iterator[RequestBatch]) -> None:
        counts, sent = RowCounts(), 0
        for piece, answer in self._sender.run(pieces):
            counts += self._outcome(answer, piece)
            sent += len(piece.lines)
            self._meter.at(self._done + sent)
        self._record.accept(chunk.digest, chunk.rows, **asdict(counts))
        self._save()

    @property
    def jobs(self) -> list[str]:
        """The jobs that are under way, those that take in image files included."""
        return [*self._record.job_ids, *sorted(self._image_jobs)]

    def _call_for(self, piece: RequestBatch) -> Call[Any]:
        if not piece.files:
            return rows_call(self._target, self._options, piece.lines, masks=piece.masks)
        if self._target.kind == "items":
            call = local_images_call(self._target, self._options, piece.lines, files=self._files)
            return replace(call, parse=lambda answer: self._started(call.parse(answer)))
        return local_masks_call(self._target, self._options, piece.lines, files=self._files)

    def _outcome(self, answer: UploadAnswer | Job, piece: RequestBatch) -> RowCounts:
        if isinstance(answer, Job):
            return self._images_outcome(answer, piece)
        self._refusals.add(answer.errors)
        counts = answer_counts(answer, self._target.kind)
        first = json.loads(piece.lines[0])
        what = f"the request that begins with a row of {first.get('reference_id') or first.get('item_id')!r}"
        return accounted(counts, len(piece.lines), what, self._refusals, self._log)

    def _started(self, job: Job) -> Job:
        """Know of a job from the answer on, although its turn to be waited for is later: whoever stops the upload asks."""
        self._image_jobs.add(job.job_id)
        return job

    def _images_outcome(self, job: Job, piece: RequestBatch) -> RowCounts:
        """Wait for the job that takes in at most ten images; there is one per request."""
        status = self._ended(job.job_id, len(piece.lines))
        self._image_jobs.discard(job.job_id)
        errors = partial(self._client.send, job_errors(job.job_id))
        if (wrong := bad_end(job.job_id, status)) is not None:
            reasons = "; ".join(RowError.from_wire(text).reason for text in errors()[:3])
            raise NucleusUploadError(
                f"Of the jobs that take in images, {wrong}, with {len(piece.lines)} images"
                f"{f'. First row errors: {reasons}' if reasons else ''}.",
                job_ids=[job.job_id],
                conn_id=self._client.config.conn_id,
                hint="A retry sends these images again.",
            )
        return settle(status, len(piece.lines), errors, self._refusals, self._log, kind=self._target.kind)

    def _ended(self, job_id: str, images: int) -> JobStatus:
        """Wait until the job is over; NucleusJobTimeout after ``job_timeout`` seconds."""
        begun = self._client.clock()
        stalled = StalledJobs(self._log)
        while True:
            status = self._client.send(job_status(job_id))
            stalled.note(job_id, status.waiting)
            if status.state.terminal:
                return status
            self._check_stop()
            limit = self._options.job_timeout
            if limit is not None and self._client.clock() - begun > limit:
                raise NucleusJobTimeout(
                    f"Job {job_id}, which takes in {images} images, did not end within {limit:g} s.",
                    job_id=job_id,
                    status=status.status,
                    conn_id=self._client.config.conn_id,
                    hint=stalled.completed(
                        "A retry sends these images again; those that are stored by then are not doubled.",
                        [job_id],
                    ),
                )
            self._client.sleep(self._options.poll_interval)

    def _metered(self, content: FileContent, rows: int) -> FileContent:
        """Let the meter follow the bytes of a chunk."""

        def opened() -> BinaryIO:
            return cast(
                "BinaryIO",
                _Metered(
                    content.open(), lambda share: self._meter.at(self._done + int(share * rows)), content.size
                ),
            )

        return FileContent(open=opened, size=content.size)

    def _advance(self, rows: int) -> None:
        self._done += rows
        self._meter.at(self._done)

    def _check_stop(self) -> None:
        if self._stopped():
            jobs = self.jobs
            raise NucleusUploadError(
                f"The upload was stopped; its jobs are left running: {', '.join(jobs) or 'none'}.",
                job_ids=jobs,
                hint="A retry attaches to them and sends what is missing.",
            )


class _Metered:
    """A file whose reading is watched."""

    def __init__(self, file: BinaryIO, on_share: Callable[[float], None], size: int) -> None:
        self._file = file
        self._on_share = on_share
        self._size = size
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._read += len(piece)
        self._on_share(self._read / max(self._size, 1))
        return piece

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._file.__exit__(*details)  # type: ignore[arg-type]
