"""The pages for those who come say what is there: every room is on the map, and every name on it exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import airflow_provider_nucleus

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(airflow_provider_nucleus.__file__).parent
PAGES = ["docs/architecture.md", "docs/glossary.md", "CONTRIBUTING.md", "SECURITY.md"]
MAP = (ROOT / "docs/architecture.md").read_text()
PLACEHOLDER = re.compile(r"<\w+>")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = PROJECT["tool"]["importlinter"]["contracts"]


def _named(text: str) -> set[str]:
    """Return the quoted paths of a page: what holds a slash or ends in .py or .md."""
    quoted = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return {
        each
        for each in quoted
        if re.fullmatch(r"[\w./<>-]+", each) and ("/" in each or re.search(r"\.(py|md)$", each))
    }


def _exists(path: str) -> bool:
    """Return whether a path is there, from the root or from the package; `<resource>` stands for any name."""
    pattern = PLACEHOLDER.sub("*", path.rstrip("/"))
    return any(next(base.glob(pattern), None) is not None for base in (ROOT, PACKAGE))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_on_a_page_exists(page):
    """A page that names what is gone sends newcomers the wrong way."""
    assert [path for path in sorted(_named((ROOT / page).read_text())) if not _exists(path)] == []


def test_every_room_is_on_the_map():
    """Packages and modules at the top, and the rooms of the server, the engine and the uploads."""
    rooms = {
        str(path.relative_to(PACKAGE)) + ("/" if path.is_dir() else "")
        for path in PACKAGE.iterdir()
        if (path / "__init__.py").exists() or (path.suffix == ".py" and path.stem != "__init__")
    }

    assert sorted(room for room in rooms if f"`{room}`" not in MAP) == []


@pytest.mark.parametrize(
    "name",
    [
        "Tasks stand on triggers, triggers on hooks, hooks on the client, the client on the schema",
        "The floors of the embedded server",
        "The floors of the engine",
        "The floors of judging",
        "The floors of a report",
    ],
)
def test_the_floors_on_the_map_are_those_of_the_contracts(name):
    """In their order, top floor first; import-linter proves the contract, this the drawing."""
    (contract,) = [each for each in CONTRACTS if each["name"] == name]
    floors = [
        " | ".join(room.strip().removeprefix("airflow_provider_nucleus.") for room in layer.split("|"))
        for layer in contract["layers"]
    ]
    drawings = [
        [re.split(r"\s{2,}", line)[0] for line in block.strip().splitlines()]
        for block in re.findall(r"```\n(.*?)```", MAP, flags=re.DOTALL)
    ]

    assert floors in drawings


def test_every_package_says_its_floors():
    """Each package with more than a handful of modules has a contract, or is small enough to be read."""
    contracted = {each for contract in CONTRACTS for each in contract.get("containers", [])}
    large = {
        "airflow_provider_nucleus." + str(path.parent.relative_to(PACKAGE)).replace("/", ".")
        for path in PACKAGE.rglob("__init__.py")
        if path.parent != PACKAGE
        and sum(1 for each in path.parent.iterdir() if (each / "__init__.py").exists()) > 2
    }

    assert large <= contracted | {"airflow_provider_nucleus.client", "airflow_provider_nucleus.demo"}


def test_the_words_of_the_glossary_are_in_order():
    """One row for each word, sorted as a reader looks."""
    words = re.findall(r"^\| ([^|]+?) \| ", (ROOT / "docs/glossary.md").read_text(), flags=re.MULTILINE)[1:]
    words = [word for word in words if not set(word) <= {"-"}]

    assert words == sorted(set(words), key=str.lower)


def test_targets_that_contributors_are_told_exist():
    """`make x` on the pages is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z0-9.-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    told = {
        target
        for page in [*PAGES, "README.md"]
        for target in re.findall(r"(?:^|`)make ([a-z0-9.-]+)", (ROOT / page).read_text(), flags=re.MULTILINE)
    }

    assert told - targets == set()


def test_the_extra_all_is_all_extras():
    """Whoever asks for all of it gets each."""
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]

    assert everything == f"airflow-provider-nucleus[{','.join(name for name in extras if name != 'all')}]"
