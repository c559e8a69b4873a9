"""Wait for jobs that something else started."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_nucleus.client.jobs import OnPartial
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusError, NucleusJobTimeout
from airflow_provider_nucleus.hooks.connection_form import DEFAULT_CONN_ID
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.links.nucleus import RESUMED, NucleusJobLink, persist_links
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.tasks.arguments import is_blank
from airflow_provider_nucleus.tasks.deferring import DEFERRAL_GRACE, default_deferrable
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label
from airflow_provider_nucleus.tasks.results import checked_xcom
from airflow_provider_nucleus.tasks.retry_policy import DEFAULT_RETRY_POLICY, with_retry_policy
from airflow_provider_nucleus.triggers.events import WaitEvent
from airflow_provider_nucleus.triggers.job import NucleusJobTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

__all__ = ["NucleusJobSensor"]


class NucleusJobSensor(BaseSensorOperator):
    """Wait until jobs of the server have ended well.

    Raises NucleusJobFailed or NucleusJobCancelled, with the first row errors, when one has not; ``soft_fail`` is for the sensor's
    own ``timeout`` only. Both are the same whether the sensor pokes or is deferred. The sensor did not start the jobs, so it
    never cancels them.

    Returns ``{"jobs": {<job id>: <status>}}``.

    :param job_id: the job to wait for, or several of them (templated)
    :param on_partial: whether a job that failed in part counts as ``fail`` or ``succeed``
    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    template_fields: Sequence[str] = ("job_id", "nucleus_conn_id")
    operator_extra_links: Sequence[BaseOperatorLink] = (NucleusJobLink(),)
    ui_color: str = "#e8f1ff"

    def __init__(
        self,
        *,
        job_id: str | Sequence[str],
        on_partial: OnPartial = "fail",
        deferrable: bool | None = None,
        nucleus_conn_id: str = DEFAULT_CONN_ID,
        retry_policy: Any = DEFAULT_RETRY_POLICY,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **with_retry_policy(kwargs, retry_policy))
        self.job_id = job_id
        self.on_partial = on_partial
        if on_partial not in get_args(OnPartial):
            raise ValueError(f"on_partial must be one of {get_args(OnPartial)}, not {on_partial!r}")
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.nucleus_conn_id = nucleus_conn_id

    @property
    def map_label(self) -> str:
        """What a mapped instance is called in the interface."""
        return short_label(self.job_id)

    @cached_property
    def hook(self) -> NucleusHook:
        """The hook of this task's connection."""
        return NucleusHook(self.nucleus_conn_id)

    @property
    def job_ids(self) -> list[str]:
        """The rendered jobs; raises NucleusConfigError when there are none."""
        jobs = [self.job_id] if isinstance(self.job_id, str) else list(self.job_id or ())
        if not jobs or any(is_blank(job) for job in jobs):
            raise NucleusConfigError(
                f"Task {self.task_id!r}: job_id is empty.",
                conn_id=self.nucleus_conn_id,
                field="job_id",
                hint="If it is a template, look at what it renders to in the task's Rendered tab.",
            )
        return jobs

    def execute(self, context: Context) -> Any:
        """Poke, or look once and defer."""
        persist_links(context, endpoint=self.hook.config.endpoint, job_id=self.job_ids[-1])
        if not self.deferrable:
            return super().execute(context)
        seen = self.poke(context)
        if not seen:
            self.defer(
                trigger=NucleusJobTrigger(
                    nucleus_conn_id=self.nucleus_conn_id,
                    job_ids=self.job_ids,
                    deadline=time.time() + self.timeout,
                    poll_interval=self.poke_interval,
                    cancel_on_kill=False,
                ),
                method_name="execute_complete",
                timeout=timedelta(seconds=self.timeout) + DEFERRAL_GRACE,
            )
        return seen.xcom_value

    def poke(self, context: Context) -> PokeReturnValue:  # ruff: ignore[unused-method-argument] - Airflow's signature
        """Look at the jobs; raises as soon as one of them has not ended well."""
        return self._verdict({job_id: self.hook.job_status(job_id) for job_id in self.job_ids})

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Go on when the triggerer says that the wait is over."""
        waited = WaitEvent.from_payload(event)
        persist_links(context, endpoint=self.hook.config.endpoint, job_id=next(reversed(waited.jobs), None))
        if waited.message:
            self.log.info("%s", waited.message)
        if waited.status == "timeout":
            # Skipping under soft_fail is done by Airflow, in resume_execution as well as while poking.
            raise AirflowSensorTimeout(f"Sensor has timed out after {self.timeout:g} s. {waited.message}")
        try:
            if waited.status == "finished":
                statuses = {job_id: JobStatus.from_wire(status) for job_id, status in waited.jobs.items()}
            else:
                statuses = {job_id: self.hook.job_status(job_id) for job_id in waited.jobs}
            verdict = self._verdict(statuses)
        except NucleusError as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise
        if not verdict:
            raise NucleusJobTimeout(
                f"Lost sight of {', '.join(statuses)}: {waited.message}",
                job_id=next(iter(statuses)),
                conn_id=self.nucleus_conn_id,
                hint="The jobs were left as they are; a retry looks at them again.",
            )
        return verdict.xcom_value

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Wake up, in a process that remembers nothing."""
        setattr(self, RESUMED, True)
        return super().resume_execution(next_method, next_kwargs, context)

    def _verdict(self, statuses: Mapping[str, JobStatus]) -> PokeReturnValue:
        for job_id, status in statuses.items():
            if not status.state.terminal:
                continue
            failure = self.hook.job_failure(job_id, status, on_partial=self.on_partial)
            if failure is not None:
                raise failure
        done = all(status.state.terminal for status in statuses.values())
        value = (
            checked_xcom({"jobs": {job_id: status.status for job_id, status in statuses.items()}})
            if done
            else None
        )
        return PokeReturnValue(is_done=done, xcom_value=value)
