"""The connection that all sensor tests use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from tests.airflow.harness import connection_json

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hook(nucleus: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[NucleusHook]:
    """The hook of `nucleus_default`, which is the session's embedded Nucleus."""
    connection = connection_json(endpoint=nucleus.url, api_key=nucleus.api_key)
    monkeypatch.setenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", connection)
    with NucleusHook() as made:
        yield made
