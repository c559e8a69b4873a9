"""Append images and lidar scenes to a dataset."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from airflow_provider_nucleus.assets.event_content import upload_event
from airflow_provider_nucleus.client.content import FileContent, json_bytes
from airflow_provider_nucleus.client.job_counts import job_counts
from airflow_provider_nucleus.client.job_outcome import SHOWN_ERRORS
from airflow_provider_nucleus.client.uploads import UploadTarget
from airflow_provider_nucleus.client.uploads.check.spool import explain_full_disk
from airflow_provider_nucleus.client.uploads.resume.orphan_jobs import certainly_before, find_orphan_job
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusJobFailed, NucleusValidationError
from airflow_provider_nucleus.gating.measurement import Subject
from airflow_provider_nucleus.lineage.facts import upload_facts
from airflow_provider_nucleus.links.nucleus import NucleusDatasetLink, NucleusJobLink
from airflow_provider_nucleus.operators.rows import RowSource, as_path
from airflow_provider_nucleus.operators.starting import NucleusStartingOperator
from airflow_provider_nucleus.operators.uploading import NucleusUploadOperator
from airflow_provider_nucleus.schema.jobs import RowError
from airflow_provider_nucleus.schema.scenes import LidarScene
from airflow_provider_nucleus.sources.mapping import as_mapping
from airflow_provider_nucleus.tasks.arguments import FOLDER, TEXT
from airflow_provider_nucleus.tasks.machines import spool_folder
from airflow_provider_nucleus.tasks.results import checked_xcom

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.client.uploads import UploadSummary
    from airflow_provider_nucleus.operators.starting import StartIntent
    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.sources.open_rows import Kind
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusAppendItemsOperator"]

ItemKind = Literal["images", "lidar_scenes"]

_SCENE_JOB = "uploadLidarScene"
"""Type of a job that takes in scenes, as listings have it."""


class NucleusAppendItemsOperator(NucleusUploadOperator, NucleusStartingOperator):
    """Append images, or lidar scenes, to a dataset.

    Images are rows with `reference_id` and `image_url`, or the images of a COCO file. An `image_url` with a scheme
    (`https`, `s3`, `gs`) stays where it is; any other is a file of the worker, whose bytes are sent if it is an image below
    `image_folder`, and else a bad row: what rows say does not open other files. Works as
    `NucleusUploadAnnotationsOperator` does and returns the same account; an
    item that exists is ignored, without sending its file again, or replaced with `update`.

    Lidar scenes are objects as `LidarScene` makes them, in JSONL or in a list; they go into a dataset created with
    `is_scene`. All are checked before the first is sent, and one that is bad stops them all: `quarantine` and `max_error_rate`
    are refused, as are `on_change`, `on_clear` and `chunk_rows`. A retry attaches to the job of the same source and `update`;
    otherwise the earlier job is cancelled, where the server can, and all scenes are sent. A job that ends well without every scene
    (it refused some, or its counts or the data set lack some) fails the task, and a retry sends all again. Locations in scenes
    are addresses for the server; no file of the worker is read. Returns `{"kind", "dataset_id", "rows", "jobs"}`.

    :param dataset_id: id of the dataset (templated)
    :param source: path or URL of a file, a folder or a glob, or a list of them; or a short list of rows (templated)
    :param kind: what is appended: `images` or `lidar_scenes`
    :param image_folder: folder or URL that is put before image locations which are relative paths; files of the worker are sent
        from below this folder only (templated)
    :param slice_name: slice that all items of the source are put into once they are stored, those that were there before among them:
        the batch of this run. It is created if the dataset has none of the name; a retry makes no second one. The result then has
        `slice_id` (an XCom of its own, too), `slice_name`, `slice_items` and `slice_added` (templated)
    :param format: `jsonl`, `json`, `coco` or `parquet`; `auto` finds out per file (templated)
    :param mapping: how rows of another layout become ours, with any of `fields`, `patterns`, `explode` and `reference_id`
        (`RowMapping`), checked when the DAG is parsed as far as it holds no templates (templated)
    :param update: whether items that exist are replaced, rather than ignored (templated)
    :param asynchronous: has no meaning here: items are always taken in by jobs
    :param chunk_rows: items of one job
    :param concurrency: requests in flight while files are sent
    :param max_error_rate: share of bad rows, 0 to 1, that is tolerated; rows that the server refuses or does not account for are
        among them (templated)
    :param quarantine: file for the bad rows with their reasons, `.jsonl` or `.parquet`; that of a mapped task has
        `.map<map index>` before its suffix (templated)
    :param validate_only: whether to check and report without sending anything (templated)
    :param on_change: what to do when the input, or where it goes, is not what an earlier try began with: `fail`, `restart`, or
        `continue` with the chunks that are new
    :param on_clear: what a clear by the user means: `rerun` everything, or `reattach` like a retry
    :param spool: folder of the worker for the temporary copy of the checked rows as JSON, `TMPDIR` unless given (templated)
    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param poll_interval: seconds between two looks at a job
    :param job_timeout: longest wait for the jobs, in seconds or as timedelta
    :param ride_out: how long the server may be away while the task waits, in seconds or as timedelta; `job_timeout` still counts
    :param cancel_on_kill: whether to cancel the jobs when the task is killed or gives up waiting, where the server can
    :param partition_key: partition of the events of this task's outlets (Airflow 3.2 and later) (templated)
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        **NucleusUploadOperator.templated,
        "image_folder": FOLDER,
        "slice_name": TEXT,
    }
    template_fields: Sequence[str] = tuple(templated)
    operator_extra_links: Sequence[BaseOperatorLink] = (NucleusDatasetLink(), NucleusJobLink())
    row_kind: ClassVar[Kind] = "items"
    folder_argument: ClassVar[str] = "image_folder"

    def __init__(
        self,
        *,
        kind: ItemKind = "images",
        image_folder: str | None = None,
        slice_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kind not in get_args(ItemKind):
            raise ValueError(f"kind must be one of {get_args(ItemKind)}, not {kind!r}")
        unused = [
            name
            for name, default in (("on_change", "fail"), ("on_clear", "rerun"), ("chunk_rows", None))
            if kwargs.get(name, default) != default
        ]
        if kind == "lidar_scenes" and unused:
            raise ValueError(
                f"lidar scenes are sent by one job as a whole: {', '.join(unused)} would have no effect"
            )
        self.kind = kind
        self.image_folder = image_folder
        self.slice_name = slice_name

    def upload_target(self) -> UploadTarget:
        """Return the dataset."""
        return UploadTarget("items", self.dataset_id)

    def row_source(self) -> RowSource:
        """Return the rows of items."""
        return RowSource(
            source=as_path(self.source),
            kind="items",
            format=self.format or "auto",
            mapping=as_mapping(self.mapping),
            folder=self.file_folder(),
        )

    def _account(self, context: Context, summary: UploadSummary) -> dict[str, Any]:
        """Return the account of all rows; those that are in the dataset are put into the slice of the batch, if it is named."""
        result = super()._account(context, summary)
        if self.slice_name is None or summary.validate_only:
            return result
        # Rows that were refused are in no dataset, and so in no slice; any other id that is unknown is a mistake.
        refused = bool(summary.rejected or summary.errored or summary.unaccounted)
        made = self.hook.ensure_slice(
            summary.dataset_id,
            self.slice_name,
            self.row_source().reference_ids(skip_bad=True),
            skip_unknown=refused,
        )
        if self.do_xcom_push:
            context["ti"].xcom_push(key="slice_id", value=made.slice_id)
        named = {"slice_id": made.slice_id, "slice_name": self.slice_name}
        return checked_xcom(result | named | {"slice_items": made.items, "slice_added": made.added})

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the items, send what is missing, wait, and account for them."""
        if self.kind == "images":
            return super().execute(context)
        self.read_arguments()
        resume_payload = self._scene_settings()
        self.check_deferrable(resume_payload)
        self.link_to(context, dataset_id=self.dataset_id)
        return self.wait_for_jobs(context, self.attach_or_start(context, resume_payload), resume_payload)

    def start_again(self, context: Context, resume_payload: dict[str, Any]) -> list[str]:
        """Start anew what an earlier try had started and was cancelled with it."""
        if self.kind == "images":
            return super().start_again(context, resume_payload)
        return NucleusStartingOperator.start_again(self, context, resume_payload)

    def jobs_ended(
        self, context: Context, statuses: Mapping[str, JobStatus], resume_payload: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Account for the items of the jobs."""
        if self.kind == "images":
            return super().jobs_ended(context, statuses, resume_payload)
        for job_id, status in statuses.items():
            failure = self.hook.job_failure(job_id, status) or self._scenes_missing(
                job_id, status, resume_payload
            )
            if failure is not None:
                failure.hint = "Correct what it complains about. A retry sends all scenes again; those that are stored are not doubled."
                self.forget_jobs(context)
                raise failure
        result = {
            "kind": self.kind,
            "dataset_id": resume_payload["dataset_id"],
            "rows": resume_payload["rows"],
            "jobs": list(statuses),
        }
        subject = Subject(dataset_id=result["dataset_id"], job_id=next(iter(statuses), None))
        self.lineage = upload_facts("items", result, sources=self._places())
        self.announce(context, upload_event(result, subject=subject), kind="items")
        return checked_xcom(result)

    def _scenes_missing(
        self, job_id: str, status: JobStatus, resume_payload: Mapping[str, Any]
    ) -> NucleusJobFailed | None:
        """Return the error of a job that ended well and does not account for all scenes; None when it does.

        Where the server gives no counts, which the contract leaves open, the scenes themselves are looked for.
        """
        errors: list[str] = []
        if (counts := job_counts(status, "scenes")) is not None:
            known = counts.processed + counts.ignored
            if known > resume_payload["rows"]:
                self.log.warning(
                    "Job %s accounts for %d scenes and was given %d", job_id, known, resume_payload["rows"]
                )
            wrong = (
                f"accounts for {known:,} of {resume_payload['rows']:,} scenes"
                if known < resume_payload["rows"]
                else ""
            )
        else:
            errors = self.hook.job_errors(job_id)[:SHOWN_ERRORS]
            stored = {scene["reference_id"] for scene in self.hook.list_scenes(resume_payload["dataset_id"])}
            missing = [scene.reference_id for scene in self._scenes() if scene.reference_id not in stored]
            wrong = f"did not store {len(missing):,} scenes, {missing[0]!r} first" if missing else ""
            if errors:
                wrong = f"refused scenes: {'; '.join(RowError.from_wire(text).reason for text in errors[:3])}"
        if not wrong:
            return None
        return NucleusJobFailed(
            f"Job {job_id} ended as {status.status}, but {wrong}.",
            job_id=job_id,
            status=status.status,
            job_message=status.message,
            errors=errors,
            conn_id=self.nucleus_conn_id,
        )

    def _scene_settings(self) -> dict[str, Any]:
        """Return the rendered arguments, checked: they are the request, and what a retry must have in common to attach."""
        if self.quarantine is not None or self.max_error_rate:
            raise NucleusConfigError(
                f"Task {self.task_id!r}: lidar scenes know no quarantine and no max_error_rate: one bad scene stops them all.",
                conn_id=self.nucleus_conn_id,
                field="max_error_rate" if self.quarantine is None else "quarantine",
            )
        if self.slice_name is not None:
            raise NucleusConfigError(
                f"Task {self.task_id!r}: slice_name is for images, and the task appends lidar scenes.",
                conn_id=self.nucleus_conn_id,
                field="slice_name",
            )
        return {
            "dataset_id": self.dataset_id,
            "kind": self.kind,
            "source": self.row_source().fingerprint(),
            "update": self.update,
            "validate_only": self.validate_only,
        }

    def start_jobs(self, resume_payload: dict[str, Any], intent: StartIntent) -> list[str]:
        """Write the checked scenes to a temporary file, hand it over and start the job, unless an earlier try did."""
        with tempfile.TemporaryDirectory(prefix="nucleus-scenes-", dir=spool_folder(self.spool)) as folder:
            spool = Path(folder) / "scenes.jsonl"
            resume_payload["rows"] = self._spool_scenes(spool)
            if resume_payload["validate_only"]:
                self.log.info("%d scenes are good; nothing was sent", resume_payload["rows"])
                return []
            listed = self.hook.list_jobs(
                dataset_id=self.dataset_id, job_types=[_SCENE_JOB], show_completed=True, limit=200
            )
            if intent.earlier is not None:
                younger = [
                    job
                    for job in listed
                    if not intent.earlier or certainly_before(intent.earlier, job.job_creation_time)
                ]
                client = self.hook.get_conn()
                found = find_orphan_job(
                    client.send, younger, since=intent.earlier, rows=resume_payload["rows"]
                )
                if found is not None:
                    self.log.info("Found job %s, which an earlier try started", found.job_id)
                    return [found.job_id]
            intent.record(listed[0].job_creation_time if listed else "")
            job = self.hook.append_lidar_scenes(
                self.dataset_id, FileContent.of(spool), update=resume_payload["update"]
            )
        self.log.info("Started appending %d scenes: %s", resume_payload["rows"], job.job_id)
        return [job.job_id]

    def _scenes(self) -> Iterator[LidarScene]:
        """Yield the scenes of the source; NucleusValidationError names the first row that is none."""
        for row in self.row_source().rows():
            if row.problem is not None:
                raise NucleusValidationError("", row.problem, row=row.number, source=row.source)
            try:
                yield LidarScene.from_wire(row.data)
            except NucleusValidationError as error:
                raise error.at(row=row.number, source=row.source) from None

    def _spool_scenes(self, spool: Path) -> int:
        count = 0
        with explain_full_disk(spool.parent), spool.open("wb") as file:
            for scene in self._scenes():
                file.write(json_bytes(scene.to_wire()) + b"\n")
                count += 1
        if not count:
            raise NucleusConfigError(
                f"Task {self.task_id!r}: the source holds no scenes.",
                conn_id=self.nucleus_conn_id,
                field="source",
            )
        return count
