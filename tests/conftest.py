"""Fixtures for every test: a real embedded Nucleus, started once per test process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.official_asyncio import asyncio_unpatched_afterwards

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def nucleus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNucleus]:
    """A running embedded Nucleus on an empty data directory; it is shared, so tests make datasets of their own."""
    with LocalNucleus(tmp_path_factory.mktemp("nucleus") / "data") as server:
        yield server


@pytest.fixture(autouse=True)
def asyncio_as_it_was() -> Iterator[None]:
    """No test sees what another one's use of the official client did to asyncio."""
    with asyncio_unpatched_afterwards():
        yield
