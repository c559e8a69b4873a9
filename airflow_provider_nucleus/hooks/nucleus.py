"""The hook: a Nucleus connection of Airflow as typed methods, one per route.

Nothing else in the Airflow face makes HTTP calls. Tasks use the hook itself; triggers ask it for the asynchronous client, whose
connection is then read without blocking the event loop.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import BaseHook, mask_secret

from airflow_provider_nucleus.client.aio import AsyncNucleusClient
from airflow_provider_nucleus.client.calls import annotations as ground_truth
from airflow_provider_nucleus.client.calls import (
    datasets,
    evaluations,
    items,
    jobs,
    metrics,
    models,
    predictions,
    query,
    scenes,
)
from airflow_provider_nucleus.client.cancelling import cancel
from airflow_provider_nucleus.client.jobs import SHOWN_ERRORS, job_failure, wait_for_evaluation, wait_for_job
from airflow_provider_nucleus.client.sync import NucleusClient
from airflow_provider_nucleus.client.target import check_target
from airflow_provider_nucleus.exceptions import (
    NucleusAPIError,
    NucleusConnectionError,
    NucleusError,
    NucleusMetricsError,
    NucleusNotFoundError,
)
from airflow_provider_nucleus.hooks.connection import parse_connection
from airflow_provider_nucleus.hooks.connection_form import (
    CONN_NAME,
    CONN_TYPE,
    DEFAULT_CONN_ID,
    legacy_field_behaviour,
    legacy_form_widgets,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.cancelling import Cancellation
    from airflow_provider_nucleus.client.config import NucleusConfig
    from airflow_provider_nucleus.client.content import Content
    from airflow_provider_nucleus.client.jobs import OnPartial
    from airflow_provider_nucleus.exceptions import NucleusJobError
    from airflow_provider_nucleus.schema.annotations import AnyAnnotation
    from airflow_provider_nucleus.schema.evaluations import Evaluation
    from airflow_provider_nucleus.schema.exports import ExportRow, ItemWithAnnotations
    from airflow_provider_nucleus.schema.items import DatasetItem
    from airflow_provider_nucleus.schema.jobs import Job, JobStatus
    from airflow_provider_nucleus.schema.matches import AllowedLabelMatch, EvaluationMatch
    from airflow_provider_nucleus.schema.models import Dataset, DatasetInfo, Model, UploadAnswer
    from airflow_provider_nucleus.schema.predictions import AnyPrediction
    from airflow_provider_nucleus.schema.scenes import LidarScene

__all__ = ["NucleusHook"]

T = TypeVar("T")

_TEST_TIMEOUT = 20.0
"""Seconds that testing a connection waits for an answer at most."""


class NucleusHook(BaseHook):
    """A Nucleus (Scale's cloud or an embedded one), as an Airflow connection describes it.

    Every method raises NucleusConnectionError when there is no answer and a NucleusAPIError when there is a bad one, after the
    retries that can help. Use the hook as a context manager, or call :meth:`close`, to give its connections back early.

    :param nucleus_conn_id: the Nucleus connection to use
    """

    conn_name_attr: ClassVar[str] = "nucleus_conn_id"
    default_conn_name: ClassVar[str] = DEFAULT_CONN_ID
    conn_type: ClassVar[str] = CONN_TYPE
    hook_name: ClassVar[str] = CONN_NAME

    def __init__(self, nucleus_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nucleus_conn_id = nucleus_conn_id
        self._config: NucleusConfig | None = None
        self._client: NucleusClient | None = None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form's standard fields, for Airflow below 3.2."""
        return legacy_field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields, for Airflow below 3.2."""
        return legacy_form_widgets()

    # ---- connection ------------------------------------------------------------------------------

    @property
    def config(self) -> NucleusConfig:
        """The connection, read; raises NucleusConfigError naming the field that is wrong."""
        if self._config is None:
            conn = self.get_connection(self.nucleus_conn_id)
            self._config = parse_connection(conn, conn.extra_dejson)
            for secret in (self._config.api_key, self._config.limited_access_key):
                if secret:
                    mask_secret(secret)
        return self._config

    async def async_config(self) -> NucleusConfig:
        """Return the connection, read without blocking the event loop."""
        if self._config is None:
            # Both compat functions mask the connection's secrets, without the call that would deadlock here.
            conn = await get_async_connection(self.nucleus_conn_id, hook=type(self))
            self._config = parse_connection(conn, await get_async_extra_dejson(conn))
        return self._config

    def get_conn(self) -> NucleusClient:
        """Return the client, made once; its pooled connections are shared by all methods."""
        if self._client is None:
            self._client = NucleusClient(self.config)
        return self._client

    @contextlib.asynccontextmanager
    async def get_async_client(self) -> AsyncGenerator[AsyncNucleusClient]:
        """Give an asynchronous client for the running event loop, closed on leaving."""
        async with AsyncNucleusClient(await self.async_config()) as client:
            yield client

    def close(self) -> None:
        """Close the pooled connections; the hook can be used again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def test_connection(self) -> tuple[bool, str]:
        """Say whether the connection works, and if not, what was tried and what to do."""
        try:
            # Someone sits before a form: a host that does not answer should not take the connection's full patience.
            config = replace(self.config, timeout=min(self.config.timeout, _TEST_TIMEOUT))
            with NucleusClient(config) as client:
                return True, str(check_target(client))
        except NucleusError as error:
            error.hint = _connection_hint(error, self._config) or error.hint
            return False, str(error)

    def send(self, call: Call[T]) -> T:
        """Send any call of :mod:`airflow_provider_nucleus.client.calls`."""
        return self.get_conn().send(call)

    # ---- datasets --------------------------------------------------------------------------------

    def list_datasets(self) -> list[Dataset]:
        """List the datasets this key can see, in order of creation."""
        return self.send(datasets.list_datasets())

    def create_dataset(
        self,
        name: str,
        *,
        is_scene: bool = False,
        use_privacy_mode: bool = False,
        annotation_metadata_schema: Mapping[str, Any] | None = None,
        item_metadata_schema: Mapping[str, Any] | None = None,
    ) -> str:
        """Create a dataset, whether or not another has its name, and return its id."""
        return self.send(
            datasets.create_dataset(
                name,
                is_scene=is_scene,
                use_privacy_mode=use_privacy_mode,
                annotation_metadata_schema=annotation_metadata_schema,
                item_metadata_schema=item_metadata_schema,
            )
        )

    def delete_dataset(self, dataset_id: str) -> dict[str, Any]:
        """Delete a dataset with everything in it."""
        return self.send(datasets.delete_dataset(dataset_id))

    def dataset_name(self, dataset_id: str) -> str:
        """Return the name of a dataset."""
        return self.send(datasets.dataset_name(dataset_id))

    def dataset_is_scene(self, dataset_id: str) -> bool:
        """Say whether a dataset holds scenes instead of items."""
        return self.send(datasets.dataset_is_scene(dataset_id))

    def dataset_uses_privacy_mode(self, dataset_id: str) -> bool:
        """Say whether the images stay with the customer."""
        return self.send(datasets.dataset_uses_privacy_mode(dataset_id))

    def dataset_info(self, dataset_id: str) -> DatasetInfo:
        """Return a dataset in numbers."""
        return self.send(datasets.dataset_info(dataset_id))

    def dataset_size(self, dataset_id: str) -> int:
        """Return the number of items."""
        return self.send(datasets.dataset_size(dataset_id))

    def dataset_model_runs(self, dataset_id: str) -> list[str]:
        """List the ids of the model runs on a dataset."""
        return self.send(datasets.dataset_model_runs(dataset_id))

    # ---- items and scenes ------------------------------------------------------------------------

    def find_model_run(self, dataset_id: str, model_id: str) -> str:
        """Return the run that holds the model's predictions on the dataset; raises NucleusMetricsError if there is none."""
        for run_id in self.dataset_model_runs(dataset_id):
            if self.get_model(run_id).id == model_id:
                return run_id
        raise NucleusMetricsError(
            f"Dataset {dataset_id} has no run of model {model_id}.",
            dataset_id=dataset_id,
            model_id=model_id,
            conn_id=self.nucleus_conn_id,
            hint="Upload the model's predictions first.",
        )

    def iter_items(self, dataset_id: str, *, page_size: int = 10_000) -> Iterator[DatasetItem]:
        """Yield the items in order of insertion, a page at a time."""
        return self.get_conn().pages(lambda token: items.items_page(dataset_id, token, page_size=page_size))

    def item_by_index(self, dataset_id: str, index: int) -> ItemWithAnnotations:
        """Return the item inserted as number *index*, from 0, with its ground truth."""
        return self.send(items.item_by_index(dataset_id, index))

    def item_by_reference(self, dataset_id: str, reference_id: str) -> ItemWithAnnotations:
        """Return the item with a reference id, with its ground truth."""
        return self.send(items.item_by_reference(dataset_id, reference_id))

    def item_by_id(self, dataset_id: str, dataset_item_id: str) -> ItemWithAnnotations:
        """Return the item with an id of Nucleus, with its ground truth."""
        return self.send(items.item_by_id(dataset_id, dataset_item_id))

    def delete_item(self, dataset_id: str, reference_id: str) -> Any:
        """Delete an item with its annotations and predictions."""
        return self.send(items.delete_item(dataset_id, reference_id))

    def iter_export(self, dataset_id: str, *, page_size: int = 10_000) -> Iterator[ExportRow]:
        """Yield every item with all its ground truth, a page at a time."""
        return self.get_conn().pages(lambda token: items.export_page(dataset_id, token, page_size=page_size))

    def list_scenes(self, dataset_id: str) -> Sequence[dict[str, Any]]:
        """List the scenes of a dataset."""
        return self.send(scenes.list_scenes(dataset_id))

    def lidar_scene(self, dataset_id: str, reference_id: str) -> LidarScene:
        """Return a lidar scene."""
        return self.send(scenes.lidar_scene(dataset_id, reference_id))

    def append_lidar_scenes(self, dataset_id: str, scenes_file: Content, *, update: bool = False) -> Job:
        """Hand over a file of lidar scenes (one wire object a line) and start the job that takes them in."""
        request_id = items.new_request_id()
        self.send(items.put_signed(self.send(items.signed_url(dataset_id, request_id)), scenes_file))
        return self.send(scenes.start_append_lidar_scenes(dataset_id, request_id, update=update))

    # ---- ground truth and predictions ------------------------------------------------------------

    def annotate(
        self, dataset_id: str, rows: Sequence[Mapping[str, Any]], *, update: bool = False
    ) -> UploadAnswer:
        """Store up to 5000 wire objects of ground truth; for more there is the upload engine."""
        return self.send(ground_truth.annotate(dataset_id, rows, update=update))

    def annotation(self, dataset_id: str, reference_id: str, annotation_id: str) -> AnyAnnotation:
        """Return one object of the ground truth."""
        return self.send(ground_truth.annotation(dataset_id, reference_id, annotation_id))

    def upload_predictions(
        self, dataset_id: str, model_id: str, rows: Sequence[Mapping[str, Any]], *, update: bool = False
    ) -> UploadAnswer:
        """Store up to 5000 predictions (wire objects); for more there is the upload engine."""
        return self.send(predictions.upload_predictions(dataset_id, model_id, rows, update=update))

    def item_predictions(
        self, dataset_id: str, model_id: str, reference_id: str
    ) -> dict[str, list[AnyPrediction]]:
        """Return the predictions of a model for one item, by type."""
        return self.send(predictions.item_predictions_by_reference(dataset_id, model_id, reference_id))

    def item_predictions_by_index(
        self, dataset_id: str, model_id: str, index: int
    ) -> dict[str, list[AnyPrediction]]:
        """Return the predictions of a model for the item inserted as number *index*, by type."""
        return self.send(predictions.item_predictions_by_index(dataset_id, model_id, index))

    def prediction(
        self, dataset_id: str, model_id: str, reference_id: str, annotation_id: str
    ) -> AnyPrediction:
        """Return one prediction."""
        return self.send(predictions.prediction(dataset_id, model_id, reference_id, annotation_id))

    def predictions_export(self, dataset_id: str, model_id: str) -> dict[str, list[AnyPrediction]]:
        """Return all predictions of a model on a dataset, by type."""
        return self.send(predictions.predictions_export(dataset_id, model_id))

    def upload_model_predictions(
        self, model_id: str, rows: Sequence[Mapping[str, Any]], *, update: bool = False
    ) -> UploadAnswer:
        """Store predictions without a run, as benchmark evaluations read them."""
        return self.send(predictions.upload_model_predictions(model_id, rows, update=update))

    def model_predictions_by_item(self, model_id: str, dataset_item_id: str) -> list[AnyPrediction]:
        """Return the run-free predictions for one item."""
        return self.send(predictions.model_predictions_by_item(model_id, dataset_item_id))

    def model_predictions_by_reference(self, model_id: str, reference_id: str) -> list[AnyPrediction]:
        """Return the run-free predictions for all items with a reference id."""
        return self.send(predictions.model_predictions_by_reference(model_id, reference_id))

    def model_predictions_by_index(self, model_id: str, index: int) -> list[AnyPrediction]:
        """Return the run-free predictions for the model's predicted item number *index*."""
        return self.send(predictions.model_predictions_by_index(model_id, index))

    # ---- models ----------------------------------------------------------------------------------

    def list_models(self) -> list[Model]:
        """List the models of the account."""
        return self.send(models.list_models())

    def create_model(
        self,
        name: str,
        *,
        reference_id: str,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
    ) -> str:
        """Create a model and return its id; a reference id that is taken raises NucleusRequestError."""
        return self.send(models.create_model(name, reference_id=reference_id, metadata=metadata, tags=tags))

    def get_model(self, model_id: str) -> Model:
        """Return a model; the id of a run stands for its model."""
        return self.send(models.get_model(model_id))

    def delete_model(self, model_id: str) -> dict[str, Any]:
        """Delete a model with its runs and predictions."""
        return self.send(models.delete_model(model_id))

    # ---- jobs ------------------------------------------------------------------------------------

    def list_jobs(
        self,
        *,
        dataset_id: str | None = None,
        job_types: Sequence[str] = (),
        from_date: str | None = None,
        to_date: str | None = None,
        show_completed: bool = False,
        limit: int = 50_000,
    ) -> list[Job]:
        """List jobs, newest first; completed ones only if asked for."""
        return self.send(
            jobs.list_jobs(
                dataset_id=dataset_id,
                job_types=job_types,
                from_date=from_date,
                to_date=to_date,
                limit=limit,
                show_completed=show_completed,
            )
        )

    def job_status(self, job_id: str) -> JobStatus:
        """Look at a job."""
        return self.send(jobs.job_status(job_id))

    def get_job(self, job_id: str) -> Job:
        """Return what a job is: its type and when it was created."""
        return self.send(jobs.get_job(job_id))

    def job_errors(self, job_id: str) -> list[str]:
        """Return the latest errors of a job, at most 10,000, one text per row that was refused."""
        return self.send(jobs.job_errors(job_id))

    def job_failure(
        self, job_id: str, status: JobStatus, *, on_partial: OnPartial = "fail"
    ) -> NucleusJobError | None:
        """Return the error that the end of a job deserves, with its first row errors, or None if it succeeded."""
        failure = job_failure(status, on_partial=on_partial, conn_id=self.nucleus_conn_id)
        if failure is None:
            return None
        try:
            errors = self.job_errors(job_id)[:SHOWN_ERRORS]
        except NucleusError as error:
            self.log.warning("The row errors of job %s could not be read: %s", job_id, error)
            return failure
        return job_failure(status, errors=errors, on_partial=on_partial, conn_id=self.nucleus_conn_id)

    def wait_for_job(
        self,
        job_id: str,
        *,
        poll_interval: float = 5.0,
        timeout: float | None = None,
        on_partial: OnPartial = "fail",
        on_change: Callable[[JobStatus], None] | None = None,
    ) -> JobStatus:
        """Wait until a job is over and return its last status; *on_change* is called with every new one.

        Raises NucleusJobFailed or NucleusJobCancelled with the first row errors, or NucleusJobTimeout after *timeout* seconds.
        """
        return wait_for_job(
            self.get_conn(),
            job_id,
            poll_interval=poll_interval,
            timeout=timeout,
            on_partial=on_partial,
            on_change=on_change,
        )

    def cancel_job(self, job_id: str) -> Cancellation:
        """Ask once for a job to be cancelled, and say what that led to."""
        return cancel(self.get_conn(), jobs.cancel_job(job_id))

    # ---- metrics ---------------------------------------------------------------------------------

    def calculate_metrics(
        self,
        dataset_id: str,
        model_id: str,
        *,
        class_agnostic: bool = False,
        allowed_label_matches: Sequence[AllowedLabelMatch] = (),
    ) -> dict[str, Any]:
        """Have predictions matched with ground truth; the answer usually names the job to wait for."""
        return self.send(
            metrics.calculate_metrics(
                dataset_id,
                model_id,
                class_agnostic=class_agnostic,
                allowed_label_matches=allowed_label_matches,
            )
        )

    def iter_matches(
        self,
        dataset_id: str,
        model_run_id: str,
        *,
        mode: Literal["iou", "false_positive", "false_negative"],
        page_size: int = 10_000,
    ) -> Iterator[EvaluationMatch]:
        """Yield the matches of a run: pairs (``iou``), or the unmatched objects of one side, a page at a time."""
        return self.get_conn().pages(
            lambda token: query.query_matches_page(
                dataset_id, model_run_id, token, mode=mode, page_size=page_size
            )
        )

    # ---- evaluations -----------------------------------------------------------------------------

    def get_evaluation(self, evaluation_id: str) -> Evaluation:
        """Look at an evaluation on a benchmark."""
        return self.send(evaluations.get_evaluation(evaluation_id))

    def wait_for_evaluation(
        self, evaluation_id: str, *, poll_interval: float = 5.0, timeout: float | None = None
    ) -> Evaluation:
        """Wait until an evaluation is over and return it.

        Raises NucleusMetricsError if it failed or was cancelled, NucleusJobTimeout after *timeout* seconds.
        """
        return wait_for_evaluation(
            self.get_conn(), evaluation_id, poll_interval=poll_interval, timeout=timeout
        )

    def cancel_evaluation(self, evaluation_id: str) -> Cancellation:
        """Ask once for an evaluation to be cancelled, and say what that led to."""
        return cancel(self.get_conn(), evaluations.cancel_evaluation(evaluation_id))


def _connection_hint(error: NucleusError, config: NucleusConfig | None) -> str | None:
    """Return what to do about a connection that does not work, None when the error says it already."""
    if config is None:
        return None
    is_page = isinstance(error, NucleusAPIError) and error.body.lstrip().startswith("<")
    if isinstance(error, NucleusNotFoundError) or is_page:
        return (
            f"Something answers at {config.endpoint}, but not as a Nucleus API: check the path of the endpoint, which "
            "usually ends in /v1/nucleus."
        )
    if isinstance(error, NucleusConnectionError):
        return (
            f"Check that {config.endpoint} can be reached from here; an embedded Nucleus must be running "
            "(`nucleus-local serve`)."
        )
    return None
