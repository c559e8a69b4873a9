"""Settlement of an upload whose jobs have ended: outcome of every job, refused rows reported, error rate checked."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.calls.jobs import job_errors, job_status
from airflow_provider_nucleus.client.job_counts import job_rows
from airflow_provider_nucleus.client.uploads.check.quarantine import Quarantine, quarantine_hint
from airflow_provider_nucleus.client.uploads.check.spool import ChunkPlan, explain_full_disk
from airflow_provider_nucleus.client.uploads.check.validation import validate_input
from airflow_provider_nucleus.client.uploads.resume.orphan_jobs import find_missing_row
from airflow_provider_nucleus.client.uploads.send.outcomes import (
    Refusals,
    failure_of,
    job_outcome,
    parse_status,
    quarantine_refused_rows,
    reason_with_origin,
)
from airflow_provider_nucleus.client.uploads.summary import UploadSummary, summarize
from airflow_provider_nucleus.exceptions import NucleusError, NucleusNotFoundError, NucleusUploadError
from airflow_provider_nucleus.schema.texts import storable

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
    from airflow_provider_nucleus.client.uploads.resume.ledger import OpenChunk, Record
    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget
    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.schema.rows import SourceRow

__all__ = ["Settlement"]

_FIRST_ERRORS = 10
_REPORT_ROWS = 20_000


class Settlement:
    """Settlement of one upload. `refusals` may hold the rows that the server refused while they were being sent."""

    def __init__(
        self,
        client: NucleusClient,
        target: UploadTarget,
        options: UploadOptions,
        *,
        rows: Callable[[], Iterator[SourceRow]],
        encoder: Encoder,
        refusals: Refusals,
        fingerprint: Callable[[], str | None],
        log: logging.Logger,
    ) -> None:
        self._client = client
        self._target = target
        self._options = options
        self._rows = rows
        self._encoder = encoder
        self._refusals = refusals
        self._read_fingerprint = fingerprint
        self._log = log

    def settle(
        self, record: Record, statuses: dict[str, Any], *, save: Callable[[Record], None]
    ) -> UploadSummary:
        """Settle an upload whose jobs have ended: count its rows, report the refused ones, and return its summary.

        Raises NucleusUploadError when a job did not end well, when more rows are bad than `max_error_rate` allows, or while a job
        still runs; quarantine and record are written before.
        """
        if not self._refusals:
            # Another process sent the rows: what the server refused then is in the record.
            self._refusals.add(record.refused)
        jobs = record.job_ids
        under_way = list(record.open)
        failed = self._settle_jobs(record, statuses)
        summary = summarize(self._target, self._options, record.input, totals=record.totals, jobs=jobs)
        record.all_sent = record.all_sent and not failed
        if self._refusals:
            # Reading the input again takes a while: if the process ends meanwhile, the record knows what was stored.
            save(record.until_reported(under_way))
            summary = self._report_refused_rows(summary, record.fingerprint)
        if failed:
            save(record)
            raise NucleusUploadError(
                f"Upload of {self._target}: {len(failed)} of {len(jobs)} jobs did not end well: {'; '.join(failed[:5])}.",
                summary=summary.to_dict(),
                quarantine=summary.quarantine,
                job_ids=jobs,
                conn_id=self._client.config.conn_id,
                hint=quarantine_hint(
                    summary.quarantine, "A retry sends only the chunks of these jobs again."
                ),
            )
        try:
            self._require_error_rate(summary)
        except NucleusUploadError:
            # A retry sends the refused rows again: the items they need may exist by then.
            record.flawed, record.refused, record.all_sent = [], [], False
            save(record)
            raise
        if summary.ignored and not self._options.update:
            self._log.warning(
                "%d rows were ignored: objects with their ids exist, from an earlier upload or try, or from elsewhere. "
                "update=True replaces them",
                summary.ignored,
            )
        record.summary = summary.to_dict()
        save(record)
        self._log.info("Upload of %s: %s", self._target, summary.sentence())
        return summary

    def _settle_jobs(self, record: Record, statuses: dict[str, Any]) -> list[str]:
        """Record the outcome of every job and return the reasons of those that failed.

        Their chunks are dropped from the record, so that a retry sends them again.
        """
        failed: list[str] = []
        for chunk in list(record.open):
            if chunk.job_id is None:
                continue
            status = self._status_of(chunk.job_id, statuses)
            failure = self._failure_reason(chunk, status)
            if failure is not None:
                failed.append(failure)
                record.open.remove(chunk)
                if status is not None:
                    errors = self._client.send(job_errors(chunk.job_id))
                    self._refusals.add(errors)
                continue
            assert status is not None
            fetch_errors = partial(self._client.send, job_errors(chunk.job_id))
            counts = job_outcome(
                status, chunk.rows, fetch_errors, self._refusals, self._log, kind=self._target.kind
            )
            if chunk.repeated and counts.ignored and not self._options.update:
                self._log.info(
                    "%d rows of job %s exist: they count as stored by the earlier start of the same rows, which had no answer",
                    counts.ignored,
                    chunk.job_id,
                )
                counts = replace(counts, processed=counts.processed + counts.ignored, ignored=0)
            record.accept(chunk.digest, chunk.rows, **asdict(counts))
        return failed

    def _status_of(self, job_id: str, statuses: dict[str, Any]) -> JobStatus | None:
        known = statuses.get(job_id)
        status = None if known is None else parse_status(known)
        if status is None or status.message is None:
            try:
                status = self._client.send(job_status(job_id))
            except NucleusNotFoundError:
                return None
        if not status.state.terminal:
            raise NucleusUploadError(
                f"Job {job_id} is still {status.status}: the upload cannot be settled yet.",
                job_ids=[job_id],
                conn_id=self._client.config.conn_id,
                hint="Wait for all jobs first; a retry attaches to them.",
            )
        return status

    def _failure_reason(self, chunk: OpenChunk, status: JobStatus | None) -> str | None:
        """Return the reason why a job that ended did not store its chunk, None when it did."""
        if status is None:
            return f"{chunk.job_id} is unknown to the server"
        assert chunk.job_id is not None
        failure = failure_of(chunk.job_id, status, chunk.rows, kind=self._target.kind)
        if failure is not None or chunk.samples is None:
            return failure
        if job_rows(status) not in {None, chunk.rows}:
            return (
                f"{chunk.job_id} is about {job_rows(status)} rows instead of {chunk.rows}, so it is not ours"
            )
        missing = find_missing_row(
            self._client,
            self._target,
            self._options,
            chunk.samples,
            is_refused=lambda row: self._is_refused(chunk, row),
        )
        return (
            None
            if missing is None
            else f"{chunk.job_id} did not store our row for {missing!r}, so it is not ours"
        )

    def _is_refused(self, chunk: OpenChunk, row: Mapping[str, Any]) -> bool:
        """Return whether the errors of the chunk's job name this row."""
        assert chunk.job_id is not None
        named = Refusals()
        errors: list[str] = self._client.send(job_errors(chunk.job_id))
        named.add(errors)
        return named.pop_reason(row["reference_id"], row.get("annotation_id")) is not None

    def _report_refused_rows(self, summary: UploadSummary, fingerprint: str | None) -> UploadSummary:
        """Write the quarantine file again, with the rows the server refused or left out, and return the summary that names it.

        `fingerprint` is that of the input whose rows were sent. When the input is gone, damaged or changed, the file stays as it is
        and only the reasons are known. The upload does not fail for it: the good rows are stored.
        """
        reasons = tuple(storable(reason) for reason in self._refusals.first_reasons(_FIRST_ERRORS))
        for reason in map(reason_with_origin, reasons):
            self._log.warning("%s%s", reason[0].upper(), reason[1:])
        where = summary.quarantine
        if self._options.quarantine is not None:
            self._log.info(
                "Reading the input again to add the rows that the server refused to the quarantine file"
            )
            with (
                tempfile.TemporaryDirectory(prefix="nucleus-upload-", dir=self._options.spool) as folder,
                Quarantine(self._options.quarantine, Path(folder)) as quarantine,
            ):
                try:
                    self._write_bad_rows(quarantine, Path(folder), summary.rows, fingerprint)
                except NucleusError as error:
                    self._log.warning(
                        "The rows that the server refused are counted, but not in the quarantine file: the input cannot be read "
                        "again: %s",
                        error,
                    )
                else:
                    where = quarantine.publish()
        return replace(
            summary, quarantine=where, first_errors=[*summary.first_errors, *reasons][:_FIRST_ERRORS]
        )

    def _write_bad_rows(
        self, quarantine: Quarantine, folder: Path, rows: int, fingerprint: str | None
    ) -> None:
        """Add the bad rows and those the server refused to the file; NucleusError when the input is not the one that was sent."""
        if None not in {fingerprint, now := self._read_fingerprint()} and now != fingerprint:
            raise NucleusUploadError("it has changed since its rows were sent.")
        # Every chunk counts as known, so that the good rows do not pile up on the disk.
        plan = ChunkPlan(_REPORT_ROWS, _REPORT_ROWS, "", lambda _: True)
        found = validate_input(
            self._rows, self._encoder, plan, folder=folder, quarantine=quarantine, publish=False
        )
        if found.rows != rows:
            raise NucleusUploadError(f"it has {found.rows:,} rows now and had {rows:,} when they were sent.")
        with explain_full_disk(folder):
            quarantine_refused_rows(self._rows, self._encoder, self._refusals, quarantine)

    def _require_error_rate(self, summary: UploadSummary) -> None:
        """Raise NucleusUploadError, with the summary, when more rows are bad than `max_error_rate` allows."""
        if summary.unaccounted:
            self._log.warning(
                "The server does not account for %d of %d rows it was sent", summary.unaccounted, summary.sent
            )
        if summary.error_rate <= self._options.max_error_rate:
            return
        bad = summary.rejected + summary.errored + summary.unaccounted
        first = f" First: {summary.first_errors[0].rstrip('.')}." if summary.first_errors else ""
        stored = "The good rows are stored. " if summary.processed + summary.ignored else ""
        raise NucleusUploadError(
            f"Upload of {self._target}: {bad:,} of {summary.rows:,} rows are bad ({summary.error_rate:.2%}, allowed "
            f"{self._options.max_error_rate:.2%}): {summary.sentence()}.{first}",
            summary=summary.to_dict(),
            quarantine=summary.quarantine,
            job_ids=summary.jobs,
            conn_id=self._client.config.conn_id,
            hint=quarantine_hint(
                summary.quarantine,
                f"{stored}A retry offers only the chunks with rows that were refused or not accounted for again.",
            ),
        )
