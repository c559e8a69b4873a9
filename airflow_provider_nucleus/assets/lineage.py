"""Assets as datasets of OpenLineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.assets.uris import SCHEME, read_uri

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.common.compat.sdk import Asset

__all__ = ["to_openlineage"]


def to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:  # ruff: ignore[unused-function-argument] - Airflow's signature
    """Return the dataset of OpenLineage that *asset* is: namespace `nucleus`, and the URI without its scheme as name."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    return Dataset(namespace=SCHEME, name=read_uri(asset.uri).path)
