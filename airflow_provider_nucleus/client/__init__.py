"""The client: calls as values, one per route, and two transports that send them. No Airflow in here.

::

    from airflow_provider_nucleus.client import NucleusClient, NucleusConfig
    from airflow_provider_nucleus.client.calls import datasets

    with NucleusClient(NucleusConfig(api_key="...")) as client:
        client.send(datasets.list_datasets())
"""

from __future__ import annotations

from airflow_provider_nucleus.client.aio import AsyncNucleusClient
from airflow_provider_nucleus.client.call import Call
from airflow_provider_nucleus.client.config import NucleusConfig
from airflow_provider_nucleus.client.content import BytesContent, FileContent
from airflow_provider_nucleus.client.job_outcome import job_failure
from airflow_provider_nucleus.client.jobs import (
    wait_for_evaluation,
    wait_for_evaluation_async,
    wait_for_job,
    wait_for_job_async,
)
from airflow_provider_nucleus.client.paging import Page
from airflow_provider_nucleus.client.retry import NO_RETRY, RetryPolicy
from airflow_provider_nucleus.client.server_identity import check_target, describe_target
from airflow_provider_nucleus.client.sync import NucleusClient
from airflow_provider_nucleus.cloud import CLOUD_ENDPOINT

__all__ = [
    "CLOUD_ENDPOINT",
    "NO_RETRY",
    "AsyncNucleusClient",
    "BytesContent",
    "Call",
    "FileContent",
    "NucleusClient",
    "NucleusConfig",
    "Page",
    "RetryPolicy",
    "check_target",
    "describe_target",
    "job_failure",
    "wait_for_evaluation",
    "wait_for_evaluation_async",
    "wait_for_job",
    "wait_for_job_async",
]
