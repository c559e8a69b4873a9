"""What reading the provider's metadata costs: every process of Airflow pays it, those of other people's DAGs as well."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_nucleus
from airflow_provider_nucleus.get_provider_info import get_provider_info

LITERALS = {
    "airflow_provider_nucleus",
    "airflow_provider_nucleus.cloud",
    "airflow_provider_nucleus.get_provider_info",
    "airflow_provider_nucleus.hooks",
    "airflow_provider_nucleus.hooks.connection_form",
}
"""Modules of ours that hold nothing but literals, and functions that nobody calls here."""

SCRIPT = """
import json, sys
import typing  # what the literals are annotated with
before = set(sys.modules)
from airflow_provider_nucleus.get_provider_info import get_provider_info
imported = set(sys.modules)
get_provider_info()
print(json.dumps({"import": sorted(imported - before), "call": sorted(set(sys.modules) - imported)}))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """The modules that a fresh process loads, by what made it load them."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_provider_info_loads_literals_alone(loaded: dict[str, list[str]]) -> None:
    """Neither an HTTP client nor a schema, nor Airflow itself: ours are the modules of literals, the rest is Python's."""
    found = set(loaded["import"])
    foreign = {name for name in found - LITERALS if name.partition(".")[0] not in sys.stdlib_module_names}

    assert found >= LITERALS
    assert foreign == set()


def test_calling_for_provider_info_loads_nothing(loaded: dict[str, list[str]]) -> None:
    """No import hides in the function."""
    assert loaded["call"] == []


def test_provider_info_is_json() -> None:
    """Airflow prints it, and sends the form to the browser."""
    info = get_provider_info()

    assert json.loads(json.dumps(info)) == info


@pytest.mark.parametrize("room", ["operators", "sensors"])
def test_the_modules_of_what_the_readme_lists_are_announced(room: str) -> None:
    """Airflow and its registry find operators and sensors by these modules; the bases among ours are none of them."""
    package = Path(airflow_provider_nucleus.__file__).parent
    readme = (package.parent / "README.md").read_text()
    listed = re.findall(r"`(Nucleus\w+(?:Operator|Sensor))`", readme)
    modules = {
        f"airflow_provider_nucleus.{room}.{path.stem}"
        for path in (package / room).glob("*.py")
        if any(f"\nclass {name}(" in path.read_text() for name in listed)
    }
    (announced,) = get_provider_info()[room]

    assert set(announced["python-modules"]) == modules
