"""Names and first lines: one class name once, docstrings that say what a thing is, no metaphors of people."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

import airflow_provider_nucleus

ROOT = Path(airflow_provider_nucleus.__file__).parent
TREES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))
}
ROOMS = sorted({path.split("/")[0] for path in TREES if "/" in path} | {"."})

LONGEST_MODULE = 400
QUESTION = re.compile(r"(What|Who|Whether|How|Why|Where|When|Which)\b")
METAPHORS = {
    "hear", "heard", "hears", "told", "tells", "asked", "asks", "piece", "pieces", "carry", "carried", "newcomer", "meet",
    "meets", "ours", "theirs", "spelled", "said", "walk", "walked", "shown", "silent",
}  # fmt: skip
"""Words of people and private words; of a file-like object, `tell` is the protocol's own, and what a gate does is to judge."""


def _modules(room: str) -> dict[str, ast.Module]:
    return {
        path: tree for path, tree in TREES.items() if (path.split("/")[0] if "/" in path else ".") == room
    }


def _defined(tree: ast.Module) -> set[str]:
    """Return the names that a module gives: of classes, functions, parameters, variables and attributes."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
    return names


def test_no_class_name_occurs_twice():
    """Who searches for a class finds one; two of one name in two rooms would be read as the same thing."""
    places = defaultdict(list)
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path}:{node.lineno}")

    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_the_first_line_of_a_docstring_says_what_the_thing_is(room):
    """It is a noun or a verb, not a question that the reader has to answer first."""
    questions = [
        f"{path}:{getattr(node, 'lineno', 1)}: {text.splitlines()[0]}"
        for path, tree in _modules(room).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and (text := ast.get_docstring(node) or "")
        and QUESTION.match(text)
    ]

    assert questions == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_name_is_a_metaphor_of_people(room):
    """Names are the words of the field: match, side, span, population, detection, ground truth, recall, precision."""
    metaphors = [
        f"{path}: {name}"
        for path, tree in _modules(room).items()
        for name in sorted(_defined(tree))
        if METAPHORS.intersection(re.findall(r"[a-z]+", re.sub(r"([A-Z])", r" \1", name).lower()))
    ]

    assert metaphors == []


def test_every_module_says_what_it_offers():
    """`__all__` is there wherever anything is defined, so that the test of exported members skips nothing."""
    without = [
        path
        for path, tree in TREES.items()
        if any(
            not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in tree.body
        )
        and not any(
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__" for node in tree.body
        )
    ]

    assert without == []


def test_modules_are_short():
    """A module of more than 400 lines holds two ideas."""
    long = {
        path: lines
        for path in TREES
        if (lines := len((ROOT / path).read_text().splitlines())) > LONGEST_MODULE
    }

    assert long == {}


def test_docstrings_have_one_mark_up():
    """Single backticks around code, whatever it is: no roles, no doubled backticks."""
    other = [
        f"{path}:{number}"
        for path in TREES
        for number, line in enumerate((ROOT / path).read_text().splitlines(), start=1)
        if re.search(r":(class|meth|func|mod|data|attr|exc):`|(?<!`)``(?!`)", line)
    ]

    assert other == []


def test_loggers_have_one_name():
    """The logger of a module is `log`."""
    other = [
        f"{path}: {ast.unparse(node)}"
        for path, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and node.value is not None
        and "logging.getLogger" in ast.unparse(node.value)
        and not re.match(r"log\b", ast.unparse(node))
    ]

    assert other == []
