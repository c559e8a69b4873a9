"""Wait for an evaluation that something else started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import PokeReturnValue

from airflow_provider_nucleus.client.job_outcome import evaluation_failure
from airflow_provider_nucleus.sensors.base import NucleusWaitingSensor
from airflow_provider_nucleus.tasks.arguments import ID, required
from airflow_provider_nucleus.tasks.labels import short_label
from airflow_provider_nucleus.tasks.results import checked_xcom
from airflow_provider_nucleus.triggers.evaluation import NucleusEvaluationTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.client.waiting import Patience, WaitOutcome
    from airflow_provider_nucleus.schema.evaluations import Evaluation
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusEvaluationSensor"]


class NucleusEvaluationSensor(NucleusWaitingSensor):
    """Wait until an evaluation has succeeded.

    Raises NucleusMetricsError with the server's reason when it has failed or was cancelled; `soft_fail` is for the sensor's own
    `timeout` only. Both are the same whether the sensor pokes or is deferred. The sensor did not start the evaluation, so it
    never cancels it.

    Returns `{"evaluation_id": ..., "benchmark_id": ..., "model_id": ..., "model_run_id": ..., "status": "succeeded"}`.

    :param evaluation_id: the evaluation to wait for (templated)
    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param ride_out: how long the server may be away while the sensor waits, in seconds or as timedelta; `timeout` still counts
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "evaluation_id": required(ID),
        **NucleusWaitingSensor.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    trigger_class: ClassVar[type[NucleusEvaluationTrigger]] = NucleusEvaluationTrigger

    def __init__(
        self,
        *,
        evaluation_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.evaluation_id = evaluation_id

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        return short_label(self.evaluation_id)

    def ids(self) -> list[str]:
        """Return the evaluation."""
        self.read_arguments()
        return [self.evaluation_id]

    def look(self, object_id: str) -> Evaluation:
        """Look at the evaluation."""
        return self.hook.get_evaluation(object_id)

    def wait_for(
        self, ids: Sequence[str], patience: Patience, *, earlier: WaitOutcome[Evaluation] | None = None
    ) -> WaitOutcome[Evaluation]:
        """Wait for the evaluation."""
        return self.hook.wait_for_evaluations(ids, patience, earlier=earlier)

    def verdict(self, seen: Mapping[str, Evaluation]) -> PokeReturnValue:
        """Say whether the evaluation has succeeded; raises when it has ended without success."""
        for evaluation in seen.values():
            if not evaluation.state.terminal:
                continue
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
        return PokeReturnValue(is_done=False)
