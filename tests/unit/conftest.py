"""Fixtures of the unit tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fsspec.implementations.memory import MemoryFileSystem

import tests.airflow_home  # ruff: ignore[unused-import] - before anything imports Airflow

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def memory_store() -> Iterator[MemoryFileSystem]:
    """An object store in memory, at `memory://`, empty before and after."""
    try:
        from airflow.sdk.io import attach
    except ImportError:  # Airflow < 3
        from airflow.io.store import attach

    store = MemoryFileSystem()
    attach("memory", fs=store)
    store.store.clear()
    yield store
    store.store.clear()
