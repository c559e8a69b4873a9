"""The hook: a Nucleus connection of Airflow as typed methods, one for each route.

Nothing else in the Airflow face makes HTTP calls. Tasks use the hook itself; triggers, and tasks that are coroutines, use the
asynchronous client that it gives, which has the same methods as coroutine functions and whose connection is read without blocking
the event loop. The methods of the routes are made in `airflow_provider_nucleus.hooks.calls`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, mask_secret

from airflow_provider_nucleus.client import benchmark_growth, benchmarks, job_outcome, jobs, slices
from airflow_provider_nucleus.client.aio import AsyncNucleusClient
from airflow_provider_nucleus.client.calls import evaluations as evaluation_calls
from airflow_provider_nucleus.client.calls import jobs as job_calls
from airflow_provider_nucleus.client.calls.items import new_request_id
from airflow_provider_nucleus.client.cancellation import cancel_all
from airflow_provider_nucleus.client.server_identity import check_target
from airflow_provider_nucleus.client.sync import NucleusClient
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusError, NucleusMetricsError
from airflow_provider_nucleus.hooks.calls import NucleusCalls
from airflow_provider_nucleus.hooks.connection import connection_hint, parse_connection
from airflow_provider_nucleus.hooks.connection_form import (
    CONN_NAME,
    CONN_TYPE,
    DEFAULT_CONN_ID,
    legacy_field_behaviour,
    legacy_form_widgets,
)
from airflow_provider_nucleus.hooks.methods import client_method
from airflow_provider_nucleus.requesting_task import task_header
from airflow_provider_nucleus.tasks.current_task import current_task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.cancellation import Outcome
    from airflow_provider_nucleus.client.config import NucleusConfig
    from airflow_provider_nucleus.client.content import Content
    from airflow_provider_nucleus.client.job_outcome import OnPartial
    from airflow_provider_nucleus.client.retry import RetryPolicy
    from airflow_provider_nucleus.exceptions import NucleusJobError
    from airflow_provider_nucleus.schema.jobs import Job, JobStatus

__all__ = ["AsyncNucleus", "NucleusHook"]

T = TypeVar("T")

_TEST_TIMEOUT = 20.0
"""Seconds that testing a connection waits for an answer at most."""


class AsyncNucleus(NucleusCalls, AsyncNucleusClient):
    """The asynchronous client of a hook: every route as a coroutine function, listings as asynchronous iterators."""

    wait_for_job = jobs.wait_for_job_async
    wait_for_evaluation = jobs.wait_for_evaluation_async


class NucleusHook(NucleusCalls, BaseHook):
    """A Nucleus (Scale's cloud or an embedded one), as an Airflow connection describes it.

    There is a method for every route. Each raises NucleusConnectionError when there is no answer and a NucleusAPIError when there
    is a bad one, after the retries that can help. Use the hook as a context manager, or call `close`, to give its connections back early.

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

    @property
    def config(self) -> NucleusConfig:
        """The connection, read; raises NucleusConfigError naming the field that is wrong."""
        if self._config is None:
            config = parse_connection(self.get_connection(self.nucleus_conn_id))
            task = current_task()
            self._config = config if task is None else replace(config, requesting_task=task_header(task))
            for secret in (self._config.api_key, self._config.limited_access_key):
                if secret:
                    mask_secret(secret)
        return self._config

    async def async_config(self) -> NucleusConfig:
        """Return the connection, read without blocking the event loop."""
        if self._config is None:
            # Both compat functions mask the connection's secrets, without the call that would deadlock here.
            try:
                conn = await get_async_connection(self.nucleus_conn_id, hook=type(self))
            except AirflowNotFoundException:
                conn = await self._connection_by_thread()
            config = parse_connection(conn)
            await get_async_extra_dejson(conn)
            self._config = config
        return self._config

    async def _connection_by_thread(self) -> Any:
        """Look the connection up as tasks do, in a thread: `dag.test()` runs triggers where the asynchronous way knows no database.

        Raises NucleusConfigError when that does not know it either.
        """
        try:
            return await asyncio.to_thread(self.get_connection, self.nucleus_conn_id)
        except AirflowNotFoundException:
            raise NucleusConfigError(
                f"Connection {self.nucleus_conn_id!r} does not exist.",
                conn_id=self.nucleus_conn_id,
                field="nucleus_conn_id",
                hint="Make it under Admin > Connections, or where your secrets back end keeps connections.",
            ) from None

    def get_conn(self) -> NucleusClient:
        """Return the client, made once; its pooled connections are shared by all methods."""
        if self._client is None:
            self._client = NucleusClient(self.config)
        return self._client

    @contextlib.asynccontextmanager
    async def get_async_client(self, *, retry: RetryPolicy | None = None) -> AsyncGenerator[AsyncNucleus]:
        """Give an asynchronous client for the running event loop, closed on leaving; *retry* replaces its way of retrying."""
        async with AsyncNucleus(await self.async_config(), retry=retry) as client:
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
            error.hint = connection_hint(error, self._config) or error.hint
            return False, str(error)

    def send(self, call: Call[T]) -> T:
        """Send any call, one that is put together elsewhere among them, and return its result."""
        return self.get_conn().send(call)

    wait_for_job = client_method(jobs.wait_for_job)
    wait_for_jobs = client_method(jobs.wait_for_jobs)
    wait_for_evaluation = client_method(jobs.wait_for_evaluation)
    wait_for_evaluations = client_method(jobs.wait_for_evaluations)
    ensure_benchmark = client_method(benchmarks.ensure_benchmark)
    choose_benchmark = client_method(benchmark_growth.choose_benchmark)
    benchmark_item_ids = client_method(benchmark_growth.item_ids_of)
    ensure_slice = client_method(slices.ensure_slice)

    def find_model_run(self, dataset_id: str, model_id: str) -> str:
        """Return the run that holds the model's predictions on the dataset; raises NucleusMetricsError if there is none."""
        if (run_id := self._model_run(dataset_id, model_id)) is not None:
            return run_id
        raise NucleusMetricsError(
            f"Dataset {dataset_id} has no run of model {model_id}.",
            dataset_id=dataset_id,
            model_id=model_id,
            conn_id=self.nucleus_conn_id,
            hint="Upload the model's predictions first.",
        )

    def ensure_model_run(self, dataset_id: str, model_id: str) -> str:
        """Return the model's run on the dataset, made if there is none: a model that found nothing has been there all the same."""
        if (run_id := self._model_run(dataset_id, model_id)) is not None:
            return run_id
        model = self.get_model(model_id)
        return self.create_dataset_model_run(
            dataset_id, model.name, model_reference_id=model.reference_id or model_id
        )

    def _model_run(self, dataset_id: str, model_id: str) -> str | None:
        runs = self.dataset_model_runs(dataset_id)
        return next((run_id for run_id in runs if self.get_model(run_id).id == model_id), None)

    def append_lidar_scenes(self, dataset_id: str, scenes_file: Content, *, update: bool = False) -> Job:
        """Hand over a file of lidar scenes (one wire object a line) and start the job that takes them in."""
        request_id = new_request_id()
        self.put_signed(self.signed_url(dataset_id, request_id), scenes_file)
        return self.start_append_lidar_scenes(dataset_id, request_id, update=update)

    def job_failure(
        self, job_id: str, status: JobStatus, *, on_partial: OnPartial = "fail"
    ) -> NucleusJobError | None:
        """Return the error that the end of a job deserves, with its first row errors, or None if it succeeded."""
        failure = job_outcome.job_failure(status, on_partial=on_partial, conn_id=self.nucleus_conn_id)
        if failure is None:
            return None
        try:
            errors = self.job_errors(job_id)[: job_outcome.SHOWN_ERRORS]
        except NucleusError as error:
            self.log.warning("The row errors of job %s could not be read: %s", job_id, error)
            return failure
        return job_outcome.job_failure(
            status, errors=errors, on_partial=on_partial, conn_id=self.nucleus_conn_id
        )

    def cancel_jobs(self, job_ids: Sequence[str], *, seconds: float) -> dict[str, Outcome]:
        """Ask for jobs to be cancelled, and return within *seconds* what became of each; None where no answer came in time.

        Can be called while another request of this hook is interrupted, in a signal handler for example.
        """
        return self._cancel_all({job_id: job_calls.cancel_job(job_id) for job_id in job_ids}, seconds=seconds)

    def cancel_evaluations(self, evaluation_ids: Sequence[str], *, seconds: float) -> dict[str, Outcome]:
        """Ask for evaluations to be cancelled, as `cancel_jobs` does for jobs."""
        return self._cancel_all(
            {each: evaluation_calls.cancel_evaluation(each) for each in evaluation_ids}, seconds=seconds
        )

    def _cancel_all(self, calls: Mapping[str, Call[Any]], *, seconds: float) -> dict[str, Outcome]:
        # A client of its own: the other one may be in the middle of a request that this interrupts.
        with NucleusClient(replace(self.config, timeout=min(self.config.timeout, seconds / 2))) as client:
            return cancel_all(client, calls, seconds=seconds)
