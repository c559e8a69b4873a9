"""Boxes checked by column: never other than what the schema makes of their rows; rows that are columns until asked for."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.gating.column_bins import leading_bytes
from airflow_provider_nucleus.schema.annotation_table import parse_annotation, parse_prediction
from airflow_provider_nucleus.schema.batches import ColumnRows
from airflow_provider_nucleus.schema.box_columns import check_box_columns, gather_columns
from airflow_provider_nucleus.schema.checks import COORDINATE_LIMIT

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-2, 2),
    st.sampled_from([
        "",
        " ",
        ".",
        "..",
        "car",
        "é",
        "\ud800",
        float("nan"),
        float("inf"),
        2**60,
        10**400,
        [],
        {},
    ]),
    st.sampled_from([{"a": 1.0}, {"a": 0.5}, {"a": {"b": float("nan")}}]),
)
GOOD = {
    "type": "box", "label": "car", "reference_id": "i1", "annotation_id": "a1", "metadata": {"k": [1, None]},
    "confidence": 0.5, "class_pdf": {"car": 0.25, "van": 0.75}, "track_reference_id": None, "task_id": None,
    "embedding_vector": None,
}  # fmt: skip
SIDES = {"x": 1, "y": 2.5, "width": 3, "height": 4}
OF_PREDICTIONS = {"confidence", "class_pdf"}


def columns_of(count: int) -> dict:
    return {name: [value] * count for name, value in GOOD.items()} | {
        "geometry": {name: [value] * count for name, value in SIDES.items()}
    }


@given(
    predictions=st.booleans(),
    dropped=st.sets(st.sampled_from(sorted(GOOD)), max_size=4),
    changed=st.lists(
        st.tuples(st.sampled_from([*GOOD, *SIDES, "colour"]), st.integers(0, 2), ODD), max_size=3
    ),
)
@settings(max_examples=400, deadline=None)
def test_columns_are_never_taken_for_good_wrongly(predictions, dropped, changed):
    """For columns with any mixture of odd cells: what passes is, row by row, what the schema makes of it."""
    columns = columns_of(3)
    for name in dropped | (set() if predictions else OF_PREDICTIONS):
        del columns[name]
    for name, at, value in changed:
        place = columns["geometry"] if name in SIDES else columns
        place.setdefault(name, [None] * 3)[at] = value

    boxes = check_box_columns(columns, predictions=predictions)

    if boxes is not None:
        parse = parse_prediction if predictions else parse_annotation
        wires = [parse(row).to_wire() for row in ColumnRows(columns, 3)]
        assert list(boxes.labels) == [wire["label"] for wire in wires]
        assert list(zip(*boxes.sides, strict=True)) == [tuple(wire["geometry"].values()) for wire in wires]
        assert list(boxes.references) == [wire["reference_id"] for wire in wires]
        assert list(boxes.ids) == [wire["annotation_id"] for wire in wires]
        assert (boxes.metadata or [{}] * 3) == [wire["metadata"] for wire in wires]
        assert (boxes.confidences or [None] * 3) == [wire.get("confidence") for wire in wires]
        assert (boxes.class_pdfs or [None] * 3) == [wire.get("class_pdf") for wire in wires]
        assert len(boxes) == 3
        assert list(boxes.extents) == list(map(leading_bytes, boxes.sides[2:]))
        assert list(boxes.label_counts.items()) == list(Counter(boxes.labels).items())
        assert list(boxes.reference_counts.items()) == list(Counter(boxes.references).items())
        assert boxes.least_confidence == (min(boxes.confidences) if boxes.confidences else None)


@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize("value", [0, -0.0, 5e-324, 2.0**49, 2**49 - 1, 2.0**53, 2**53, 2**53 + 1, 2.0**54, math.nan, math.inf, 10**400])  # fmt: skip
@pytest.mark.parametrize("sign", [1, -1])
def test_sides_pass_that_the_schema_lets_pass(name, value, sign):
    """The bytes of a number say at once that it is small; of others its value decides, as in the schema."""
    columns = columns_of(3)
    columns["geometry"][name][1] = sign * value
    try:
        parse_prediction(ColumnRows(columns, 3)[1])
        good = True
    except NucleusValidationError:
        good = False

    assert (check_box_columns(columns, predictions=True) is not None) == good


@pytest.mark.parametrize("predictions", [True, False])
@pytest.mark.parametrize("dropped", [set(), {"annotation_id", "metadata", "class_pdf"}])
def test_plain_columns_pass(predictions, dropped):
    """Otherwise the property above would hold for nothing."""
    columns = columns_of(3)
    for name in dropped | (set() if predictions else OF_PREDICTIONS):
        columns.pop(name, None)

    assert check_box_columns(columns, predictions=predictions) is not None


@pytest.mark.parametrize("name", ["label", "reference_id", "annotation_id", "metadata", "type"])
def test_a_field_that_is_still_an_object_is_left_to_the_rows(name):
    """Members of a field are no cells of it, however many there are."""
    columns = columns_of(1) | {name: {"box": ["box"]}}

    assert check_box_columns(columns, predictions=True) is None


def test_rows_with_one_set_of_keys_become_columns():
    """Whatever order the keys come in; and what is no box, or has other keys than its neighbours, is left to the rows."""
    row = {"type": "box", "label": "car", "geometry": {"x": 1, "y": 2}}
    turned = {"geometry": {"y": 4, "x": 3}, "label": "van", "type": "box"}

    assert gather_columns([row, turned]) == {
        "type": ("box", "box"),
        "label": ("car", "van"),
        "geometry": {"x": (1, 3), "y": (2, 4)},
    }
    for odd in (
        [],
        [row, row | {"colour": "red"}],
        [row, {"type": "box", "label": "car", "colour": "red"}],
        [row, row | {"geometry": None}],
        [row, row | {"geometry": {"x": 1, "z": 2}}],
        [row, row | {"geometry": {}}],
        [row, None],
        [{"type": "line"} | row | {"type": "line"}],
        [{"type": "box"}],
    ):
        assert gather_columns(odd) is None


def test_rows_are_made_once_and_leave_out_absent_cells():
    """Who changes a row changes the row that everybody sees, and the columns no longer speak for it."""
    rows = ColumnRows({"a": [1, None], "b": {"x": [None, 2]}, "c": [None, None]}, 2)
    assert rows.untouched
    assert rows.has_all("b")
    assert not rows.has_all("a")
    assert not rows.has_all("d")

    rows[0]["a"] = 5

    assert list(rows) == [{"a": 5, "b": {}}, {"b": {"x": 2}}]
    assert rows[1:] == [{"b": {"x": 2}}]
    assert len(rows) == 2
    assert not rows.untouched


@given(
    sides=st.lists(
        st.tuples(*[st.one_of(st.floats(-1e15, 1e15), st.floats(-1e-3, 1e-3), st.integers())] * 2), min_size=1
    )
)
@example(sides=[(0.00001, 0.0001), (1e14, 1)])
@example(sides=[(1e15, 0.1 + 0.2), (-0.0, 5e-324)])
@settings(max_examples=200, deadline=None)
def test_ids_spell_numbers_as_python_does(sides):
    """Whatever encodes the JSON: an id with `1e-5` in it where `1e-05` is meant would be another object."""
    x = [min(max(x, -COORDINATE_LIMIT), COORDINATE_LIMIT) for x, _ in sides]
    width = [min(abs(width), COORDINATE_LIMIT) for _, width in sides]
    columns = columns_of(len(sides)) | {"geometry": {"x": x, "y": x, "width": width, "height": width}}
    del columns["annotation_id"]

    boxes = check_box_columns(columns, predictions=True)

    assert boxes is not None
    assert list(boxes.ids) == [f"car-{x}-{x}-{w}-{w}-i1" for x, w in zip(x, width, strict=True)]
