"""Upload ground truth and predictions: any size, resumable, accounted for row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_nucleus.client.uploads import UploadTarget
from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.links import nucleus as links
from airflow_provider_nucleus.operators.rows import RowSource, as_folder, as_path
from airflow_provider_nucleus.operators.uploading import NucleusUploadOperator
from airflow_provider_nucleus.sources.mapping import as_mapping
from airflow_provider_nucleus.tasks.arguments import COUNT, FOLDER, ID, PLACE, SOURCE, required
from airflow_provider_nucleus.tasks.documents import write_json
from airflow_provider_nucleus.tasks.machines import warn_of_local_paths
from airflow_provider_nucleus.tasks.reports import check_place, path_for_instance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.client.uploads import UploadSummary
    from airflow_provider_nucleus.gating.profile import Profile
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
    of a model on a dataset and adds to it. Calculate the metrics anew afterwards. The result has the profile of the rows that
    passed the checks (`gating.profile`), which needs no ground truth.

    :param dataset_id: id of the dataset (templated)
    :param model_id: id of the model (templated)
    :param source: path or URL of a file, a folder or a glob, or a list of them; or a short list of rows (templated)
    :param ground_truth: for COCO results: the COCO ground truth they refer to, for the names of images and labels; other
        formats do not need it and ignore it (templated)
    :param profile: file for the whole profile of the predictions, as JSON; that of a mapped task has `.map<map index>` before its
        suffix. A compact one is in the result as `profile` (templated)
    :param items: how many items the batch has, those without any prediction included; the profile then says how many are
        empty (templated)
    :param slice_id: the slice that the batch is, instead of `items`: its items are counted (templated)
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
        "profile": PLACE,
        "items": COUNT,
        "slice_id": ID,
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
        profile: Any = None,
        items: int | str | None = None,
        slice_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_id = model_id
        self.ground_truth = ground_truth
        self.profile = profile
        self.items = items
        self.slice_id = slice_id

    def upload_target(self) -> UploadTarget:
        """Return dataset and model."""
        return UploadTarget("predictions", self.dataset_id, self.model_id)

    def row_source(self) -> RowSource:
        """Return the rows of predictions."""
        return replace(super().row_source(), ground_truth=as_path(self.ground_truth))

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the rows and write their profile, send what is missing, wait, and account for every row."""
        self.read_arguments()
        if self.items is not None and self.slice_id is not None:
            raise NucleusConfigError(
                "Both items and slice_id say how many items the batch has: give one of them.", field="items"
            )
        place = path_for_instance(self.profile, context)
        check_place(place, name="profile")
        self.row_source().refuse_overlap(as_path(place), name="profile")
        return super().execute(context)

    def complete_profile(self, context: Context, profile: Profile) -> Profile:
        """Return the profile with the number of items and the cut of the mapping, and write it where that is asked for."""
        least = as_mapping(self.mapping).min_confidence
        profile = profile.model_copy(update={"cuts": [] if least is None else [least]})
        if (items := self._item_count()) is not None:
            if items < profile.items_with_predictions:
                raise NucleusConfigError(
                    f"The batch has {items:,} items ({self._items_origin()}), and the rows predict on "
                    f"{profile.items_with_predictions:,} different ones.",
                    field="items" if self.slice_id is None else "slice_id",
                    hint="Nothing was sent. Give the number of all items of the batch, or the slice that has them all.",
                )
            profile = profile.of_items(items)
        place = path_for_instance(self.profile, context)
        if place is not None:
            write_json(place, profile.to_dict())
            self.log.info("Wrote the profile of the predictions to %s", place)
            warn_of_local_paths(place, "The profile")
        return profile

    def _item_count(self) -> int | None:
        if self.slice_id is None:
            return None if self.items is None else int(self.items)
        if (of := self.hook.slice_info(self.slice_id).dataset_id) not in {None, self.dataset_id}:
            raise NucleusConfigError(
                f"Slice {self.slice_id} belongs to dataset {of}, not to {self.dataset_id}.", field="slice_id"
            )
        return sum(1 for _ in self.hook.iter_slice_items(self.slice_id))

    def _items_origin(self) -> str:
        return "as items says" if self.slice_id is None else f"those of slice {self.slice_id}"

    def _account(self, context: Context, summary: UploadSummary) -> dict[str, Any]:
        place = path_for_instance(self.profile, context)
        return {
            **super()._account(context, summary),
            "profile_file": None if place is None else str(place),
            "slice_id": self.slice_id,
        }
