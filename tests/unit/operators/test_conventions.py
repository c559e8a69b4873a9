"""Rules that every operator and sensor keeps, checked on their source."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap

import pytest
from airflow.providers.common.compat.sdk import BaseOperator

import airflow_provider_nucleus.operators
import airflow_provider_nucleus.sensors
from airflow_provider_nucleus.operators.announcing import NucleusAnnouncingOperator
from airflow_provider_nucleus.operators.base import NucleusOperator
from airflow_provider_nucleus.operators.waiting import NucleusWaitingOperator
from airflow_provider_nucleus.sensors.base import NucleusWaitingSensor
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, MAX_LABEL


def task_classes() -> list[type]:
    """Return every operator and sensor of the package."""
    found = {}
    for package in (airflow_provider_nucleus.operators, airflow_provider_nucleus.sensors):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for item in vars(importlib.import_module(module.name)).values():
                if (
                    inspect.isclass(item)
                    and issubclass(item, BaseOperator)
                    and item.__module__ == module.name
                ):
                    found[item.__name__] = item
    return list(found.values())


CLASSES = task_classes()
PUBLIC = [
    cls for cls in CLASSES if cls.__name__.startswith("Nucleus") and cls.__doc__ and ":param" in cls.__doc__
]


def own_init(cls: type) -> ast.FunctionDef:
    """Return the syntax tree of a class's own constructor."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls.__init__)))
    assert isinstance(tree.body[0], ast.FunctionDef)
    return tree.body[0]


def own_parameters(cls: type) -> list[str]:
    """Return the names that a class's own constructor takes."""
    return [argument.arg for argument in own_init(cls).args.kwonlyargs]


@pytest.mark.parametrize(
    "cls", [cls for cls in CLASSES if "__init__" in vars(cls)], ids=lambda cls: cls.__name__
)
def test_templated_fields_are_stored_untouched(cls):
    """A constructor sees templates, not values: it stores a templated field as it is and does nothing else with it."""
    templated = set(cls.template_fields) & set(own_parameters(cls))
    stored = set()
    for node in ast.walk(own_init(cls)):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if (
                isinstance(target, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and target.attr == node.value.id
                and node.value.id in templated
            ):
                stored.add(node.value.id)
    uses = [
        node.id
        for statement in own_init(cls).body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and node.id in templated
    ]

    assert templated == stored
    assert sorted(uses) == sorted(templated), "a templated field is used for more than being stored"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_arguments_are_keyword_only(cls):
    """No positional arguments: names are the interface."""
    arguments = inspect.signature(cls.__init__).parameters.values()

    assert not [a for a in arguments if a.name != "self" and a.kind is a.POSITIONAL_OR_KEYWORD]


@pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__name__)
def test_every_argument_is_documented(cls):
    """The docstring has one :param: an argument, which says "(templated)" exactly when it is."""
    parts = inspect.getdoc(cls).split(":param ")[1:]
    documented = {part.partition(":")[0]: "(templated)" in part for part in parts}

    airflows_own = {*inspect.signature(BaseOperator.__init__).parameters, "retry_policy"}
    assert set(own_parameters(cls)) - airflows_own <= set(documented)
    assert {name for name, templated in documented.items() if templated} == set(cls.template_fields)


BASES = {NucleusOperator, NucleusAnnouncingOperator, NucleusWaitingOperator, NucleusWaitingSensor}
MANY = [f"s3://bucket/{'deep/' * 20}part-{number}.jsonl" for number in range(9)]


@pytest.mark.parametrize(
    "cls",
    [cls for cls in PUBLIC if cls not in BASES],
    ids=lambda cls: cls.__name__,
)
def test_label_of_a_mapped_task_fits_its_column(cls):
    """Whatever an argument renders to: a label that is too long would keep a task from ending, mapped or not."""
    required = {
        name: MANY
        for base in cls.__mro__
        if base.__module__.startswith("airflow_provider_nucleus") and "__init__" in vars(base)
        for name, parameter in inspect.signature(base.__init__).parameters.items()
        if name != "self"
        and parameter.default is parameter.empty
        and parameter.kind is parameter.KEYWORD_ONLY
    }
    task = cls(task_id="mapped", **(required or {own_parameters(cls)[0]: MANY}))
    label = task.get_template_env().from_string(task.map_index_template).render({"task": task})

    assert task.map_index_template == MAP_LABEL
    assert "part-0" in label
    assert len(label) <= MAX_LABEL


def test_no_operator_is_overlooked():
    """Every class that users see is covered by the checks above."""
    assert {"NucleusCreateDatasetOperator", "NucleusCreateModelOperator"} <= {cls.__name__ for cls in PUBLIC}
