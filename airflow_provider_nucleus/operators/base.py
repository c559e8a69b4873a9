"""The base of all operators of this package: connection, retry policy, links."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_nucleus.hooks.connection_form import DEFAULT_CONN_ID
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.links.nucleus import persist_links
from airflow_provider_nucleus.tasks.arguments import required
from airflow_provider_nucleus.tasks.retry_policy import DEFAULT_RETRY_POLICY, with_retry_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

__all__ = ["NucleusOperator"]


class NucleusOperator(BaseOperator):
    """Base of all operators: one connection, one hook, links that survive a deferral.

    :param nucleus_conn_id: the Nucleus connection to use (templated)
    :param retry_policy: which failures are worth a retry (Airflow 3.3); the default follows what the server says
    """

    template_fields: Sequence[str] = ("nucleus_conn_id",)
    ui_color: str = "#e8f1ff"

    # Airflow reads the defaults of a mapped operator's arguments off the signatures of its constructors.
    def __init__(
        self,
        *,
        nucleus_conn_id: str = DEFAULT_CONN_ID,
        retry_policy: Any = DEFAULT_RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**with_retry_policy(kwargs, retry_policy))
        self.nucleus_conn_id = nucleus_conn_id

    @cached_property
    def hook(self) -> NucleusHook:
        """The hook of this task's connection."""
        return NucleusHook(self.nucleus_conn_id)

    def link_to(
        self,
        context: Context,
        *,
        dataset_id: str | None = None,
        model_id: str | None = None,
        job_id: str | None = None,
    ) -> None:
        """Make this task's links point to the given objects, from now on."""
        persist_links(
            context,
            endpoint=self.hook.config.endpoint,
            dataset_id=dataset_id,
            model_id=model_id,
            job_id=job_id,
        )

    def required(self, **values: Any) -> None:
        """Raise NucleusConfigError when a rendered argument is empty; a template that found nothing renders so."""
        required(self, **values)
