"""One Airflow and one Nucleus for all tests of the stack."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.airflow.harness import REPOSITORY, connection_json
from tests.stack.stack import AirflowStack
from tests.stack.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = ("nucleus_evaluate_inference_batch", "nucleus_late_labels")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder; what needs the session's Airflow stays on one worker, beside the rest on another."""
    for item in items:
        if "tests/stack/" not in item.path.as_posix():
            continue
        item.add_marker(pytest.mark.stack)
        if {"running_world", "stack"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.fixture(scope="session")
def running_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The Nucleus of this session."""
    with World(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture
def world(running_world: World) -> Iterator[World]:
    """The Nucleus, without faults and with its jobs running."""
    running_world.release()
    running_world.proxy.arm()
    yield running_world
    running_world.proxy.arm()


@pytest.fixture(scope="session")
def stack(running_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """The Airflow of this session, with the DAGs of this folder and those of EXAMPLES; its default connection leads through the faulty proxy."""
    folder = tmp_path_factory.mktemp("stack")
    shutil.copytree(
        Path(__file__).parent / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in EXAMPLES:
        shutil.copy(REPOSITORY / "dags_examples" / f"{name}.py", folder / "dags")
    connection = connection_json(endpoint=running_world.proxy.url, api_key=running_world.server.api_key)
    with AirflowStack(
        folder / "airflow",
        dags=folder / "dags",
        environment={"AIRFLOW_CONN_NUCLEUS_DEFAULT": connection},
    ) as running:
        yield running
