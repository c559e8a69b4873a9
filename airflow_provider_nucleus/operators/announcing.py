"""Operators whose outlets say what the task found: the content of their asset events, and the partition these are in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_nucleus.assets.announcing import announce, check_partitions
from airflow_provider_nucleus.operators.base import NucleusOperator
from airflow_provider_nucleus.tasks.arguments import TEXT
from airflow_provider_nucleus.tasks.rendered_values import is_blank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

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
