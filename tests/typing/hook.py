"""Types of the hook's methods, read by mypy (`make check`) and never run: each is that of the call it sends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, assert_type

from airflow_provider_nucleus.client.calls import datasets
from airflow_provider_nucleus.client.cancellation import Cancellation
from airflow_provider_nucleus.schema.evaluations import Evaluation
from airflow_provider_nucleus.schema.exports import ExportRow
from airflow_provider_nucleus.schema.items import DatasetItem
from airflow_provider_nucleus.schema.jobs import Job, JobStatus
from airflow_provider_nucleus.schema.models import UploadAnswer

if TYPE_CHECKING:
    from airflow_provider_nucleus.hooks.nucleus import NucleusHook


def methods_of_the_hook(hook: NucleusHook) -> None:
    """Check results and arguments."""
    assert_type(hook.create_dataset("name", is_scene=True), str)
    assert_type(hook.delete_dataset("ds_1"), dict[str, Any])
    assert_type(hook.annotate("ds_1", [{}], update=True), UploadAnswer)
    assert_type(hook.get_evaluation("ev_1"), Evaluation)
    assert_type(hook.list_jobs(dataset_id="ds_1"), list[Job])
    assert_type(hook.iter_items("ds_1", page_size=7), Iterator[DatasetItem])
    assert_type(hook.iter_export("ds_1"), Iterator[ExportRow])
    assert_type(hook.cancel_job("job_1"), Cancellation)
    assert_type(hook.wait_for_job("job_1", timeout=60), JobStatus)
    assert_type(hook.ensure_benchmark("name", dataset_id="ds_1"), str)
    assert_type(hook.send(datasets.dataset_size("ds_1")), int)

    # An unused comment is an error as well, so that each of these lines must be refused.
    hook.create_dataset("name", is_scene="yes")  # type: ignore[arg-type]
    hook.create_dataset()  # type: ignore[call-arg]
    hook.create_dataset("name", color="red")  # type: ignore[call-arg]
    hook.iter_items(7)  # type: ignore[arg-type]
    hook.cancel_job()  # type: ignore[call-arg]
    hook.wait_for_job("job_1", timeout="an hour")  # type: ignore[arg-type]
    hook.create_datasets("name")  # type: ignore[attr-defined]


async def methods_of_its_asynchronous_client(hook: NucleusHook) -> None:
    """Check the same for coroutine functions and asynchronous iterators."""
    async with hook.get_async_client() as nucleus:
        assert_type(await nucleus.create_dataset("name"), str)
        assert_type(nucleus.iter_items("ds_1"), AsyncIterator[DatasetItem])
        assert_type(await nucleus.cancel_job("job_1"), Cancellation)
        assert_type(await nucleus.wait_for_job("job_1"), JobStatus)

        await nucleus.create_dataset("name", is_scene="yes")  # type: ignore[arg-type]
        nucleus.find_model_run("ds_1", "prj_1")  # type: ignore[attr-defined]
