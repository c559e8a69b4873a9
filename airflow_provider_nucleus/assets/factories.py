"""Assets by their names, for `outlets` and `schedule`; the same asset, whichever way it is written.

The name of an asset is its URI, so that `Asset("nucleus://accepted/street/detector")` in another team's DAG is the one made here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset

from airflow_provider_nucleus.assets.uris import asset_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["accepted", "annotated", "appended", "create_asset", "evaluated", "predicted"]


def appended(*, dataset: str) -> Asset:
    """Return the asset of a data set's items: outlet of the task that appends them."""
    return create_asset(kind="items", dataset=dataset)


def annotated(*, dataset: str) -> Asset:
    """Return the asset of a data set's ground truth: outlet of the task that uploads it."""
    return create_asset(kind="annotations", dataset=dataset)


def predicted(*, dataset: str, model: str) -> Asset:
    """Return the asset of a model's predictions on a data set: outlet of the task that uploads them."""
    return create_asset(kind="predictions", dataset=dataset, model=model)


def evaluated(*, dataset: str, model: str) -> Asset:
    """Return the asset of a model's numbers on a data set: outlet of the task that calculates, or of the report behind the gate."""
    return create_asset(kind="evaluated", dataset=dataset, model=model)


def accepted(*, dataset: str, model: str) -> Asset:
    """Return the asset of a model that passed on a data set: outlet of the gate, or of the approval behind it."""
    return create_asset(kind="accepted", dataset=dataset, model=model)


def create_asset(
    *, kind: str, dataset: str, model: str | None = None, extra: Mapping[str, Any] | None = None
) -> Asset:
    """Return the asset of *kind*; raises ValueError for names that a URI cannot have. Airflow's factory for the scheme."""
    uri = asset_uri(kind, dataset=dataset, model=model)
    return Asset(uri=uri, extra=None if extra is None else dict(extra))
