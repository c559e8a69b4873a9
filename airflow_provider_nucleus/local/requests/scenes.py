"""What the addresses of scenes say."""

from __future__ import annotations

from airflow_provider_nucleus.local.requests.base import AddressModel, Switch

__all__ = ["SceneAddress"]


class SceneAddress(AddressModel):
    """Whether the reference id in the path is that of an item of the scene."""

    from_item: Switch = False
