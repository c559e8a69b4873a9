"""The base of all operators of this package: connection, retry policy, links."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_nucleus.hooks.connection_form import DEFAULT_CONN_ID
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.links.nucleus import persist_links
from airflow_provider_nucleus.links.urls import page_urls
from airflow_provider_nucleus.tasks.arguments import TEXT, required
from airflow_provider_nucleus.tasks.retry_policy import DEFAULT_RETRY_POLICY, with_retry_policy
from airflow_provider_nucleus.tasks.templates import TemplatedArguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusOperator", "with_inlet"]


class NucleusOperator(TemplatedArguments, BaseOperator):
    """Base of all operators: one connection, one hook, links that survive a deferral.

    :param nucleus_conn_id: the Nucleus connection to use (templated)
    :param retry_policy: which failures are worth a retry (Airflow 3.3); the default follows what the server says
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {"nucleus_conn_id": required(TEXT)}
    template_fields: Sequence[str] = tuple(templated)
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

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task: what Airflow has to know of it before there are instances is read off its arguments here.

        That is the trigger rule that the operator sets itself, which Airflow 2 does not read off constructors, and the asset whose state
        it uses: Airflow gives the state of inlets only, and those of a mapped task are the ones that it was begun with.
        """
        rule = inspect.signature(cls.__init__).parameters.get("trigger_rule")
        if rule is not None and rule.default is not inspect.Parameter.empty:
            kwargs.setdefault("trigger_rule", rule.default)
        if (asset := kwargs.get("baseline_asset")) is not None:
            kwargs["inlets"] = with_inlet(kwargs.get("inlets"), asset)
        return super().partial(**kwargs)

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
        iou_threshold: float | None = None,
        calculation: str | None = None,
    ) -> None:
        """Make this task's links point to the given objects, from now on; *calculation* is the job of one."""
        persist_links(
            self,
            context,
            urls=page_urls(self.hook.config.endpoint, self.hook.config.public_url),
            dataset_id=dataset_id,
            model_id=model_id,
            job_id=job_id,
            iou_threshold=iou_threshold,
            calculation=calculation,
        )

    def evaluation_page(
        self, dataset_id: str, model_id: str, *, iou_threshold: float | None, calculation: str | None
    ) -> str:
        """Return the address of the numbers of a model: those of one calculation, for ever, or of the newest."""
        urls = page_urls(self.hook.config.endpoint, self.hook.config.public_url)
        return urls.evaluation(dataset_id, model_id, iou_threshold=iou_threshold, calculation=calculation)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Wake up, in a process that knows the arguments as they were rendered."""
        self.read_arguments()
        return super().resume_execution(next_method, next_kwargs, context)


def with_inlet(inlets: Any, asset: Any) -> list[Any]:
    """Return *inlets*, in any form that Airflow takes, with *asset* among them."""
    listed = list(inlets) if isinstance(inlets, list | tuple) else [] if inlets is None else [inlets]
    return listed if asset in listed else [*listed, asset]
