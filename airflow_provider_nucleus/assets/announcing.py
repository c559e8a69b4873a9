"""Asset events of a running task: what they hold, and whether there are any.

Airflow emits one event for every outlet of a task that succeeds, none for one that fails or is skipped. Two things follow: the content
must be set by the method that finishes the task, because what was set before a deferral is lost; and a task that succeeds although
there is nothing to announce has to take its outlets off.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowOptionalProviderFeatureException,
    Asset,
    AssetAlias,
)

from airflow_provider_nucleus.assets.factories import create_asset
from airflow_provider_nucleus.assets.uris import KINDS, read_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

__all__ = ["announce", "check_partitions", "withhold"]

log = logging.getLogger(__name__)


def announce(
    context: Context, event: Mapping[str, Any], *, kind: str, partition_key: str | None = None
) -> None:
    """Put *event* into the events of the running task's outlets; call it in the method that finishes the task.

    An outlet that is an alias gets the asset of *kind* that the event is about, by the names of data set and model (their ids where
    the names are not known). With *partition_key* plain consumers of the assets do not run (Airflow 3.2 and later): it is for DAGs
    that are scheduled by partitions.
    """
    accessors: Any = context.get("outlet_events")
    if accessors is None:
        return
    ti = context["ti"]
    run = {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": getattr(ti, "map_index", -1),
    }
    content = dict(event) | {"kind": kind, "run": run}
    for outlet in _outlets(context):
        if isinstance(outlet, AssetAlias):
            if (asset := _named_asset(kind, content)) is not None:
                accessors[outlet].add(asset, extra=content)
            continue
        if not isinstance(outlet, Asset):
            continue
        accessor = accessors[outlet]
        accessor.extra = {**(accessor.extra or {}), **content, "kind": _kind(outlet) or kind}
        if partition_key:
            check_partitions(context, partition_key)
            accessor.add_partitions(partition_key)


def withhold(context: Context, reason: str) -> None:
    """Take the assets off the running task's outlets: it may succeed, and no event says so."""
    if not (assets := [one for one in _outlets(context) if isinstance(one, Asset | AssetAlias)]):
        return
    log.info("No event for %s: %s", ", ".join(_name(one) for one in assets), reason)
    # The running task is a copy of the DAG's, and shares its lists with it: a new list, never a change of the old one.
    tasks = [getattr(context["ti"], "task", None), context.get("task")]
    for task in filter(None, tasks):
        task.outlets = [one for one in task.outlets or () if not isinstance(one, Asset | AssetAlias)]
    if "outlets" in context:
        context["outlets"] = []


def check_partitions(context: Context, partition_key: str | None) -> None:
    """Raise AirflowOptionalProviderFeatureException if there is a *partition_key* and this Airflow has no partitions."""
    if not partition_key:
        return
    accessors: Any = context.get("outlet_events")
    for outlet in _outlets(context):
        if isinstance(outlet, Asset) and not hasattr(accessors[outlet], "add_partitions"):
            raise AirflowOptionalProviderFeatureException(
                f"Task {context['ti'].task_id!r} has a partition_key, and events of assets have partitions from Airflow 3.2 on. "
                "Leave partition_key out: the slice is in the event's extra as well."
            )


def _outlets(context: Context) -> list[Any]:
    """Return the outlets of the task as it runs: on Airflow 3.0 the one in the context is another copy."""
    task = getattr(context["ti"], "task", None) or context.get("task")
    return list(getattr(task, "outlets", None) or ())


def _named_asset(kind: str, event: Mapping[str, Any]) -> Asset | None:
    """Return the asset of *kind* that *event* is about, None when it does not say of which data set or model."""

    def name_of(part: str) -> str | None:
        found = event.get(part) or {}
        return found.get("name") or found.get("id")

    dataset, model = name_of("dataset"), name_of("model")
    if dataset is None or (model is None and KINDS[kind] == 2):
        log.warning("No event for an alias: it is not known which data set and model this is about")
        return None
    return create_asset(kind=kind, dataset=dataset, model=model if KINDS[kind] == 2 else None)


def _kind(asset: Asset) -> str | None:
    """Return the kind of one of our assets, None for an asset of the user's."""
    try:
        return read_uri(asset.uri).kind
    except ValueError:
        return None


def _name(outlet: Any) -> str:
    return str(getattr(outlet, "uri", None) or getattr(outlet, "name", outlet))
