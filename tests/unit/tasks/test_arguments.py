"""Every templated argument of every operator and sensor: what it renders to, natively or not, and what becomes of it."""

from __future__ import annotations

import datetime as dt
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.policy import Policy, Rule
from airflow_provider_nucleus.operators.announcing import NucleusAnnouncingOperator
from airflow_provider_nucleus.operators.approval import NucleusApprovalOperator
from airflow_provider_nucleus.operators.datasets import (
    NucleusCreateDatasetOperator,
    NucleusDeleteDatasetOperator,
)
from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
from airflow_provider_nucleus.operators.gate import NucleusGateOperator
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator
from airflow_provider_nucleus.operators.operating_points import NucleusOperatingPointsOperator
from airflow_provider_nucleus.operators.promotion import NucleusPromoteModelOperator
from airflow_provider_nucleus.operators.report import NucleusReportOperator
from airflow_provider_nucleus.operators.slices import NucleusCreateSliceOperator
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)
from airflow_provider_nucleus.sensors.evaluation import NucleusEvaluationSensor
from airflow_provider_nucleus.sensors.job import NucleusJobSensor
from airflow_provider_nucleus.sources.mapping import RowMapping
from tests.unit.operators.test_conventions import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Good values of all that has no default.
TASKS: dict[type, dict[str, Any]] = {
    NucleusCreateDatasetOperator: {"name": "batch"},
    NucleusDeleteDatasetOperator: {"dataset_id": "ds_1"},
    NucleusCreateSliceOperator: {"dataset_id": "ds_1", "name": "batch"},
    NucleusCreateModelOperator: {"reference_id": "detector"},
    NucleusAppendItemsOperator: {"dataset_id": "ds_1", "source": "rows.jsonl"},
    NucleusUploadAnnotationsOperator: {"dataset_id": "ds_1", "source": "rows.jsonl"},
    NucleusUploadPredictionsOperator: {"dataset_id": "ds_1", "model_id": "prj_1", "source": "rows.jsonl"},
    NucleusCalculateMetricsOperator: {"dataset_id": "ds_1", "model_id": "prj_1"},
    NucleusEvaluateModelOperator: {"model_id": "prj_1", "benchmark_id": "bm_1"},
    NucleusGateOperator: {"candidate": "m.json", "policy": "policy.yaml"},
    NucleusPromoteModelOperator: {"gate": "j.json"},
    NucleusApprovalOperator: {"judgement": "j.json"},
    NucleusReportOperator: {"judgement": "j.json", "folder": "reports"},
    NucleusOperatingPointsOperator: {"measurement": "m.json", "operating_points": "points.json"},
    NucleusJobSensor: {"job_id": "job_1"},
    NucleusEvaluationSensor: {"evaluation_id": "ev_1"},
}

REFUSED = object()
"""In place of a value: the argument is refused, by name."""

TYPED = Policy(rules=[Rule(id="a", metric="f1", min=0.5)])
NUMBERS = count()
HOME = str(Path.home())
NOTHING = ["", "None", None]
DAY = dt.date(2026, 11, 25)

TEXT = [
    *(
        (word, word)
        for word in ("20261125", "0123", "1e5", "1_000", "1.10", "True", "'quoted'", "(1)", "[x]", "a b")
    ),
    (20261125, "20261125"),
    (True, "True"),
    (DAY, "2026-11-25"),
]
OBJECTS = [
    ('{"a": {"b": [1, null]}}', {"a": {"b": [1, None]}}),
    ("{'a': None, 'b': (1, 2)}", {"a": None, "b": [1, 2]}),
]
NO_OBJECTS = [(value, REFUSED) for value in ("prod", "[1, 2]", "7", 7, "{a: 1}", "NaN", True)]
PLACES = [
    ("/data/r.json", "/data/r.json"),
    ("20261125", "20261125"),
    ("1e5", "1e5"),
    ("~/r.json", f"{HOME}/r.json"),
]

DOCUMENTS = [
    *OBJECTS,
    *PLACES,
    ({"a": 1}, {"a": 1}),
    ("{a: 1}", REFUSED),
]

READ: dict[str, list[tuple[Any, Any]]] = {
    "Text": [*((one, None) for one in NOTHING), *TEXT, ({"a": 1}, REFUSED)],
    "Id": [*((one, None) for one in NOTHING), *TEXT, ("\tds_1 ", "ds_1"), ({"a": 1}, REFUSED)],
    "Flag": [
        *((one, False) for one in (*NOTHING, "false", "0", "no", False, 0)),
        *((one, True) for one in ("True", "true", "1", "yes", True, 1)),
        *((one, REFUSED) for one in ("maybe", 7, ["a"], {"a": 1})),
    ],
    "Number": [
        ("0.5", 0.5), (0.5, 0.5), ("1", 1.0), (1, 1.0), ("5e-1", 0.5),
        *((one, REFUSED) for one in (*NOTHING, "2", "high", True, "nan", ["a"], {"a": 1})),
    ],
    "Confidence": [
        *((one, None) for one in NOTHING),
        ("best", "best"), (" Best", "best"), ("0.5", 0.5), (0.5, 0.5), ("1", 1.0),
        *((one, REFUSED) for one in ("2", "high", True, "nan", ["a"], {"a": 1})),
    ],
    "Count": [
        *((one, None) for one in NOTHING),
        ("120", 120), (120, 120), ("0", 0), (0, 0),
        *((one, REFUSED) for one in ("-1", -1, "1.5", 1.5, "many", True, "nan", ["a"], {"a": 1})),
    ],
    "Texts": [
        *((one, []) for one in NOTHING),
        *((word, [word]) for word in ("prod", "20261125", "0123", "1e5", "True", "a b")),
        ('["a", "1.10"]', ["a", "1.10"]),
        ("['a', 20]", ["a", "20"]),
        (["a", 7, "1e5"], ["a", "7", "1e5"]),
        *((one, REFUSED) for one in ("a, b", "[a, b]", '{"a": 1}', {"a": 1}, [1.1], [["a"]], "a\nb")),
    ],
    "Object": [*((one, None) for one in NOTHING), *OBJECTS, *NO_OBJECTS, (["a"], REFUSED), ({"a": 1}, {"a": 1})],
    "Document": [*((one, None) for one in NOTHING), *DOCUMENTS],
    "Policy": [*((one, None) for one in NOTHING), *DOCUMENTS, ("rules:\n- {id: a}", "rules:\n- {id: a}")],
    "Objects": [
        *((one, []) for one in NOTHING),
        *((text, [read]) for text, read in OBJECTS),
        *NO_OBJECTS,
        ('[{"a": 1}]', [{"a": 1}]),
        ([{"a": 1}], [{"a": 1}]),
        ('[{"a": 1}, "b"]', REFUSED),
    ],
    "Mapping": [
        *((one, None) for one in NOTHING),
        *NO_OBJECTS,
        ('{"labels": {"0": "car"}}', {"labels": {"0": "car"}}),
        ({"labels": {"0": "car"}}, {"labels": {"0": "car"}}),
    ],
    "Place": [*((one, None) for one in NOTHING), *PLACES, ({"a": 1}, REFUSED)],
    "Folder": [*((one, None) for one in NOTHING), *PLACES],
    "Source": [
        *((one, None) for one in NOTHING),
        *PLACES,
        ("['a.jsonl', '~/b.jsonl']", ["a.jsonl", f"{HOME}/b.jsonl"]),
        ('[{"reference_id": "a"}]', [{"reference_id": "a"}]),
        (["20261125", "1e5"], ["20261125", "1e5"]),
        ("[ab]*.jsonl", "[ab]*.jsonl"),
        ({"a": 1}, REFUSED),
    ],
}  # fmt: skip
"""What a value is read as, by kind: whether it stands in the DAG or is what a template finds, rendered to text or natively."""

GIVEN: dict[str, list[tuple[Any, Any]]] = {
    "Text": [(1.1, REFUSED), (["a"], REFUSED)],
    "Id": [(1.1, REFUSED), (["a"], REFUSED)],
    "Texts": [(("a", "", None), ["a"]), ({"a"}, ["a"])],
    "Object": [
        ({"day": DAY}, {"day": "2026-11-25"}),
        ({"version": "1.10"}, {"version": "1.10"}),
        ({"x": {1}}, REFUSED),
    ],
    "Mapping": [(RowMapping(labels={"a": "b"}), RowMapping(labels={"a": "b"}))],
    "Document": [
        (1.1, REFUSED),
        (["a"], REFUSED),
        (Path("~/r.json"), f"{HOME}/r.json"),
        (Path("{{ ds }}"), REFUSED),
        ({"day": DAY}, {"day": "2026-11-25"}),
    ],
    "Policy": [(TYPED, TYPED), (Path("r.yaml"), "r.yaml"), (1.1, REFUSED)],
    "Place": [
        (1.1, REFUSED),
        (Path("~/r.json"), Path(f"{HOME}/r.json")),
        (Path("r.json"), Path("r.json")),
        (Path("{{ ds }}"), REFUSED),
    ],
    "Folder": [(Path("~/r"), f"{HOME}/r"), (Path("{{ ds }}"), REFUSED)],
    "Source": [
        ([Path("a.jsonl"), "~/b.jsonl"], [Path("a.jsonl"), f"{HOME}/b.jsonl"]),
        (Path("~/a.jsonl"), Path(f"{HOME}/a.jsonl")),
        (Path("{{ ds }}.jsonl"), REFUSED),
        ([Path("{% x %}.jsonl")], REFUSED),
    ],
}
"""The same for what only stands in a DAG, or is the output of another task."""


def kind_of(operator: type, name: str) -> tuple[str, bool]:
    """Return the name of an argument's kind, and whether it must be given."""
    kind = operator.templated[name]
    inner = getattr(kind, "kind", kind)
    return type(inner).__name__.removesuffix("Argument"), inner is not kind


def cases(operator: type, *tables: dict[str, list[tuple[Any, Any]]]) -> Iterator[tuple[str, Any, Any]]:
    """Yield argument, value, what it is read as."""
    for name in operator.template_fields:
        kind, needed = kind_of(operator, name)
        for value, read in (pair for table in tables for pair in table.get(kind, ())):
            each_counts = (
                name in {"job_id", "reference_ids"} and isinstance(value, (list, tuple)) and None in value
            )
            yield name, value, REFUSED if each_counts or (needed and read in (None, [])) else read


@pytest.fixture(scope="module")
def dags() -> dict[bool, Any]:
    """A DAG that renders to text, and one that renders natively."""
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return {
        native: DAG(f"d{native}", schedule=None, start_date=start, render_template_as_native_obj=native)
        for native in (False, True)
    }


def read(dag: Any, operator: type, name: str, written: Any, found: Any) -> Any:
    """Return what becomes of one argument, REFUSED if its name is in the error."""
    task_id = f"task{next(NUMBERS)}"
    try:
        task = operator(task_id=task_id, dag=dag, **{**TASKS[operator], name: written})
        task.render_template_fields({"found": found, "task": task}, dag.get_template_env())
        task.read_arguments()
    except NucleusConfigError as error:
        by_name = str(error).startswith((f"Task '{task_id}': {name} ", f"{name}: "))
        return REFUSED if by_name and error.field == name else error
    value = getattr(task, name)
    task.read_arguments()  # as a task does that wakes up

    assert getattr(task, name) == value
    return value


def differences(
    dag: Any, operator: type, table: Iterable[tuple[str, Any, Any]], *, template: bool
) -> list[Any]:
    """Return the rows of a table that are read otherwise."""
    wrong = []
    for name, value, wanted in table:
        got = read(dag, operator, name, *(("{{ found }}", value) if template else (value, None)))
        if not (got is wanted or (got == wanted and type(got) is type(wanted))):
            wrong.append((name, value, wanted, got))
    return wrong


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("operator", TASKS, ids=lambda cls: cls.__name__)
def test_an_argument_of_a_dag(dags, operator, native):
    """It is read as what it means, or refused by name."""
    assert differences(dags[native], operator, cases(operator, READ, GIVEN), template=False) == []


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("operator", TASKS, ids=lambda cls: cls.__name__)
def test_what_a_template_finds(dags, operator, native):
    """It is read alike however the DAG renders: no spelling is lost."""
    assert differences(dags[native], operator, cases(operator, READ), template=True) == []


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_every_label_of_a_mapped_task_is_text(dags, native):
    """Airflow takes its length when the work is done: a number has none, and the task fails on every try."""
    for operator, arguments in TASKS.items():
        for value in ("20261125", "True", "1e5", "None", "[1]", "'a'"):
            given = dict.fromkeys(arguments, value)
            task = operator(task_id=f"task{next(NUMBERS)}", dag=dags[native], **given)
            environment = dags[native].get_template_env()
            label = environment.from_string(task.map_index_template).render({"task": task})

            assert isinstance(label, str), (operator, value)
            assert label == task.map_label


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_members_keep_their_spelling(dags, native):
    """Templates and constants in a list or an object; a number that a template finds is one natively."""
    task = NucleusCreateModelOperator(
        task_id=f"task{next(NUMBERS)}",
        dag=dags[native],
        reference_id="{{ found }}",
        tags=["{{ found }}", "1.10", "True"],
        metadata={"version": "{{ found }}", "build": "0123", "size": "{{ 12 }}", "nested": [{"x": "1e5"}]},
    )
    task.render_template_fields({"found": "1.10"}, dags[native].get_template_env())
    task.read_arguments()

    assert task.tags == ["1.10", "1.10", "True"]
    assert task.metadata == {
        "version": "1.10",
        "build": "0123",
        "size": 12 if native else "12",
        "nested": [{"x": "1e5"}],
    }


def test_every_class_has_its_table():
    """A new operator, and a new kind of argument, come into the table."""
    bases = {NucleusAnnouncingOperator}
    assert {cls for cls in PUBLIC if set(cls.template_fields) > {"nucleus_conn_id"}} - bases <= set(TASKS)
    assert all(set(operator.template_fields) == set(operator.templated) for operator in TASKS)
    assert {kind_of(operator, name)[0] for operator in TASKS for name in operator.templated} == set(READ)
