"""The connection that all operator tests use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from tests.airflow.harness import connection_json
from tests.faults import FaultyNucleus

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hook(nucleus: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[NucleusHook]:
    """The hook of `nucleus_default`, which is the session's embedded Nucleus."""
    connection = connection_json(endpoint=nucleus.url, api_key=nucleus.api_key)
    monkeypatch.setenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", connection)
    with NucleusHook() as made:
        yield made


@pytest.fixture
def proxy(nucleus: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyNucleus]:
    """A proxy before the embedded Nucleus, as the connection that tasks use."""
    with FaultyNucleus(lambda: nucleus.base_url) as running:
        connection = connection_json(endpoint=running.url, api_key=nucleus.api_key)
        monkeypatch.setenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", connection)
        yield running


@pytest.fixture
def ids(hook: NucleusHook, request: pytest.FixtureRequest) -> dict[str, str]:
    """A dataset and a model."""
    name = request.node.name
    return {
        "dataset_id": hook.create_dataset(name),
        "model_id": hook.create_model(name, reference_id=name),
    }
