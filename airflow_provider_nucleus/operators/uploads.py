"""Upload ground truth and predictions: any size, resumable, accounted for row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_nucleus.client.uploads import UploadTarget
from airflow_provider_nucleus.links import nucleus as links
from airflow_provider_nucleus.operators.rows import RowSource, as_folder, as_path
from airflow_provider_nucleus.operators.uploading import NucleusUploadOperator
from airflow_provider_nucleus.sources.mapping import as_mapping
from airflow_provider_nucleus.tasks.arguments import FOLDER, ID, SOURCE, required

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink

    from airflow_provider_nucleus.sources.coco import Geometry
    from airflow_provider_nucleus.sources.open_rows import Kind
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusUploadAnnotationsOperator", "NucleusUploadPredictionsOperator"]


class _ObjectUploadOperator(NucleusUploadOperator):
    """Base of the uploads of annotations and of predictions: shapes of COCO, and masks."""

    def __init__(
        self,
        *,
        geometry: Geometry = "box",
        mask_folder: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.geometry = geometry
        self.mask_folder = mask_folder

    def file_folder(self) -> str | None:
        """Return the folder of masks."""
        return as_folder(self.mask_folder, name="mask_folder")

    def row_source(self) -> RowSource:
        """Return the rows."""
        return RowSource(
            source=as_path(self.source),
            kind=self.row_kind,
            format=self.format or "auto",
            mapping=as_mapping(self.mapping),
            geometry=self.geometry,
            folder=self.file_folder(),
        )


class NucleusUploadAnnotationsOperator(_ObjectUploadOperator):
    """Upload ground truth to a dataset.

    The input is checked completely before anything is sent; a retry sends only what the server does not have yet, and waits for
    the jobs that an earlier try started. Returns the account of all rows: `rows`, `rejected`, `duplicates`, `sent`,
    `processed`, `ignored`, `errored`, `unaccounted`, `jobs`, `quarantine` and more
    (`UploadSummary`).

    :param dataset_id: id of the dataset (templated)
    :param source: path or URL of a file, a folder or a glob, or a list of them; or a short list of rows (templated)
    :param format: `jsonl`, `json`, `coco` or `parquet`; `auto` finds out per file (templated)
    :param mapping: how rows of another layout become ours: `fields`, `box_format`, `labels`, `explode`, `reference_id` and what else
        `RowMapping` has, checked when the DAG is parsed as far as it holds no templates; `nucleus-local check FILE` suggests one (templated)
    :param geometry: what COCO annotations are sent as: `box`, `polygon` or `keypoints`
    :param mask_folder: folder or URL that is put before mask locations which are relative paths; a mask that is a file of the
        worker is sent from below this folder only, with `asynchronous=False` (templated)
    :param update: whether rows that exist are replaced, rather than ignored (templated)
    :param asynchronous: whether rows are handed over as files and stored by jobs, rather than sent in requests
    :param chunk_rows: rows of one job or round of requests; a retry repeats at most one chunk
    :param concurrency: requests in flight when not asynchronous
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
    :param slice_id: slice that the rows are of: their asset event names it, for whoever evaluates a batch anew when its ground truth
        has come; nothing else depends on it (templated)
    :param partition_key: partition of the events of this task's outlets (Airflow 3.2 and later) (templated)
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        **NucleusUploadOperator.templated,
        "mask_folder": FOLDER,
        "slice_id": ID,
    }
    template_fields: Sequence[str] = tuple(templated)
    operator_extra_links: Sequence[BaseOperatorLink] = (links.NucleusDatasetLink(), links.NucleusJobLink())
    row_kind: ClassVar[Kind] = "annotations"

    def __init__(self, *, slice_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.slice_id = slice_id

    def upload_target(self) -> UploadTarget:
        """Return the dataset."""
        return UploadTarget("annotations", self.dataset_id)


class NucleusUploadPredictionsOperator(_ObjectUploadOperator):
    """Upload the predictions of a model for the items of a dataset.

    Works as `NucleusUploadAnnotationsOperator` does; rows may have `confidence` and `class_pdf`. Nucleus keeps one run
    of a model on a dataset and adds to it. Calculate the metrics anew afterwards.

    :param dataset_id: id of the dataset (templated)
    :param model_id: id of the model (templated)
    :param source: path or URL of a file, a folder or a glob, or a list of them; or a short list of rows (templated)
    :param ground_truth: for COCO results: the COCO ground truth they refer to, for the names of images and labels; other
        formats do not need it and ignore it (templated)
    :param format: `jsonl`, `json`, `coco` or `parquet`; `auto` finds out per file (templated)
    :param mapping: how rows of another layout become ours: `fields`, `box_format`, `labels`, `explode`, `reference_id` and what else
        `RowMapping` has, checked when the DAG is parsed as far as it holds no templates; `nucleus-local check FILE` suggests one (templated)
    :param geometry: what COCO results are sent as: `box`, `polygon` or `keypoints`
    :param mask_folder: folder or URL that is put before mask locations which are relative paths; a mask that is a file of the
        worker is sent from below this folder only, with `asynchronous=False` (templated)
    :param update: whether rows that exist are replaced, rather than ignored (templated)
    :param asynchronous: whether rows are handed over as files and stored by jobs, rather than sent in requests
    :param chunk_rows: rows of one job or round of requests; a retry repeats at most one chunk
    :param concurrency: requests in flight when not asynchronous
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
        "mask_folder": FOLDER,
        "model_id": required(ID),
        "ground_truth": SOURCE,
    }
    template_fields: Sequence[str] = tuple(templated)
    operator_extra_links: Sequence[BaseOperatorLink] = (
        links.NucleusEvaluationLink(),
        links.NucleusDatasetLink(),
        links.NucleusModelLink(),
        links.NucleusJobLink(),
    )
    row_kind: ClassVar[Kind] = "predictions"

    def __init__(
        self,
        *,
        model_id: str,
        ground_truth: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_id = model_id
        self.ground_truth = ground_truth

    def upload_target(self) -> UploadTarget:
        """Return dataset and model."""
        return UploadTarget("predictions", self.dataset_id, self.model_id)

    def row_source(self) -> RowSource:
        """Return the rows of predictions."""
        return replace(super().row_source(), ground_truth=as_path(self.ground_truth))
