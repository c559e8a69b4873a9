"""An object store in memory, at `memory://`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fsspec.implementations.memory import MemoryFileSystem

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow < 3
    from airflow.io.store import attach


@pytest.fixture
def memory_store() -> Iterator[MemoryFileSystem]:
    """The store, empty before and after."""
    store = MemoryFileSystem()
    attach("memory", fs=store)
    store.store.clear()
    yield store
    store.store.clear()
