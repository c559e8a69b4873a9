"""Addresses of scenes."""

from __future__ import annotations

from airflow_provider_nucleus.local.requests.base import AddressModel, Switch

__all__ = ["SceneAddress"]


class SceneAddress(AddressModel):
    """A scene by its own reference id, or by that of one of its items."""

    from_item: Switch = False
