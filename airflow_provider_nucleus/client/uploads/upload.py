"""Upload of rows in three steps: start, wait, collect.

`start` decides what to do about an earlier attempt, validates the whole input, and sends what is missing. The caller waits for the
jobs: a deferrable task waits in the triggerer and collects in another process, from nothing but the record. `run` does all three.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.calls.jobs import cancel_job
from airflow_provider_nucleus.client.local_files import LocalFiles
from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
from airflow_provider_nucleus.client.uploads.check.quarantine import Quarantine
from airflow_provider_nucleus.client.uploads.check.spool import plan_chunks
from airflow_provider_nucleus.client.uploads.check.validation import (
    ValidatedInput,
    input_counts,
    log_already_sent,
    log_validation,
    require_error_rate,
    validate_input,
)
from airflow_provider_nucleus.client.uploads.job_wait import wait_for_upload_jobs
from airflow_provider_nucleus.client.uploads.resume.decision import (
    Attach,
    Collect,
    Fail,
    Policies,
    Submit,
    decide,
    remote_job_states,
)
from airflow_provider_nucleus.client.uploads.resume.ledger import Ledger, MemoryState, Record
from airflow_provider_nucleus.client.uploads.send.delivery import Delivery
from airflow_provider_nucleus.client.uploads.send.outcomes import Refusals
from airflow_provider_nucleus.client.uploads.settlement import Settlement
from airflow_provider_nucleus.client.uploads.summary import Progress, ProgressMeter, UploadSummary, summarize
from airflow_provider_nucleus.client.uploads.upload_spec import describe_destination
from airflow_provider_nucleus.exceptions import NucleusError, NucleusSourceError, NucleusUploadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.client.uploads.resume.ledger import StateStore
    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget
    from airflow_provider_nucleus.gating.profile import Profile
    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.schema.rows import SourceRow

__all__ = ["StartedUpload", "Upload"]


@dataclass(frozen=True, slots=True)
class StartedUpload:
    """A started upload: the jobs to wait for, or `done` when there are none.

    `attached` are those of the jobs that an earlier attempt started.
    `record` is the record of the upload as JSON; hand it to `Upload.collect` in another process when there is no state store.
    """

    job_ids: list[str]
    done: bool
    reason: str
    record: dict[str, Any] = field(default_factory=dict, repr=False)
    attached: list[str] = field(default_factory=list)


class Upload:
    """One upload of rows to Nucleus, resumable by anybody who has the same arguments and the same state store.

    `rows` is called whenever the input has to be read, and must give the same rows each time: not at all when there is nothing to
    send, once for an input without fault, a second time when identities repeat, and as often again, and once more, to report rows
    that the server refused. `identity` names the upload among others (the task instance); `clear_count` counts how often the user
    cleared it; `fingerprint` is called by `start`, and by `collect` before it reports rows the server refused; it identifies the
    content of the input, None when that is not possible. It need not be called while `file_marks`, a digest of the names, sizes and
    times of its files, is the recorded one. An attempt that has nothing to send needs no input: rows that are stored
    do not get lost with the file they came from. `on_profile` gets the profile of predictions once they are checked, before any is
    sent, and returns the one that is recorded; an attempt that has nothing to send returns the recorded one.
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
        clear_count: int = 0,
        fingerprint: Callable[[], str | None] = lambda: None,
        file_marks: Callable[[], str | None] = lambda: None,
        log: logging.Logger | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        on_profile: Callable[[Profile], Profile] = lambda profile: profile,
    ) -> None:
        self.target = target
        self.options = options
        self._client = client
        self._rows = rows
        self._identity = identity
        self._clear_count = clear_count
        self._read_fingerprint = fingerprint
        self._read_marks = file_marks
        self._fingerprint: str | None = None
        self._marks: str | None = None
        self._destination = describe_destination(target, options)
        self._log = log or logging.getLogger(__name__)
        self._on_progress = on_progress
        self._on_profile = on_profile
        self._ledger = Ledger(state if state is not None else MemoryState(), identity=identity)
        self._files = LocalFiles(options.local_root, masks=target.kind != "items")
        self._encoder = Encoder(
            target.kind,
            stable_ids=options.stable_ids,
            ignore_unknown=options.ignore_unknown,
            files=self._files,
            by_jobs=options.asynchronous,
        )
        self._record: Record | None = None
        self._refusals = Refusals()
        self._settlement = Settlement(
            client,
            target,
            options,
            rows=rows,
            encoder=self._encoder,
            refusals=self._refusals,
            fingerprint=fingerprint,
            log=self._log,
        )
        self._validation_summary: UploadSummary | None = None
        self._delivery: Delivery | None = None
        self._stop = threading.Event()

    def start(self) -> StartedUpload:
        """Send everything the server does not have and return the jobs to wait for.

        Raises NucleusUploadError when the input has more bad rows than allowed (nothing was sent, the quarantine file is
        written), when it changed, or when an earlier attempt left something that must not be guessed about; NucleusSourceError when
        it is needed and cannot be read; and the errors of the client when the server cannot be reached. In each case a retry goes
        on where this attempt stopped.
        """
        if self.options.validate_only:
            return self._validate_only()
        record = self._ledger.load()
        remote = remote_job_states(self._client, record.job_ids, log=self._log) if record is not None else {}
        source_error = self._take_fingerprint(record)
        policies = Policies(on_change=self.options.on_change, on_clear=self.options.on_clear)
        decision = decide(
            record,
            remote,
            fingerprint=self._fingerprint,
            destination=self._destination,
            clear_count=self._clear_count,
            policies=policies,
        )
        self._log.info(
            "Upload of %s: %s, because %s", self.target, type(decision).__name__.lower(), decision.reason
        )
        if isinstance(decision, Fail):
            jobs = record.job_ids if record is not None else []
            raise NucleusUploadError(
                f"Upload of {self.target}: {decision.reason}",
                hint=decision.hint,
                job_ids=jobs,
                conn_id=self._conn_id,
            )
        if isinstance(decision, Attach | Collect):
            if source_error is not None:
                self._log.warning(
                    "%s Whether the input changed is not known, but nothing has to be sent", source_error
                )
            self._record = record
            self._current().marks = self._marks or self._current().marks
            return self._started(reason=decision.reason, attached=self._current().job_ids)
        if source_error is not None:
            raise source_error
        self._record = self._record_to_continue(record, decision)
        attached = self._record.job_ids
        # A retry sends what is not recorded as stored: an earlier try may have left an item whose image is not.
        self._submit(spare_stored=record is None or decision.fresh)
        return self._started(reason=decision.reason, attached=attached)

    def _take_fingerprint(self, record: Record | None) -> NucleusSourceError | None:
        """Take the input's fingerprint; return the error when that is not possible."""
        try:
            self._marks = self._read_marks()
            if record is not None and record.fingerprint and None is not self._marks == record.marks:
                self._fingerprint = record.fingerprint
            else:
                self._fingerprint = self._read_fingerprint()
        except NucleusSourceError as error:
            return error
        return None

    def _validate_only(self) -> StartedUpload:
        with tempfile.TemporaryDirectory(prefix="nucleus-upload-", dir=self.options.spool) as folder:
            validated = self._validate(Path(folder), lambda _: True)
        require_error_rate(validated, self.target, self.options, self._conn_id)
        self._log.info("Validation only: nothing is sent to %s", self.target)
        self._validation_summary = summarize(self.target, self.options, input_counts(validated))
        return StartedUpload([], done=True, reason="validation only")

    def _record_to_continue(self, record: Record | None, decision: Submit) -> Record:
        """Return the record to continue."""
        for job_id in decision.abandoned:
            self._cancel_job(job_id)
        if record is None or decision.fresh:
            return Record(
                clear_count=self._clear_count,
                fingerprint=self._fingerprint,
                destination=self._destination,
                marks=self._marks,
            )
        record.open = [chunk for chunk in record.open if chunk.job_id not in decision.resend]
        record.clear_count = self._clear_count
        record.fingerprint, record.marks = self._fingerprint, self._marks
        record.summary = None
        # Their reasons were lost with the process that collected them.
        record.flawed, record.refused = [], []
        return record

    def _cancel_job(self, job_id: str) -> None:
        """Cancel an abandoned job where the server can; the embedded Nucleus can, the cloud cannot."""
        try:
            self._client.send(cancel_job(job_id))
        except NucleusError as error:
            self._log.warning(
                "Job %s of the earlier upload is left running, and its rows stay stored: %s", job_id, error
            )
        else:
            self._log.info("Cancelled job %s of the earlier upload", job_id)

    def _submit(self, *, spare_stored: bool) -> None:
        record = self._current()
        record.all_sent = False
        with tempfile.TemporaryDirectory(prefix="nucleus-upload-", dir=self.options.spool) as folder:
            validated = self._validate(
                Path(folder), lambda digest: record.is_settled(digest) or record.has_job(digest)
            )
            require_error_rate(validated, self.target, self.options, self._conn_id)
            log_already_sent(validated, self._log)
            record.input = input_counts(validated)
            self._drop_removed_chunks(record, validated)
            self._ledger.save(record)
            meter = self._meter("Sent", total=validated.good)
            with Delivery(
                self._client,
                self.target,
                self.options,
                files=self._files,
                record=record,
                save=lambda: self._ledger.save(record),
                refusals=self._refusals,
                stopped=self._stop.is_set,
                log=self._log,
                meter=meter,
            ) as delivery:
                self._delivery = delivery
                delivery.deliver(validated.spool)
                delivery.deliver_files(validated.file_spool, spare_stored=spare_stored)
            meter.finish()
        record.all_sent = True
        record.refused = self._refusals.texts()
        self._ledger.save(record)

    def _validate(self, folder: Path, is_known: Callable[[str], bool]) -> ValidatedInput:
        self._files.require_folder()
        meter = self._meter("Checked", total=None)
        with Quarantine(self.options.quarantine, folder) as quarantine:
            validated = validate_input(
                self._rows,
                self._encoder,
                plan_chunks(
                    self.target,
                    self.options,
                    identity=self._identity,
                    destination=self._destination,
                    is_known=is_known,
                ),
                folder=folder,
                quarantine=quarantine,
                on_rows=meter.update,
                profiled=self.target.kind == "predictions",
            )
        meter.finish()
        log_validation(validated, self.target, self._log)
        if validated.profile is not None:
            validated = replace(validated, profile=self._on_profile(validated.profile))
        return validated

    def _drop_removed_chunks(self, record: Record, validated: ValidatedInput) -> None:
        """Drop chunks that the input no longer has: the summary counts the rows it has now."""
        wanted = {chunk.digest for chunk in (*validated.spool.chunks, *validated.file_spool.chunks)}
        removed = [chunk for chunk in record.open if chunk.digest not in wanted]
        if removed:
            self._log.warning(
                "Jobs %s belong to chunks that the input no longer has; they are left running",
                ", ".join(chunk.job_id or "(unnamed)" for chunk in removed),
            )
            record.open = [chunk for chunk in record.open if chunk.digest in wanted]
        dropped = record.keep_only(wanted).totals
        if dropped["chunks"]:
            self._log.info(
                "%d chunks (%d rows) of the earlier input stay stored, but are no longer counted",
                dropped["chunks"],
                dropped["sent"],
            )

    def wait(self, started: StartedUpload) -> dict[str, JobStatus]:
        """Return the last status of each job; NucleusJobTimeout after `job_timeout` seconds."""
        return wait_for_upload_jobs(
            self._client, started.job_ids, self.options, stopped=self._stop.is_set, log=self._log
        )

    def collect(
        self, statuses: Mapping[str, Any] | None = None, *, record: Mapping[str, Any] | None = None
    ) -> UploadSummary:
        """Settle the upload once its jobs have ended, and return the summary.

        `statuses` maps job ids to their last status (JobStatus, its JSON, or the bare status); missing ones are fetched.
        `record` stands in for the state store where there is none. Raises NucleusUploadError when a job did not end well, when the
        server refused more rows than `max_error_rate` allows, or while a job still runs; quarantine and record are written before.
        """
        if self._validation_summary is not None:
            return self._validation_summary
        if self._record is None:
            self._record = Record.from_json(record) if record is not None else self._ledger.load()
        current = self._record
        if current is None:
            raise NucleusUploadError(
                f"There is no record of an upload of {self.target} to collect.",
                hint="Start it, or pass the record that start() returned.",
            )
        if current.destination != self._destination:
            raise NucleusUploadError(
                f"Upload of {self.target}: the recorded rows went as {current.destination}, so there is nothing to collect here.",
                job_ids=current.job_ids,
                conn_id=self._conn_id,
                hint="The arguments changed while the jobs ran. Clear the task to send the rows to the new place.",
            )
        if current.summary is not None:
            return UploadSummary.from_dict(current.summary)
        return self._settlement.settle(current, dict(statuses or {}), save=self._ledger.save)

    def run(self) -> UploadSummary:
        """Start, wait and collect."""
        started = self.start()
        return self.collect(self.wait(started))

    def cancel(self) -> list[str]:
        """Stop sending as soon as the requests in flight are answered, and return the jobs that are left.

        Safe to call from another thread or a signal handler. The jobs go on unless the caller cancels them, which the embedded
        Nucleus can; a retry attaches to those that run.
        """
        self._stop.set()
        if self._delivery is not None:
            return self._delivery.jobs
        return self._record.job_ids if self._record is not None else []

    @property
    def _conn_id(self) -> str | None:
        return self._client.config.conn_id

    def _started(self, *, reason: str, attached: list[str]) -> StartedUpload:
        record = self._current()
        jobs = record.job_ids
        return StartedUpload(
            jobs,
            done=not jobs,
            reason=reason,
            record=record.to_json(),
            attached=[job_id for job_id in attached if job_id in jobs],
        )

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
