"""Waiting for evaluations in the triggerer, with the same rules and the same looks as for jobs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_nucleus.client.evaluations import as_job
from airflow_provider_nucleus.client.retry import NO_RETRY
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.triggers.job import NucleusJobTrigger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from airflow_provider_nucleus.client.cancellation import Cancellation
    from airflow_provider_nucleus.hooks.nucleus import AsyncNucleus
    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.triggers.poller import JobReader

__all__ = ["NucleusEvaluationTrigger"]


class NucleusEvaluationTrigger(NucleusJobTrigger):
    """Waits until evaluations have ended, and sends one event; `job_ids` are their ids."""

    kind: ClassVar[str] = "evaluations"
    subject: ClassVar[str] = "Evaluation"

    @staticmethod
    async def request_cancellation(client: AsyncNucleus, job_id: str) -> Cancellation:
        """Request the cancellation of an evaluation, once."""
        return await client.cancel_evaluation(job_id)

    @staticmethod
    def reader(nucleus_conn_id: str) -> AbstractAsyncContextManager[JobReader]:
        """Connect for looking at evaluations."""
        return _reader(nucleus_conn_id)


class _EvaluationReader:
    """Reads evaluations as jobs; there is no listing of those that run, so each is looked at by itself."""

    def __init__(self, client: AsyncNucleus) -> None:
        self._client = client

    async def status(self, job_id: str) -> JobStatus:
        return as_job(await self._client.get_evaluation(job_id))

    async def running(self, limit: int) -> dict[str, JobStatus]:  # ruff: ignore[unused-method-argument] - the protocol's signature
        return {}


@contextlib.asynccontextmanager
async def _reader(nucleus_conn_id: str) -> AsyncGenerator[_EvaluationReader]:
    async with NucleusHook(nucleus_conn_id).get_async_client(retry=NO_RETRY) as client:
        yield _EvaluationReader(client)
