"""The fast path through validation must agree with the long one."""

from __future__ import annotations

import copy
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus import schema
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema import annotation_table, items

odd_numbers = st.sampled_from([
    0,
    -0.0,
    1,
    0.5,
    -1,
    -1e-9,
    True,
    None,
    "1",
    math.nan,
    math.inf,
    -math.inf,
    2**53,
    2**53 + 1,
    10**400,
    1e300,
    [1],
])
odd_texts = st.sampled_from(["a b", "", " ", ".", "..", "é", "\ud800", "x" * 100, None, 3, True, ["a"]])
odd_metadata = st.sampled_from([None, {}, {"a": math.nan}, {"a": {"b": [1]}}, [], [1], "", "x", 0, {1: 2}])
odd_values = {
    "label": odd_texts,
    "reference_id": odd_texts,
    "annotation_id": odd_texts,
    "track_reference_id": odd_texts,
    "task_id": odd_texts,
    "dataset_item_id": odd_texts,
    "item_id": odd_texts,
    "dataset_id": odd_texts,
    "metadata": odd_metadata,
    "embedding_vector": st.sampled_from([None, [], [1.5], ["a"]]),
    "confidence": odd_numbers,
    "class_pdf": st.sampled_from([
        None,
        {},
        {"a": 1},
        {"a": 0.5},
        {"a": 0.5, "b": 0.5},
        {"": 1},
        {"a": "1"},
        [1],
    ]),
    "unknown": st.just(1),
    "geometry": st.sampled_from([None, [], "x", {}, {"vertices": None}]),
    "geometry.x": odd_numbers,
    "geometry.width": odd_numbers,
    "geometry.height": odd_numbers,
    "geometry.unknown": odd_numbers,
    "geometry.vertices": st.sampled_from([
        None,
        [],
        "ab",
        [1, 2, 3],
        [{"x": 1, "y": 2}],
        [{"x": 1, "y": 2}] * 2,
    ]),
    "geometry.vertices.x": odd_numbers,
    "geometry.vertices.unknown": odd_numbers,
}
changes = st.lists(
    st.sampled_from(sorted(odd_values)).flatmap(lambda key: st.tuples(st.just(key), odd_values[key])),
    max_size=2,
)
good_numbers = st.integers(0, 10_000) | st.floats(0, 10_000)
good_geometries = {
    "box": st.fixed_dictionaries({
        "x": good_numbers,
        "y": good_numbers,
        "width": good_numbers,
        "height": good_numbers,
    }),
    "line": st.fixed_dictionaries({
        "vertices": st.lists(
            st.fixed_dictionaries({"x": good_numbers, "y": good_numbers}), min_size=3, max_size=4
        )
    }),
}
good_geometries["polygon"] = good_geometries["line"]
good_annotations = {
    "annotation_id": st.sampled_from(["own", None]),
    "metadata": st.sampled_from([None, {}, {"a": 1, "b": "c"}]),
    "track_reference_id": st.sampled_from(["t", None]),
    "task_id": st.none(),
}
good_predictions = good_annotations | {
    "confidence": st.floats(0, 1) | st.integers(0, 1) | st.none(),
    "class_pdf": st.sampled_from([None, {"a": 1}, {"a": 0.5, "b": 0.5}]),
    "dataset_item_id": st.sampled_from(["di_1", None]),
    "dataset_id": st.sampled_from(["ds_1", None]),
}


def good_rows(optional):
    """Rows nobody can object to."""
    return st.sampled_from(sorted(good_geometries)).flatmap(
        lambda kind: st.fixed_dictionaries(
            {
                "type": st.just(kind),
                "label": st.just("car"),
                "reference_id": st.just("i"),
                "geometry": good_geometries[kind],
            },
            optional=optional,
        )
    )


def changed(row, differences):
    """Put odd values into a good row; None as a whole value sometimes means that the key is gone."""
    row = copy.deepcopy(row)
    for path, value in differences:
        *outer, key = path.split(".")
        place = row
        for name in outer:
            place = place.get(name) if isinstance(place, dict) else None
            if isinstance(place, list):
                place = place[-1] if place else None
        if isinstance(place, dict):
            place[key] = value
    return row


def outcome(build, row):
    """Return the object, or the complaint."""
    try:
        built = build(copy.deepcopy(row))
    except NucleusValidationError as error:
        return error.field, error.reason
    return type(built), built, json.dumps(built.to_wire()), list(built.__dict__)


@pytest.mark.parametrize(
    ("parse", "types", "optional"),
    [
        (schema.parse_annotation, annotation_table.ANNOTATION_TYPES, good_annotations),
        (schema.parse_prediction, annotation_table.PREDICTION_TYPES, good_predictions),
    ],
)
@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_both_ways_agree_about_any_row(parse, types, optional, data):
    """Same object, same bytes, or same complaint."""
    row = changed(data.draw(good_rows(optional)), data.draw(changes))
    gone = data.draw(st.sampled_from([None, None, None, "label", "reference_id", "geometry"]))
    row.pop(gone, None)

    assert outcome(types[row["type"]].parse, row) == outcome(parse, row)


@pytest.mark.parametrize(
    ("fast", "types", "optional"),
    [
        (annotation_table._ANNOTATIONS.fast_paths, annotation_table.ANNOTATION_TYPES, good_annotations),
        (annotation_table._PREDICTIONS.fast_paths, annotation_table.PREDICTION_TYPES, good_predictions),
    ],
)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_plainly_good_row_takes_the_fast_path(fast, types, optional, data):
    """A builder that always hesitates would be right, and useless."""
    row = data.draw(good_rows(optional))

    built = fast[row["type"]](copy.deepcopy(row))

    assert built is not None
    assert outcome(types[row["type"]].parse, row)[1] == built


good_items = st.fixed_dictionaries(
    {"reference_id": st.just("i"), "image_url": st.sampled_from(["s3://b/1.png", "a b.jpg"])},
    optional={
        "metadata": st.sampled_from([None, {}, {"a": 1, "b": [None, 2.5]}]),
        "width": st.integers(1, 9000) | st.none(),
        "height": st.integers(1, 9000) | st.none(),
        "update": st.booleans(),
    },
)
odd_item_values = {
    "reference_id": odd_texts,
    "image_url": odd_texts,
    "image_location": odd_texts,
    "pointcloud_url": odd_texts,
    "metadata": odd_metadata | st.just({"camera_params": {"fx": 1}}),
    "width": odd_numbers,
    "height": odd_numbers,
    "phash": odd_texts,
    "dataset_item_id": odd_texts,
    "unknown": st.just(1),
}
item_changes = st.lists(
    st.sampled_from(sorted(odd_item_values)).flatmap(
        lambda key: st.tuples(st.just(key), odd_item_values[key])
    ),
    max_size=2,
)


@given(row=good_items, differences=item_changes)
@settings(max_examples=300, deadline=None)
def test_both_ways_agree_about_any_item(row, differences):
    """Same object, or same complaint."""
    row = changed(row, differences)

    def slow(payload):
        return items._parse(payload, ignore_unknown=False)

    assert item_outcome(slow, row) == item_outcome(schema.parse_item, row)


@given(row=good_items)
@settings(max_examples=50, deadline=None)
def test_a_plainly_good_item_takes_the_fast_path(row):
    """Millions of them come."""
    assert items._build_plain(row) is not None


def item_outcome(build, row):
    """Return the object with all its fields, or the complaint."""
    try:
        built = build(copy.deepcopy(row))
    except NucleusValidationError as error:
        return error.field, error.reason
    return built, built.__dict__, list(built.__dict__)
