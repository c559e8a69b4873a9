"""An upload whose first wait ends in a crash of its trigger; importable by the triggerer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.operators.uploads import NucleusUploadAnnotationsOperator
from airflow_provider_nucleus.triggers.job import NucleusJobTrigger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import TriggerEvent


class CrashingTrigger(NucleusJobTrigger):
    """Raises what nobody expects."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Crash, after the worker has put the task away: Airflow may take a task that wakes up before that for one that died."""
        await asyncio.sleep(2)
        raise RuntimeError("the trigger crashed")
        yield


class CrashingUpload(NucleusUploadAnnotationsOperator):
    """Defers to a trigger that crashes, in the first try only."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Upload."""
        self._crash = context["ti"].try_number == 1
        return super().execute(context)

    def trigger_for(self, job_ids: Sequence[str], resume_payload: Mapping[str, Any]) -> NucleusJobTrigger:
        """Return a trigger that works only in a retry."""
        made = super().trigger_for(job_ids, resume_payload)
        return CrashingTrigger(**made.serialize()[1]) if self._crash else made
