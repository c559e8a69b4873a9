"""An upload from its first look at the record to its account: start, (wait,) collect.

`start` decides what to do about an earlier attempt, checks the whole input, and sends what is missing. Between it and `collect`
lies the waiting for jobs, which is the caller's: a deferrable task waits in the triggerer and collects in another process, from
nothing but the record. `run` does all three.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.calls.jobs import job_errors, job_status
from airflow_provider_nucleus.client.uploads.decision import (
    Attach,
    Collect,
    Fail,
    Policies,
    Remote,
    Submit,
    decide,
)
from airflow_provider_nucleus.client.uploads.delivery import Delivery, settle
from airflow_provider_nucleus.client.uploads.encoding import Encoder
from airflow_provider_nucleus.client.uploads.ledger import Ledger, MemoryState, OpenChunk, Record
from airflow_provider_nucleus.client.uploads.outcomes import (
    Refusals,
    as_status,
    job_counts,
    job_rows,
    report_refusals,
)
from airflow_provider_nucleus.client.uploads.preparing import Cut, Prepared, prepare
from airflow_provider_nucleus.client.uploads.progress import Progress, ProgressMeter
from airflow_provider_nucleus.client.uploads.quarantine import Quarantine
from airflow_provider_nucleus.client.uploads.summary import UploadSummary
from airflow_provider_nucleus.exceptions import (
    NucleusConnectionError,
    NucleusJobTimeout,
    NucleusNotFoundError,
    NucleusRateLimitError,
    NucleusServerError,
    NucleusUploadError,
)
from airflow_provider_nucleus.schema.jobs import JobState, JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.client.uploads.ledger import StateStore
    from airflow_provider_nucleus.client.uploads.target import UploadOptions, UploadTarget
    from airflow_provider_nucleus.schema.rows import SourceRow

__all__ = ["StartedUpload", "Upload"]

ASYNC_CHUNK_ROWS = 200_000
SYNC_CHUNK_ROWS = 40_000
FILE_CHUNK_ROWS = 200

_FIRST_ERRORS = 10

_GOOD = frozenset({JobState.SUCCEEDED, JobState.PARTIAL})


@dataclass(frozen=True, slots=True)
class StartedUpload:
    """What is under way: the jobs to wait for, and whether there is nothing to wait for at all.

    `record` is the upload's memory as JSON; hand it to `Upload.collect` in another process when there is no state store.
    """

    job_ids: list[str]
    done: bool
    why: str
    record: dict[str, Any] = field(default_factory=dict, repr=False)


class Upload:
    """One upload of rows to Nucleus, resumable by anybody who has the same arguments and the same state store.

    `rows` is called whenever the input has to be read, at least once and at most three times, and must give the same rows each
    time. `identity` names the upload among others (the task instance); `generation` counts how often the user cleared it;
    `fingerprint` tells whether the input is still the same, None when that is unknown.
    """

    def __init__(
        self,
        client: NucleusClient,
        target: UploadTarget,
        rows: Callable[[], Iterator[SourceRow]],
        options: UploadOptions,
        *,
        state: StateStore | None = None,
        identity: str = "",
        generation: int = 0,
        fingerprint: str | None = None,
        log: logging.Logger | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.target = target
        self.options = options
        self._client = client
        self._rows = rows
        self._identity = identity
        self._generation = generation
        self._fingerprint = fingerprint
        self._log = log or logging.getLogger(__name__)
        self._on_progress = on_progress
        self._ledger = Ledger(state if state is not None else MemoryState(), identity=identity)
        self._encoder = Encoder(
            target.kind,
            stable_ids=options.stable_ids,
            ignore_unknown=options.ignore_unknown,
            local_files=target.kind == "items" or not options.asynchronous,
        )
        self._record: Record | None = None
        self._refusals = Refusals()
        self._checked: UploadSummary | None = None
        self._stop = threading.Event()

    # -- start -------------------------------------------------------------------------------------------------------------------

    def start(self) -> StartedUpload:
        """Bring everything that is missing to the server and say which jobs to wait for.

        Raises NucleusUploadError when the input has more bad rows than allowed (nothing was sent, the quarantine file is
        written), when it changed, or when an earlier attempt left something that must not be guessed about; and the errors of the
        client when the server cannot be reached. In each case a retry goes on where this attempt stopped.
        """
        if self.options.validate_only:
            return self._validate_only()
        record = self._ledger.load()
        remote = self._remote_states(record) if record is not None else {}
        policies = Policies(on_change=self.options.on_change, on_clear=self.options.on_clear)
        decision = decide(
            record, remote, fingerprint=self._fingerprint, generation=self._generation, policies=policies
        )
        self._log.info(
            "Upload of %s: %s, because %s", self.target, type(decision).__name__.lower(), decision.why
        )
        if isinstance(decision, Fail):
            jobs = record.job_ids if record is not None else []
            raise NucleusUploadError(
                f"Upload of {self.target}: {decision.why}",
                hint=decision.hint,
                job_ids=jobs,
                conn_id=self._conn_id,
            )
        if isinstance(decision, Attach | Collect):
            self._record = record
            return self._started(why=decision.why)
        self._record = self._resumed(record, decision)
        self._submit()
        return self._started(why=decision.why)

    def _validate_only(self) -> StartedUpload:
        with tempfile.TemporaryDirectory(prefix="nucleus-upload-", dir=self.options.spool) as folder:
            prepared = self._prepare(Path(folder), lambda _: True)
        self._checked = self._summary(_account(prepared))
        return StartedUpload([], done=True, why="validation only")

    def _remote_states(self, record: Record) -> dict[str, Remote]:
        states: dict[str, Remote] = {}
        for job_id in record.job_ids:
            try:
                states[job_id] = Remote.of(self._client.send(job_status(job_id)).state)
            except NucleusNotFoundError:
                states[job_id] = Remote.GONE
            except (NucleusConnectionError, NucleusServerError, NucleusRateLimitError) as error:
                self._log.warning("%s", error)
                states[job_id] = Remote.UNKNOWN
        return states

    def _resumed(self, record: Record | None, decision: Submit) -> Record:
        """Return the record to go on with."""
        if decision.abandoned:
            self._log.warning(
                "Jobs %s of the earlier upload are left running; what they store is not undone",
                ", ".join(decision.abandoned),
            )
        if record is None or decision.fresh:
            return Record(generation=self._generation, fingerprint=self._fingerprint)
        record.open = [chunk for chunk in record.open if chunk.job_id not in decision.resend]
        record.generation = self._generation
        record.fingerprint = self._fingerprint
        record.summary = None
        # Their reasons were lost with the process that heard them.
        record.flawed = []
        return record

    def _submit(self) -> None:
        record = self._current()
        record.all_sent = False
        with tempfile.TemporaryDirectory(prefix="nucleus-upload-", dir=self.options.spool) as folder:
            prepared = self._prepare(
                Path(folder), lambda digest: record.has(digest) or _running(record, digest)
            )
            self._check_rate(prepared)
            record.input = _account(prepared)
            self._keep_only(record, prepared)
            self._ledger.save(record)
            with Delivery(
                self._client,
                self.target,
                self.options,
                record=record,
                save=lambda: self._ledger.save(record),
                refusals=self._refusals,
                stopped=self._stop.is_set,
                log=self._log,
                meter=self._meter("Sent", total=prepared.good),
            ) as delivery:
                delivery.deliver(prepared.spool)
                delivery.deliver_files(prepared.file_spool)
        record.all_sent = True
        self._ledger.save(record)

    def _prepare(self, folder: Path, has: Callable[[str], bool]) -> Prepared:
        meter = self._meter("Checked", total=None)
        with Quarantine(self.options.quarantine, folder) as quarantine:
            prepared = prepare(
                self._rows,
                self._encoder,
                self._cut(has),
                folder=folder,
                quarantine=quarantine,
                on_rows=meter.at,
            )
        self._log.info(
            "Checked %d rows: %d good, %d rejected (%d of them duplicates)",
            prepared.rows,
            prepared.good,
            prepared.rejected,
            prepared.duplicates,
        )
        return prepared

    def _cut(self, has: Callable[[str], bool]) -> Cut:
        rows = self.options.chunk_rows
        if rows is None:
            by_jobs = self.options.asynchronous or self.target.kind == "items"
            rows = ASYNC_CHUNK_ROWS if by_jobs else SYNC_CHUNK_ROWS
            if by_jobs:
                # Uploads running side by side must not start jobs of equal size: size is how a lost job is recognised.
                digest = hashlib.blake2b(self._identity.encode(), digest_size=8).digest()
                rows -= int.from_bytes(digest, "big") % (rows // 50)
        salt = "\x00".join([
            self.target.kind, self.target.dataset_id, self.target.model_id or "", str(self.options.update), self.options.trained_slice_id or "",
        ])  # fmt: skip
        return Cut(rows, min(FILE_CHUNK_ROWS, rows), salt, has)

    def _check_rate(self, prepared: Prepared) -> None:
        rate = prepared.rejected / prepared.rows if prepared.rows else 0.0
        for reason in prepared.first_errors:
            self._log.warning("Rejected: %s", reason)
        if rate <= self.options.max_error_rate:
            return
        summary = self._summary(_account(prepared))
        first = prepared.first_errors[0] if prepared.first_errors else ""
        raise NucleusUploadError(
            f"Nothing was sent to dataset {self.target.dataset_id}: {prepared.rejected:,} of {prepared.rows:,} rows are bad "
            f"({rate:.2%}, allowed {self.options.max_error_rate:.2%}). First: {first}.",
            summary=summary.to_dict(),
            quarantine=prepared.quarantine,
            conn_id=self._conn_id,
            hint=_see(
                prepared.quarantine, "Correct the rows, or raise max_error_rate to send the good ones."
            ),
        )

    def _keep_only(self, record: Record, prepared: Prepared) -> None:
        """Let go of chunks under way that the input no longer has."""
        wanted = {chunk.digest for chunk in (*prepared.spool.chunks, *prepared.file_spool.chunks)}
        strangers = [chunk for chunk in record.open if chunk.digest not in wanted]
        if strangers:
            self._log.warning(
                "Jobs %s belong to chunks the input no longer has; they are left as they are",
                ", ".join(chunk.job_id or "(unnamed)" for chunk in strangers),
            )
            record.open = [chunk for chunk in record.open if chunk.digest in wanted]

    # -- wait --------------------------------------------------------------------------------------------------------------------

    def wait(self, started: StartedUpload) -> dict[str, JobStatus]:
        """Look at the jobs until all have ended, and return how; NucleusJobTimeout after `job_timeout` seconds."""
        ended: dict[str, JobStatus] = {}
        begun = self._client.clock()
        while True:
            for job_id in started.job_ids:
                if job_id not in ended:
                    status = self._client.send(job_status(job_id))
                    if status.state.terminal:
                        ended[job_id] = status
                        self._log.info(
                            "Job %s ended: %s (%d of %d)",
                            job_id,
                            status.status,
                            len(ended),
                            len(started.job_ids),
                        )
            left = [job_id for job_id in started.job_ids if job_id not in ended]
            if not left:
                return ended
            waited = self._client.clock() - begun
            if self.options.job_timeout is not None and waited > self.options.job_timeout:
                raise NucleusJobTimeout(
                    f"{len(left)} of {len(started.job_ids)} upload jobs did not end within {self.options.job_timeout:.0f} s: "
                    f"{', '.join(left[:5])}.",
                    job_id=left[0],
                    status="Running",
                    conn_id=self._conn_id,
                    hint="They are left running; a retry attaches to them.",
                )
            if self._stop.is_set():
                raise NucleusUploadError(
                    f"Waiting was stopped; jobs {', '.join(left[:5])} are left running.",
                    job_ids=left,
                    conn_id=self._conn_id,
                    hint="A retry attaches to them.",
                )
            self._client.sleep(self.options.poll_interval)

    # -- collect -----------------------------------------------------------------------------------------------------------------

    def collect(
        self, statuses: Mapping[str, Any] | None = None, *, record: Mapping[str, Any] | None = None
    ) -> UploadSummary:
        """Take stock once the jobs have ended, and return the account.

        `statuses` maps job ids to what was learnt about them (JobStatus, its JSON, or the bare status); what is missing is asked
        for. `record` stands in for the state store where there is none. Raises NucleusUploadError when a job did not end well,
        when the server refused more rows than `max_error_rate` allows, or while a job still runs; quarantine and record are
        written before.
        """
        if self._checked is not None:
            return self._judged(self._checked)
        if self._record is None:
            self._record = Record.from_json(record) if record is not None else self._ledger.load()
        kept = self._record
        if kept is None:
            raise NucleusUploadError(
                f"There is no record of an upload of {self.target} to collect.",
                hint="Start it, or pass the record that start() returned.",
            )
        if kept.summary is not None:
            return UploadSummary.from_dict(kept.summary)
        jobs = kept.job_ids
        failed = self._settle_jobs(kept, dict(statuses or {}))
        summary = self._summary(kept.input, totals=kept.totals, jobs=jobs)
        if self._refusals:
            summary = self._with_report(summary)
        if failed:
            kept.all_sent = False
            self._ledger.save(kept)
            raise NucleusUploadError(
                f"Upload of {self.target}: {len(failed)} of {len(jobs)} jobs did not end well: {'; '.join(failed[:5])}.",
                summary=summary.to_dict(),
                quarantine=summary.quarantine,
                job_ids=jobs,
                conn_id=self._conn_id,
                hint=_see(summary.quarantine, "A retry sends only the chunks of these jobs again."),
            )
        try:
            self._judged(summary)
        except NucleusUploadError:
            # What was refused is offered again by a retry: the items it needs may exist by then.
            kept.flawed, kept.all_sent = [], False
            self._ledger.save(kept)
            raise
        kept.summary = summary.to_dict()
        self._ledger.save(kept)
        self._log.info("Upload of %s: %s", self.target, summary.sentence())
        return summary

    def run(self) -> UploadSummary:
        """Start, wait and collect."""
        started = self.start()
        return self.collect(self.wait(started))

    def cancel(self) -> list[str]:
        """Stop sending as soon as the requests in flight are answered, and return the jobs that are left.

        Safe to call from another thread or a signal handler. Nucleus cannot cancel upload jobs: they end by themselves, and a
        retry attaches to them.
        """
        self._stop.set()
        return self._record.job_ids if self._record is not None else []

    def _settle_jobs(self, record: Record, statuses: dict[str, Any]) -> list[str]:
        """Enter the outcome of every job into the record and return what is wrong with those that did not end well.

        Their chunks are dropped from the record, so that a retry sends them again.
        """
        failed: list[str] = []
        for chunk in list(record.open):
            if chunk.job_id is None:
                continue
            status = self._status_of(chunk.job_id, statuses)
            wrong = _wrong_with(chunk, status)
            if wrong is not None:
                failed.append(wrong)
                record.open.remove(chunk)
                if status is not None:
                    errors = self._client.send(job_errors(chunk.job_id))
                    self._refusals.add(errors)
                continue
            assert status is not None
            counts = job_counts(status)
            clean = status.state is JobState.SUCCEEDED and counts is not None and not counts.errored
            errors = [] if clean else self._client.send(job_errors(chunk.job_id))
            counts = settle(status, chunk.rows, errors, self._refusals)
            record.accept(
                chunk.digest,
                chunk.rows,
                processed=counts.processed,
                ignored=counts.ignored,
                errored=counts.errored,
            )
        return failed

    def _status_of(self, job_id: str, statuses: dict[str, Any]) -> JobStatus | None:
        known = statuses.get(job_id)
        status = None if known is None else as_status(known)
        if status is None or status.message is None:
            try:
                status = self._client.send(job_status(job_id))
            except NucleusNotFoundError:
                return None
        if not status.state.terminal:
            raise NucleusUploadError(
                f"Job {job_id} is still {status.status}: it is too early to take stock.",
                job_ids=[job_id],
                conn_id=self._conn_id,
                hint="Wait for all jobs first; a retry attaches to them.",
            )
        return status

    def _with_report(self, summary: UploadSummary) -> UploadSummary:
        """Write the quarantine file again, with the rows the server refused, and return the summary that names it."""
        first = tuple(self._refusals.first(_FIRST_ERRORS))
        for reason in first:
            self._log.warning("Refused by the server: %s", reason)
        where = summary.quarantine
        if self.options.quarantine is not None:
            with (
                tempfile.TemporaryDirectory(prefix="nucleus-upload-", dir=self.options.spool) as folder,
                Quarantine(self.options.quarantine, Path(folder)) as quarantine,
            ):
                cut = Cut(1 << 40, 1 << 40, "", lambda _: True)
                prepare(
                    self._rows, self._encoder, cut, folder=Path(folder), quarantine=quarantine, publish=False
                )
                report_refusals(self._rows, self._encoder, self._refusals, quarantine)
                where = quarantine.publish()
        return replace(
            summary, quarantine=where, first_errors=[*summary.first_errors, *first][:_FIRST_ERRORS]
        )

    def _judged(self, summary: UploadSummary) -> UploadSummary:
        """Return the summary if it is good enough, else raise with it."""
        if summary.unaccounted:
            self._log.warning(
                "The server does not account for %d of %d rows it was sent", summary.unaccounted, summary.sent
            )
        if summary.error_rate <= self.options.max_error_rate:
            return summary
        bad = summary.rejected + summary.errored
        first = f" First: {summary.first_errors[0]}." if summary.first_errors else ""
        raise NucleusUploadError(
            f"Upload of {self.target}: {bad:,} of {summary.rows:,} rows are bad ({summary.error_rate:.2%}, allowed "
            f"{self.options.max_error_rate:.2%}): {summary.sentence()}.{first}",
            summary=summary.to_dict(),
            quarantine=summary.quarantine,
            job_ids=summary.jobs,
            conn_id=self._conn_id,
            hint=_see(
                summary.quarantine, "The good rows are stored. A retry offers only the refused chunks again."
            ),
        )

    # -- small things ------------------------------------------------------------------------------------------------------------

    @property
    def _conn_id(self) -> str | None:
        return self._client.config.conn_id

    def _summary(
        self,
        account: Mapping[str, Any],
        *,
        totals: Mapping[str, int] | None = None,
        jobs: list[str] | None = None,
    ) -> UploadSummary:
        counts = dict(totals or {})
        known = sum(counts.get(name, 0) for name in ("processed", "ignored", "errored"))
        bad = account["rejected"] + counts.get("errored", 0)
        return UploadSummary(
            kind=self.target.kind,
            dataset_id=self.target.dataset_id,
            model_id=self.target.model_id,
            rows=account["rows"],
            rejected=account["rejected"],
            duplicates=account["duplicates"],
            sent=counts.get("sent", 0),
            processed=counts.get("processed", 0),
            ignored=counts.get("ignored", 0),
            errored=counts.get("errored", 0),
            unaccounted=max(counts.get("sent", 0) - known, 0),
            chunks=counts.get("chunks", 0),
            jobs=list(jobs or ()),
            quarantine=account["quarantine"],
            validate_only=self.options.validate_only,
            error_rate=bad / account["rows"] if account["rows"] else 0.0,
            first_errors=list(account["first_errors"]),
        )

    def _started(self, *, why: str) -> StartedUpload:
        record = self._current()
        return StartedUpload(record.job_ids, done=not record.job_ids, why=why, record=record.to_json())

    def _current(self) -> Record:
        assert self._record is not None
        return self._record

    def _meter(self, phase: str, *, total: int | None) -> ProgressMeter:
        return ProgressMeter(
            phase,
            total=total,
            interval=self.options.progress_interval,
            clock=self._client.clock,
            log=self._log,
            on_progress=self._on_progress,
        )


def _account(prepared: Prepared) -> dict[str, Any]:
    """Return what the record keeps about the input."""
    return {
        "rows": prepared.rows,
        "rejected": prepared.rejected,
        "duplicates": prepared.duplicates,
        "quarantine": prepared.quarantine,
        "first_errors": [reason[:300] for reason in prepared.first_errors],
    }


def _running(record: Record, digest: str) -> bool:
    """Whether the chunk has a job already."""
    chunk = record.find(digest)
    return chunk is not None and chunk.job_id is not None


def _wrong_with(chunk: OpenChunk, status: JobStatus | None) -> str | None:
    """Say why a job that ended cannot count as having stored its chunk, None when it can."""
    if status is None:
        return f"{chunk.job_id} is unknown to the server"
    if status.state not in _GOOD:
        return f"{chunk.job_id} ended as {status.status}" + (
            f" ({status.final_error})" if status.final_error else ""
        )
    if chunk.found and job_rows(status) not in {None, chunk.rows}:
        return f"{chunk.job_id} is about {job_rows(status)} rows instead of {chunk.rows}, so it is not ours"
    return None


def _see(quarantine: str | None, what: str) -> str:
    return (
        f"The bad rows are in {quarantine}. {what}"
        if quarantine
        else f"{what} Set quarantine to get the bad rows in a file."
    )
