"""What a group of routes needs of the hook that it is mixed into."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

if TYPE_CHECKING:
    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.sync import NucleusClient

__all__ = ["Routes"]

T = TypeVar("T")


class Routes(BaseHook):
    """Base of the groups: they send calls over whatever connection the hook has."""

    nucleus_conn_id: str

    def get_conn(self) -> NucleusClient:
        """Return the client that sends; the hook has it."""
        raise NotImplementedError

    def send(self, call: Call[T]) -> T:
        """Send any call of :mod:`airflow_provider_nucleus.client.calls`."""
        return self.get_conn().send(call)
