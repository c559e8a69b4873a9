"""What modules offer each other is written down: `__all__` is complete, true and respected."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import airflow_provider_nucleus

PACKAGE = "airflow_provider_nucleus"
ROOT = Path(airflow_provider_nucleus.__file__).parent


def _name(path: Path) -> str:
    parts = [PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {_name(path): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


def _exported(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "__all__" for target in node.targets):
            return ast.literal_eval(node.value)
    return None


EXPORTED = {name: members for name, tree in TREES.items() if (members := _exported(tree)) is not None}


def _bound(tree: ast.Module) -> set[str]:
    """Return the names that running a module binds; those under TYPE_CHECKING count, type checkers read them."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _taken(tree: ast.Module) -> set[tuple[str, str]]:
    """Return (module, name) for everything a module takes from another one of ours."""
    taken: set[tuple[str, str]] = set()
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in TREES:
                    modules[alias.asname or alias.name] = inner
                else:
                    taken.add((node.module, alias.name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            taken.add((modules[node.value.id], node.attr))
    return taken


def test_every_exported_name_exists():
    """A name in `__all__` that the module does not bind would break `from module import *` and mislead readers."""
    missing = {
        module: sorted(set(members) - _bound(TREES[module]))
        for module, members in EXPORTED.items()
        if set(members) - _bound(TREES[module])
    }

    assert missing == {}


def test_modules_take_from_each_other_only_what_is_exported():
    """A name that another module needs is part of the module's surface, so its `__all__` lists it."""
    unlisted = sorted(
        f"{user} takes {module}.{name}"
        for user, tree in TREES.items()
        for module, name in _taken(tree)
        if module in EXPORTED and name not in EXPORTED[module]
    )

    assert unlisted == []


def test_nobody_takes_the_private_names_of_another_module():
    """A leading underscore means: this module alone."""
    private = sorted(
        f"{user} takes {module}.{name}"
        for user, tree in TREES.items()
        for module, name in _taken(tree)
        if name.startswith("_") and not name.startswith("__")
    )

    assert private == []


@pytest.mark.parametrize("package", ["client", "client.uploads", "schema", "sources"])
def test_packages_offer_exactly_what_they_import(package):
    """The short import paths: all of them listed, all of them working."""
    name = f"{PACKAGE}.{package}"
    module = importlib.import_module(name)
    offered = {
        alias.asname or alias.name
        for node in TREES[name].body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE)
        for alias in node.names
    }

    assert sorted(offered) == sorted(EXPORTED[name])
    assert all(hasattr(module, member) for member in EXPORTED[name])
