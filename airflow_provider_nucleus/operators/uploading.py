"""Base of the operators that upload rows: started, waited for, collected, accounted for."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_nucleus.assets.announcing import withhold
from airflow_provider_nucleus.assets.event_content import upload_event
from airflow_provider_nucleus.client.job_outcome import is_gone
from airflow_provider_nucleus.client.uploads import Upload, UploadOptions
from airflow_provider_nucleus.exceptions import NucleusError, NucleusJobTimeout, NucleusUploadError
from airflow_provider_nucleus.gating.measurement import Subject
from airflow_provider_nucleus.lineage.facts import upload_facts
from airflow_provider_nucleus.operators.announcing import NucleusAnnouncingOperator
from airflow_provider_nucleus.operators.rows import (
    UPLOAD_ARGUMENTS,
    RowSource,
    as_folder,
    as_path,
    check_mapping,
)
from airflow_provider_nucleus.operators.waiting import ATTACHED, NucleusWaitingOperator
from airflow_provider_nucleus.schema.items import is_local_location
from airflow_provider_nucleus.tasks.deferring import ride_out_seconds, seconds
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, place_label
from airflow_provider_nucleus.tasks.machines import explain_missing_file, spool_folder, warn_of_local_paths
from airflow_provider_nucleus.tasks.rendered_values import is_path
from airflow_provider_nucleus.tasks.reports import path_for_instance
from airflow_provider_nucleus.tasks.results import checked_xcom, shorten_errors
from airflow_provider_nucleus.tasks.state import clear_count, task_identity, task_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_nucleus.client.uploads import Progress, StartedUpload, UploadSummary, UploadTarget
    from airflow_provider_nucleus.client.uploads.upload_spec import OnChange, OnClear
    from airflow_provider_nucleus.gating.profile import Profile
    from airflow_provider_nucleus.schema.batches import RowStream
    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.sources.open_rows import Kind
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusUploadOperator"]

_FILE_POLL_SECONDS = 0.5
_PLACES = 100
"""Files of one upload that lineage names."""


class NucleusUploadOperator(NucleusWaitingOperator, NucleusAnnouncingOperator):
    """Base of the operators that upload rows with the engine of `airflow_provider_nucleus.client.uploads`."""

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        **UPLOAD_ARGUMENTS,
        **NucleusWaitingOperator.templated,
        **NucleusAnnouncingOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = {"mapping": "json"}
    row_kind: ClassVar[Kind]
    folder_argument: ClassVar[str] = "mask_folder"
    """The argument that names the folder of the files that rows name."""

    def __init__(
        self,
        *,
        dataset_id: str,
        source: Any,
        format: str = "auto",  # ruff: ignore[builtin-argument-shadowing] - the word users expect
        mapping: Mapping[str, Any] | None = None,
        update: bool | str = False,
        asynchronous: bool = True,
        chunk_rows: int | None = None,
        concurrency: int = 4,
        max_error_rate: float | str = 0.0,
        quarantine: Any = None,
        validate_only: bool | str = False,
        on_change: OnChange = "fail",
        on_clear: OnClear = "rerun",
        spool: str | None = None,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.dataset_id = dataset_id
        self.source = source
        self.format = format
        self.mapping = mapping
        self.update = update
        self.asynchronous = asynchronous
        self.chunk_rows = chunk_rows
        self.concurrency = concurrency
        self.max_error_rate = max_error_rate
        self.quarantine = quarantine
        self.validate_only = validate_only
        self.on_change = on_change
        self.on_clear = on_clear
        self.spool = spool
        # Says at once, in the DAG file, what is wrong with the arguments that are not templates.
        UploadOptions(on_change=on_change, on_clear=on_clear, chunk_rows=chunk_rows, concurrency=concurrency)
        check_mapping(self.mapping, kind=self.row_kind)
        self._upload: Upload | None = None

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        return place_label(self.source)

    @abstractmethod
    def upload_target(self) -> UploadTarget:
        """Return where the rows go, from the rendered arguments."""

    @abstractmethod
    def row_source(self) -> RowSource:
        """Return where the rows come from, from the rendered arguments."""

    def file_folder(self) -> str | None:
        """Return the folder or URL of the files that rows name, from the rendered arguments."""
        return as_folder(getattr(self, self.folder_argument), name=self.folder_argument)

    def complete_profile(self, context: Context, profile: Profile) -> Profile:  # ruff: ignore[unused-method-argument] - for subclasses
        """Return the profile of predictions with what the task knows beside them; called before anything is sent."""
        return profile

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the rows, send what is missing, wait, and account for every row."""
        self.read_arguments()
        target = self.upload_target()
        resume_payload: dict[str, Any] = {"dataset_id": target.dataset_id, "model_id": target.model_id}
        self.check_deferrable(resume_payload)
        self.link_to(context, dataset_id=target.dataset_id, model_id=target.model_id)
        state = task_state(context)
        if state is None:
            self.log.warning(
                "This Airflow keeps no task state (it comes with 3.3): a retry sends everything again, and rows with ids are "
                "not stored twice"
            )
        upload = self._made(context)
        try:
            started = self._started(upload)
            if started.done:
                return self._announced(context, self._account(context, upload.collect()))
        except NucleusUploadError as error:
            self._leave_evidence(context, error)
            raise
        resume_payload[ATTACHED] = started.attached
        if state is None:
            resume_payload["record"] = started.record
        return self.wait_for_jobs(context, started.job_ids, resume_payload)

    def start_again(self, context: Context, resume_payload: dict[str, Any]) -> list[str]:  # ruff: ignore[unused-method-argument] - the base's signature
        """Send the chunks of jobs again that were cancelled with an earlier try."""
        self._upload = None
        try:
            return self._started(self._made(context)).job_ids
        except NucleusUploadError as error:
            self._leave_evidence(context, error)
            raise

    def _started(self, upload: Upload) -> StartedUpload:
        """Bring what is missing to the server; a job that was being started when the task was killed is seen to."""
        try:
            return upload.start()
        except NucleusError as error:
            explain_missing_file(error, self.source)
            # Jobs that take in image files are waited for while the next files are sent.
            if isinstance(error, NucleusJobTimeout) and self.cancel_on_kill:
                self.cancel_jobs(upload.cancel())
            if self._killed:
                self._killed_while_starting(upload.cancel())
            raise

    def jobs_ended(
        self, context: Context, statuses: Mapping[str, JobStatus], resume_payload: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Account for the rows of the jobs."""
        # One that vanished is asked for once more, and its chunk sent again by a retry.
        known = {job_id: status for job_id, status in statuses.items() if not is_gone(status)}
        try:
            collected = self._made(context).collect(known, record=resume_payload.get("record"))
            return self._announced(context, self._account(context, collected))
        except NucleusUploadError as error:
            self._leave_evidence(context, error)
            raise

    def on_kill(self) -> None:
        """Stop sending and cancel the jobs that were started."""
        if self._upload is not None:
            self._running = self._upload.cancel() or self._running
        super().on_kill()

    def _made(self, context: Context) -> Upload:
        """Return the upload: the one this process began, or the same again after a deferral."""
        if self._upload is None:
            quarantine = as_path(path_for_instance(self.quarantine, context))
            warn_of_local_paths(self.quarantine, "The quarantine file")
            self._upload = Upload(
                self.hook.get_conn(),
                self.upload_target(),
                partial(self._rows, quarantine),
                self._options(quarantine),
                state=task_state(context),
                identity=task_identity(context),
                clear_count=clear_count(context),
                fingerprint=lambda: self.row_source().fingerprint(),
                file_marks=lambda: self.row_source().file_marks(),
                on_progress=self._measure,
                on_profile=lambda profile: self.complete_profile(context, profile),
            )
        return self._upload

    def _rows(self, quarantine: Any) -> RowStream:
        """Open the source. The quarantine file is checked here to be no part of it: reading rows may write that file."""
        source = self.row_source()
        source.refuse_overlap(quarantine)
        return source.rows()

    def _options(self, quarantine: Any) -> UploadOptions:
        folder = self.file_folder()
        return UploadOptions(
            update=bool(self.update),
            asynchronous=self.asynchronous,
            chunk_rows=self.chunk_rows,
            concurrency=self.concurrency,
            max_error_rate=float(self.max_error_rate),
            quarantine=quarantine,
            # What lies elsewhere is fetched by the server.
            local_root=folder if folder is not None and is_local_location(folder) else None,
            validate_only=bool(self.validate_only),
            on_change=self.on_change,
            on_clear=self.on_clear,
            # Only image files are waited for by the engine itself, ten at a time: short jobs, looked at often.
            poll_interval=min(self.poll_interval, _FILE_POLL_SECONDS),
            job_timeout=seconds(self.job_timeout),
            ride_out=ride_out_seconds(self.ride_out),
            spool=spool_folder(self.spool),
        )

    def _account(self, context: Context, summary: UploadSummary) -> dict[str, Any]:  # ruff: ignore[unused-method-argument] - for subclasses
        result = shorten_errors(summary.to_dict())
        if summary.model_id and not summary.rows and not summary.validate_only:
            run_id = self.hook.ensure_model_run(summary.dataset_id, summary.model_id)
            self.log.info("The model found nothing; its run %s is there to be evaluated", run_id)
        for name in ("processed", "ignored", "rejected", "errored", "unaccounted"):
            Stats.incr(f"nucleus.upload.{name}", result[name], tags={"kind": result["kind"]})
        return checked_xcom(result)

    def _announced(self, context: Context, result: dict[str, Any]) -> dict[str, Any]:
        """Put the account into the events of the outlets, and return it; rows that were only checked are no event."""
        if result["validate_only"]:
            withhold(context, "the rows were checked, and nothing was sent")
            return result
        kind, slice_id = result["kind"], result.get("slice_id") or getattr(self, "slice_id", None)
        subject = Subject(
            dataset_id=result["dataset_id"],
            model_id=result["model_id"],
            slice_id=slice_id,
            slice_name=result.get("slice_name"),
            job_id=result["jobs"][-1] if result["jobs"] else None,
        )
        self.lineage = upload_facts(kind, result | {"slice_id": slice_id}, sources=self._places())
        self.announce(context, upload_event(result, subject=subject), kind=kind)
        return result

    def _places(self) -> tuple[str, ...]:
        """Return the files that rows came from, as the argument names them; none for rows in memory."""
        named = self.source if isinstance(self.source, list | tuple) else [self.source]
        return tuple(str(one) for one in named[:_PLACES] if is_path(one))

    def _measure(self, progress: Progress) -> None:
        Stats.gauge("nucleus.upload.rows", progress.rows, tags={"kind": self.upload_target().kind})
        Stats.gauge("nucleus.upload.rows_per_second", progress.rate, tags={"kind": self.upload_target().kind})

    def _leave_evidence(self, context: Context, error: NucleusUploadError) -> None:
        """Keep the account of an upload that fails where the next task or a person finds it."""
        if error.summary and self.do_xcom_push:
            context["ti"].xcom_push(key="failed_upload", value=checked_xcom(shorten_errors(error.summary)))
