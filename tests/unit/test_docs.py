"""What the documentation names exists, and what exists is named where a user would look."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from dataclasses import fields
from pathlib import Path

import pytest

import airflow_provider_nucleus
from airflow_provider_nucleus.local.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "airflow_provider_nucleus"
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    """Every relative link names a file or folder of the repository."""
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)[^)]*\)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_on_a_page_exist(page):
    """Every file of Python in quotes is there: from the root, or from the package."""
    named = re.findall(r"`([\w/]+\.py)`", page.read_text())

    assert [name for name in named if not any((base / name).exists() for base in (ROOT, PACKAGE))] == []


def test_every_setting_of_the_server_is_documented():
    """Variable and default, in docs/embedded-nucleus.md."""
    rows = re.findall(
        r"^\| `(NUCLEUS_LOCAL_\w+)` \| `?([^`|]+?)`? \|", _page("docs/embedded-nucleus.md"), re.MULTILINE
    )

    assert dict(rows) == {
        f"NUCLEUS_LOCAL_{entry.name.upper()}": _shown(entry.default)
        for entry in fields(Settings)
        if entry.name != "api_key"
    }


def test_every_operator_and_sensor_is_in_the_readme():
    """And the README promises none that does not exist."""
    made = {name for package in ("operators", "sensors") for name in _offered(package)}
    promised = set(re.findall(r"\bNucleus\w+(?:Operator|Sensor)\b", _page("README.md")))

    assert promised == made


def _page(name: str) -> str:
    return (ROOT / name).read_text()


def _shown(value: object) -> str:
    return str(int(value)) if isinstance(value, bool | float) else str(value) or "none"


def _offered(package: str) -> set[str]:
    """Return the classes of a package that DAGs use: those that are not bases of others."""
    home = importlib.import_module(f"{airflow_provider_nucleus.__name__}.{package}")
    modules = [
        importlib.import_module(f"{home.__name__}.{found.name}")
        for found in pkgutil.iter_modules(home.__path__)
    ]
    classes = {
        each
        for module in modules
        for _, each in inspect.getmembers(module, inspect.isclass)
        if each.__module__.startswith(home.__name__) and each.__name__.startswith("Nucleus")
    }
    return {each.__name__ for each in classes if not inspect.isabstract(each) and not each.__subclasses__()}
