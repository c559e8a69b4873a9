"""The short way through validation must agree with the long one."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus import schema
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema import annotations, predictions

numbers = (
    st.integers(-3, 300)
    | st.floats(-1, 300)
    | st.sampled_from([
        0,
        -0.0,
        1,
        0.5,
        True,
        None,
        "1",
        float("nan"),
        float("inf"),
        2**53,
        2**53 + 1,
        10**400,
        -1e-9,
        1e300,
    ])
)
texts = st.sampled_from(["car", "a b", "", " ", "é", "\ud800", "x" * 100, None, 3, True, ["a"]])
metadata = st.sampled_from([
    None,
    {},
    {"a": 1},
    {"a": float("nan")},
    {"a": {"b": [1]}},
    [],
    [1],
    "",
    "x",
    0,
    {1: 2},
])
geometries = st.dictionaries(
    st.sampled_from(["x", "y", "width", "height", "z"]), numbers, max_size=5
) | st.fixed_dictionaries({"x": numbers, "y": numbers, "width": numbers, "height": numbers})
vertices = st.lists(st.fixed_dictionaries({"x": numbers, "y": numbers}, optional={"z": numbers}), max_size=5)
optional_keys = {
    "annotation_id": texts,
    "metadata": metadata,
    "track_reference_id": texts,
    "task_id": texts,
    "dataset_item_id": texts,
    "item_id": texts,
    "dataset_id": texts,
    "embedding_vector": st.sampled_from([None, [], [1.5], ["a"]]),
    "confidence": numbers,
    "class_pdf": st.sampled_from([None, {}, {"a": 1}, {"a": 0.5}, {"a": 0.5, "b": 0.5}, {"": 1}, {"a": "1"}]),
    "unknown": st.just(1),
}
good_keys = {
    "annotation_id": st.sampled_from(["own", None]),
    "metadata": st.sampled_from([None, {}, {"a": 1, "b": "c"}]),
    "track_reference_id": st.sampled_from(["t", None]),
    "task_id": st.none(),
}
good_predictions = {
    "confidence": st.floats(0, 1) | st.integers(0, 1) | st.none(),
    "class_pdf": st.sampled_from([None, {"a": 1}, {"a": 0.5, "b": 0.5}]),
    "dataset_item_id": st.sampled_from(["di_1", None]),
    "dataset_id": st.sampled_from(["ds_1", None]),
}
good_numbers = st.integers(0, 10_000) | st.floats(0, 10_000)
good_points = st.lists(st.fixed_dictionaries({"x": good_numbers, "y": good_numbers}), min_size=3, max_size=5)


def rows(kind, geometry, optional, names=st.just("car")):
    fixed = {"type": st.just(kind), "label": names, "reference_id": names}
    return st.fixed_dictionaries(fixed | {"geometry": geometry}, optional=optional)


mostly_good = st.sampled_from(["car"] * 12) | texts

any_rows = st.one_of(
    rows("box", geometries, optional_keys, mostly_good),
    rows("line", st.fixed_dictionaries({"vertices": vertices}), optional_keys, mostly_good),
    rows(
        "polygon",
        st.fixed_dictionaries({"vertices": vertices}, optional={"x": numbers}),
        optional_keys,
        mostly_good,
    ),
    rows("box", st.sampled_from([None, [], "x", {}]), optional_keys, mostly_good),
)


def outcome(build, row):
    """Return the object, or the complaint."""
    try:
        built = build(copy.deepcopy(row))
    except NucleusValidationError as error:
        return error.field, error.reason
    return type(built), built, json.dumps(built.to_wire()), list(built.__dict__)


@pytest.mark.parametrize(
    ("parse", "types"),
    [
        (schema.parse_annotation, annotations.ANNOTATION_TYPES),
        (schema.parse_prediction, predictions.PREDICTION_TYPES),
    ],
)
@given(row=any_rows)
@settings(max_examples=300, deadline=None)
def test_both_ways_agree_about_any_row(parse, types, row):
    """Same object, same bytes, or same complaint."""
    assert outcome(types[row["type"]].parse, row) == outcome(parse, row)


@pytest.mark.parametrize(
    ("fast", "types", "more"),
    [
        (annotations._FAST, annotations.ANNOTATION_TYPES, {}),
        (predictions._FAST, predictions.PREDICTION_TYPES, good_predictions),
    ],
)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_plainly_good_row_takes_the_short_way(fast, types, more, data):
    """A builder that always hesitates would be right, and useless."""
    box = st.fixed_dictionaries({
        "x": good_numbers,
        "y": good_numbers,
        "width": good_numbers,
        "height": good_numbers,
    })
    chain = st.fixed_dictionaries({"vertices": good_points})
    kind = data.draw(st.sampled_from(["box", "line", "polygon"]))
    row = data.draw(rows(kind, box if kind == "box" else chain, good_keys | more))

    built = fast[kind](copy.deepcopy(row))

    assert built is not None
    assert outcome(types[kind].parse, row)[1] == built
