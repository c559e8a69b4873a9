"""One DAG per way an upload can wait and end; each has one task, `upload`."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, Param

import airflow_provider_nucleus.operators.waiting as waiting
from airflow_provider_nucleus.operators.uploads import NucleusUploadAnnotationsOperator
from tests.stack.tasks import CrashingUpload

# Tasks run from this file, so it shortens for them what nobody wants to wait for in a test.
waiting.DEFERRAL_GRACE = timedelta(seconds=2)

WAYS = {
    "requests": {"asynchronous": False, "retries": 1},
    "waiting": {"retries": 1},
    "deferred": {"deferrable": True, "retries": 1},
    "reattaching": {"deferrable": True, "on_clear": "reattach"},
    "impatient": {"job_timeout": 8},
    "impatient_deferred": {"deferrable": True, "job_timeout": 8},
    "leaving": {"deferrable": True, "job_timeout": 8, "cancel_on_kill": False},
    "hurried": {"execution_timeout": timedelta(seconds=8)},
    "crashing": {"deferrable": True, "retries": 1},
}

for way, arguments in WAYS.items():
    kind = CrashingUpload if way == "crashing" else NucleusUploadAnnotationsOperator
    with DAG(
        way,
        schedule=None,
        params={"dataset_id": Param("", type="string"), "source": Param("", type="string")},
    ):
        kind(
            task_id="upload",
            dataset_id="{{ params.dataset_id }}",
            source="{{ params.source }}",
            chunk_rows=40,
            poll_interval=1,
            retry_delay=timedelta(seconds=1),
            **arguments,
        )
