"""Wait for an evaluation that something else started."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_nucleus.client.jobs import evaluation_failure
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusError, NucleusJobTimeout
from airflow_provider_nucleus.hooks.connection_form import DEFAULT_CONN_ID
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.tasks.arguments import is_blank
from airflow_provider_nucleus.tasks.deferring import DEFERRAL_GRACE, default_deferrable
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label
from airflow_provider_nucleus.tasks.results import checked_xcom
from airflow_provider_nucleus.tasks.retry_policy import DEFAULT_RETRY_POLICY, with_retry_policy
from airflow_provider_nucleus.triggers.evaluation import NucleusEvaluationTrigger
from airflow_provider_nucleus.triggers.events import WaitEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

__all__ = ["NucleusEvaluationSensor"]


class NucleusEvaluationSensor(BaseSensorOperator):
    """Wait until an evaluation has succeeded.

    Raises NucleusMetricsError with the server's reason when it has failed or was cancelled; ``soft_fail`` is for the sensor's own
    ``timeout`` only. Both are the same whether the sensor pokes or is deferred. The sensor did not start the evaluation, so it
    never cancels it.

    Returns ``{"evaluation_id": ..., "benchmark_id": ..., "model_id": ..., "model_run_id": ..., "status": "succeeded"}``.

    :param evaluation_id: the evaluation to wait for (templated)
    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    template_fields: Sequence[str] = ("evaluation_id", "nucleus_conn_id")
    ui_color: str = "#e8f1ff"

    def __init__(
        self,
        *,
        evaluation_id: str,
        deferrable: bool | None = None,
        nucleus_conn_id: str = DEFAULT_CONN_ID,
        retry_policy: Any = DEFAULT_RETRY_POLICY,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **with_retry_policy(kwargs, retry_policy))
        self.evaluation_id = evaluation_id
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.nucleus_conn_id = nucleus_conn_id

    @property
    def map_label(self) -> str:
        """What a mapped instance is called in the interface."""
        return short_label(self.evaluation_id)

    @cached_property
    def hook(self) -> NucleusHook:
        """The hook of this task's connection."""
        return NucleusHook(self.nucleus_conn_id)

    def execute(self, context: Context) -> Any:
        """Poke, or look once and defer."""
        if is_blank(self.evaluation_id):
            raise NucleusConfigError(
                f"Task {self.task_id!r}: evaluation_id is empty.",
                conn_id=self.nucleus_conn_id,
                field="evaluation_id",
                hint="If it is a template, look at what it renders to in the task's Rendered tab.",
            )
        if not self.deferrable:
            return super().execute(context)
        seen = self.poke(context)
        if not seen:
            self.defer(
                trigger=NucleusEvaluationTrigger(
                    nucleus_conn_id=self.nucleus_conn_id,
                    job_ids=[self.evaluation_id],
                    deadline=time.time() + self.timeout,
                    poll_interval=self.poke_interval,
                    cancel_on_kill=False,
                ),
                method_name="execute_complete",
                timeout=timedelta(seconds=self.timeout) + DEFERRAL_GRACE,
            )
        return seen.xcom_value

    def poke(self, context: Context) -> PokeReturnValue:  # ruff: ignore[unused-method-argument] - Airflow's signature
        """Look at the evaluation; raises when it has ended without success."""
        return self._verdict(self.evaluation_id)

    def execute_complete(self, context: Context, event: Any = None) -> Any:  # ruff: ignore[unused-method-argument]
        """Go on when the triggerer says that the wait is over."""
        waited = WaitEvent.from_payload(event)
        if waited.message:
            self.log.info("%s", waited.message)
        if waited.status == "timeout":
            # Skipping under soft_fail is done by Airflow, in resume_execution as well as while poking.
            raise AirflowSensorTimeout(f"Sensor has timed out after {self.timeout:g} s. {waited.message}")
        try:
            # The template may render differently by now; what was waited for came back with the event.
            (evaluation_id,) = waited.jobs
            verdict = self._verdict(evaluation_id)
        except NucleusError as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise
        if not verdict:
            raise NucleusJobTimeout(
                f"Lost sight of evaluation {evaluation_id}: {waited.message}",
                job_id=evaluation_id,
                conn_id=self.nucleus_conn_id,
                hint="The evaluation was left as it is; a retry looks at it again.",
            )
        return verdict.xcom_value

    def _verdict(self, evaluation_id: str) -> PokeReturnValue:
        evaluation = self.hook.get_evaluation(evaluation_id)
        if not evaluation.state.terminal:
            return PokeReturnValue(is_done=False)
        if (failure := evaluation_failure(evaluation, conn_id=self.nucleus_conn_id)) is not None:
            raise failure
        value = checked_xcom({
            "evaluation_id": evaluation.id,
            "benchmark_id": evaluation.benchmark_id,
            "model_id": evaluation.model_id,
            "model_run_id": evaluation.model_run_id,
            "status": evaluation.status,
        })
        return PokeReturnValue(is_done=True, xcom_value=value)
