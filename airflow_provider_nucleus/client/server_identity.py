"""Identity of the Nucleus at the other end of a connection, as "test connection" reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.client.calls.datasets import list_datasets
from airflow_provider_nucleus.client.retry import NO_RETRY
from airflow_provider_nucleus.cloud import is_scale

if TYPE_CHECKING:
    from airflow_provider_nucleus.client.config import NucleusConfig
    from airflow_provider_nucleus.client.sync import NucleusClient

__all__ = ["Target", "check_target", "describe_target"]


@dataclass(frozen=True, slots=True)
class Target:
    """A Nucleus that answered."""

    description: str
    datasets: int

    def __str__(self) -> str:
        seen = "1 dataset" if self.datasets == 1 else f"{self.datasets} datasets"
        return f"Connected to {self.description}: {seen} visible with this key."


def describe_target(config: NucleusConfig) -> str:
    """Name the Nucleus a configuration points to, without asking it."""
    address = Address.parse(config.endpoint)
    if is_scale(address.host):
        return f"Scale Nucleus at {address.host}"
    return f"the Nucleus at {address.host}:{address.port}"


def check_target(client: NucleusClient) -> Target:
    """Ask for the datasets, once: a short answer that needs a reachable endpoint, the right path and a valid key.

    Raises what sending raises, with the next action in the message.
    """
    found = client.send(list_datasets(), retry=NO_RETRY)
    return Target(describe_target(client.config), len(found))
