"""Operators that say what they found: in the asset events of their outlets, and to OpenLineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_nucleus.assets.announcing import announce, check_partitions
from airflow_provider_nucleus.assets.event_content import measurement_event
from airflow_provider_nucleus.gating.number_names import BETTER
from airflow_provider_nucleus.lineage.facets import operator_lineage
from airflow_provider_nucleus.lineage.facts import LineageFacts, evaluation_facts
from airflow_provider_nucleus.lineage.names import server_namespace
from airflow_provider_nucleus.operators.base import NucleusOperator
from airflow_provider_nucleus.tasks.arguments import TEXT
from airflow_provider_nucleus.tasks.rendered_values import is_blank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusAnnouncingOperator"]


class NucleusAnnouncingOperator(NucleusOperator):
    """Base of the operators that fill the asset events of their `outlets`.

    :param partition_key: partition of these events, the name of the batch for example (Airflow 3.2 and later). With it DAGs that are
        scheduled by the plain asset do not run, only those that are scheduled by its partitions (templated)
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {"partition_key": TEXT, **NucleusOperator.templated}
    template_fields: Sequence[str] = tuple(templated)

    lineage_writes: ClassVar[str | None] = None
    """`items`, `annotations`, `predictions` or `numbers`: what the task makes of its inputs; None if it judges."""
    lineage: LineageFacts | None = None
    """Facts for OpenLineage; to be set by the method that finishes the task, before it raises anything."""

    def __init__(self, *, partition_key: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partition_key = partition_key

    def pre_execute(self, context: Context) -> None:
        """Refuse a partition that this Airflow does not have, before any work."""
        super().pre_execute(context)
        if not is_blank(self.partition_key):
            check_partitions(context, self.partition_key)

    def announce(self, context: Context, event: Mapping[str, Any], *, kind: str) -> None:
        """Put *event* into the events of this task's outlets; to be called by the method that finishes the task."""
        announce(context, event, kind=kind, partition_key=self.partition_key)

    def announce_numbers(
        self, context: Context, measurement: Measurement, *, report: str | None = None
    ) -> None:
        """Say what was measured: to the outlets, to lineage, and as gauges; *report* is the place of the whole of it."""
        self.lineage = evaluation_facts(measurement, results=(report,) if report else ())
        links = {"nucleus": measurement.subject.url, "report": report}
        self.announce(context, measurement_event(measurement, links=links), kind="evaluated")
        # Tags are what is bounded by the deployment, as Airflow's own are; models, data sets and batches are not.
        tags = {"dag_id": self.dag_id, "task_id": self.task_id}
        for name, value in measurement.overall.values.items():
            if value is not None and name in BETTER:
                Stats.gauge(f"nucleus.numbers.{name}", value, tags=tags)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # ruff: ignore[unused-method-argument] - OpenLineage's signature
        """Return what the task read and made; called by OpenLineage's listener, where there is one."""
        return operator_lineage(self._facts(), namespace=self._namespace(), outlets=self.outlets or ())

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:  # ruff: ignore[unused-method-argument] - OpenLineage's signature
        """Return the same of a task that failed: a gate that stops the pipeline fails, and has its tests; no asset was emitted."""
        return operator_lineage(self._facts(), namespace=self._namespace())

    def _facts(self) -> LineageFacts:
        """Return the facts that were set, else what the arguments say."""
        if self.lineage is not None:
            return self.lineage

        def text(name: str) -> str | None:
            value = getattr(self, name, None)
            return value if isinstance(value, str) else None

        return LineageFacts(
            dataset_id=text("dataset_id"),
            model_id=text("model_id"),
            slice_id=text("slice_id"),
            benchmark_id=text("benchmark_id"),
            writes=self.lineage_writes,
        )

    def _namespace(self) -> str:
        """Return the namespace of this connection's server; a task may have failed because there is no connection."""
        try:
            return server_namespace(self.hook.config.endpoint)
        except Exception as error:  # ruff: ignore[blind-except] - connections fail in any way, and lineage never fails a task
            self.log.debug("Lineage without the server's name: %s", type(error).__name__)
            return server_namespace(None)
