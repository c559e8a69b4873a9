"""Fixtures of the tests that run through real Airflow."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

import tests.airflow_home  # ruff: ignore[unused-import] - before anything imports Airflow
from tests.airflow.harness import PrivateAirflow, RunResult, connection_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests on one worker: they share one Airflow process, which is dear to start.

    The demonstration starts its own and may run beside them. First, because xdist reads the marks in the same hook.
    """
    for item in items:
        path = item.path.as_posix()
        if "tests/airflow/" in path:
            item.add_marker(pytest.mark.xdist_group("demo" if "test_demo" in path else "airflow"))


@pytest.fixture(scope="session")
def private_airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateAirflow]:
    """A migrated Airflow of this session's own."""
    airflow = PrivateAirflow(tmp_path_factory.mktemp("airflow"))
    airflow.migrate()
    yield airflow
    airflow.close()


@pytest.fixture
def nucleus_conn(nucleus: Any) -> str:
    """The session's embedded Nucleus as a connection."""
    return connection_json(endpoint=nucleus.url, api_key=nucleus.api_key)


@pytest.fixture
def run_dag(private_airflow: PrivateAirflow, nucleus_conn: str, tmp_path: Path) -> Callable[..., RunResult]:
    """Run DAG source text (or a file) in real Airflow, `nucleus_default` being the embedded Nucleus."""

    def run(source: str | Path, dag_id: str, **arguments: Any) -> RunResult:
        if isinstance(source, str):
            file = tmp_path / f"{dag_id}.py"
            file.write_text(textwrap.dedent(source))
        else:
            file = source
        connections = {"nucleus_default": nucleus_conn} | arguments.pop("connections", {})
        return private_airflow.run_dag(file, dag_id, connections=connections, **arguments)

    return run
