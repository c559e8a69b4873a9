"""What is refused, under which name and why."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nucleus import schema
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.checks import CLASS_PDF_TOLERANCE, check_class_pdf, check_metadata

BOX = {
    "type": "box",
    "label": "car",
    "geometry": {"x": 1, "y": 2, "width": 3, "height": 4},
    "reference_id": "image_1",
}
POLYGON = {
    "type": "polygon",
    "label": "car",
    "geometry": {"vertices": [{"x": 1, "y": 2}, {"x": 3, "y": 4}, {"x": 5, "y": 6}]},
    "reference_id": "image_1",
}
LINE = POLYGON | {"type": "line"}
KEYPOINTS = {
    "type": "keypoints",
    "label": "face",
    "geometry": {
        "keypoints": [{"x": 1, "y": 2, "visible": True}, {"x": None, "y": None, "visible": False}],
        "names": ["a", "b"],
        "skeleton": [[0, 1]],
    },
    "reference_id": "image_1",
}
CUBOID = {
    "type": "cuboid",
    "label": "car",
    "geometry": {"position": {"x": 1, "y": 2, "z": 3}, "dimensions": {"x": 4, "y": 5, "z": 6}, "yaw": 0},
    "reference_id": "cloud_1",
}
MASK = {
    "type": "mask",
    "mask_url": "s3://b/m.png",
    "annotations": [{"label": "road", "index": 1}],
    "reference_id": "image_1",
}
CATEGORY = {"type": "category", "label": "day", "geometry": {}, "reference_id": "image_1"}
MULTI = {"type": "multicategory", "labels": ["a"], "geometry": {}, "reference_id": "image_1"}


def geometry(row, **changes):
    return row | {"geometry": row["geometry"] | changes}


BAD_ANNOTATIONS = [
    ("x", geometry(BOX, x=math.nan), "geometry.x", "finite"),
    ("inf", geometry(BOX, y=math.inf), "geometry.y", "finite"),
    ("text number", geometry(BOX, x="1"), "geometry.x", "number"),
    ("boolean number", geometry(BOX, x=True), "geometry.x", "number"),
    ("null number", geometry(BOX, x=None), "geometry.x", "missing"),
    ("huge", geometry(BOX, x=10**400), "geometry.x", "large"),
    ("huge float", geometry(BOX, x=1e300), "geometry.x", "large"),
    ("negative width", geometry(BOX, width=-1), "geometry.width", "negative"),
    ("negative height", geometry(BOX, height=-0.1), "geometry.height", "negative"),
    ("missing width", BOX | {"geometry": {"x": 1, "y": 2, "height": 3}}, "geometry.width", "missing"),
    ("unknown geometry key", geometry(BOX, w=1), "geometry.w", "not a field"),
    ("geometry is a list", BOX | {"geometry": [1, 2, 3, 4]}, "geometry", "object"),
    ("no geometry", {key: BOX[key] for key in BOX if key != "geometry"}, "geometry.x", "missing"),
    ("empty label", BOX | {"label": ""}, "label", "empty"),
    ("dots as reference", BOX | {"reference_id": ".."}, "reference_id", "must not be . or .."),
    ("dot as reference", BOX | {"reference_id": "."}, "reference_id", "must not be . or .."),
    ("dots as id", BOX | {"annotation_id": ".."}, "annotation_id", "must not be . or .."),
    ("blank label", BOX | {"label": " \t"}, "label", "empty"),
    ("number label", BOX | {"label": 3}, "label", "text"),
    ("null label", BOX | {"label": None}, "label", "missing"),
    ("surrogate label", BOX | {"label": "a\ud800"}, "label", "surrogate"),
    ("no reference id", {key: BOX[key] for key in BOX if key != "reference_id"}, "reference_id", "missing"),
    ("null reference id", BOX | {"reference_id": None}, "reference_id", "missing"),
    ("empty reference id", BOX | {"reference_id": ""}, "reference_id", "empty"),
    ("number id", BOX | {"annotation_id": 7}, "annotation_id", "text"),
    ("metadata list", BOX | {"metadata": [1]}, "metadata", "object"),
    ("metadata nan", BOX | {"metadata": {"a": {"b": [1, math.nan]}}}, "metadata", "a.b.1"),
    ("metadata object", BOX | {"metadata": {"a": object()}}, "metadata", "'a'"),
    ("metadata bytes", BOX | {"metadata": {"a": b"x"}}, "metadata", "bytes"),
    ("metadata key", BOX | {"metadata": {1: 2}}, "metadata", "not text"),
    ("metadata surrogate", BOX | {"metadata": {"a": ["\udfff"]}}, "metadata", "surrogate"),
    ("embedding text", BOX | {"embedding_vector": "abc"}, "embedding_vector", "list"),
    ("embedding nan", BOX | {"embedding_vector": [1, math.nan]}, "embedding_vector", "finite"),
    ("embedding empty", BOX | {"embedding_vector": []}, "embedding_vector", "non-empty"),
    ("misspelt key", BOX | {"lable": "car"}, "lable", "not a field"),
    ("confidence on ground truth", BOX | {"confidence": 0.5}, "confidence", "not a field"),
    (
        "two vertices",
        geometry(POLYGON, vertices=POLYGON["geometry"]["vertices"][:2]),
        "geometry.vertices",
        "at least 3",
    ),
    (
        "one vertex",
        geometry(LINE, vertices=LINE["geometry"]["vertices"][:1]),
        "geometry.vertices",
        "at least 2",
    ),
    ("vertex without y", geometry(POLYGON, vertices=[{"x": 1}] * 3), "geometry.vertices.0.y", "missing"),
    ("vertex nan", geometry(LINE, vertices=[{"x": 1, "y": math.nan}] * 2), "geometry.vertices.0.y", "finite"),
    ("vertex pair", geometry(LINE, vertices=[[1, 2], [3, 4]]), "geometry.vertices.0", ""),
    ("vertices text", geometry(LINE, vertices="12"), "geometry.vertices", ""),
    ("names too few", geometry(KEYPOINTS, names=["a"]), "geometry.names", "one name per"),
    ("names repeated", geometry(KEYPOINTS, names=["a", "a"]), "geometry.names", "'a' twice"),
    ("name empty", geometry(KEYPOINTS, names=["a", ""]), "geometry.names.1", "empty"),
    ("bone outside", geometry(KEYPOINTS, skeleton=[[0, 1], [0, 2]]), "geometry.skeleton.1", "0 to 1"),
    ("bone negative", geometry(KEYPOINTS, skeleton=[[0, -1]]), "geometry.skeleton.0", "0 to 1"),
    ("bone of three", geometry(KEYPOINTS, skeleton=[[0, 1, 1]]), "geometry.skeleton.0", "exactly 2"),
    ("no keypoints", geometry(KEYPOINTS, keypoints=[], names=[]), "geometry.keypoints", "empty"),
    (
        "visible without x",
        geometry(KEYPOINTS, keypoints=[{"x": None, "y": 1, "visible": True}], names=["a"]),
        "geometry.keypoints.0.x",
        "visible",
    ),
    (
        "visible as number",
        geometry(KEYPOINTS, keypoints=[{"x": 1, "y": 1, "visible": 2}], names=["a"]),
        "geometry.keypoints.0.visible",
        "true or false",
    ),
    (
        "negative dimension",
        geometry(CUBOID, dimensions={"x": 1, "y": -2, "z": 3}),
        "geometry.dimensions.y",
        "negative",
    ),
    ("no position", geometry(CUBOID, position=None), "geometry.position", ""),
    ("yaw nan", geometry(CUBOID, yaw=math.nan), "geometry.yaw", "finite"),
    ("mask without url", MASK | {"mask_url": ""}, "mask_url", "empty"),
    ("mask with label", MASK | {"label": "road"}, "label", "not a field"),
    ("segment without label", MASK | {"annotations": [{"index": 1}]}, "annotations.0.label", "missing"),
    (
        "segment index",
        MASK | {"annotations": [{"label": "a", "index": -1}]},
        "annotations.0.index",
        "pixel value",
    ),
    (
        "segment index text",
        MASK | {"annotations": [{"label": "a", "index": "x"}]},
        "annotations.0.index",
        "pixel value",
    ),
    (
        "segment index twice",
        MASK | {"annotations": [{"label": "a", "index": 1}, {"label": "b", "index": "1"}]},
        "annotations.1.index",
        "repeats",
    ),
    ("category without label", CATEGORY | {"label": ""}, "label", "empty"),
    ("category with an id", CATEGORY | {"annotation_id": "a"}, "annotation_id", "not a field"),
    ("multicategory with a number", MULTI | {"labels": ["a", 1]}, "labels.1", "text"),
    ("no type", {key: BOX[key] for key in BOX if key != "type"}, "type", "missing"),
    ("unknown type", BOX | {"type": "boxx"}, "type", "'boxx'"),
    ("type of a wrong type", BOX | {"type": ["box"]}, "type", "must be one of"),
    ("no object", [1, 2], "", "object"),
    ("null", None, "", "object"),
]


@pytest.mark.parametrize(
    ("row", "field", "reason"), [case[1:] for case in BAD_ANNOTATIONS], ids=[c[0] for c in BAD_ANNOTATIONS]
)
def test_a_bad_annotation_is_refused_by_field_and_reason(row, field, reason):
    """The field as it is spelt in the row."""
    with pytest.raises(NucleusValidationError) as caught:
        schema.parse_annotation(row)

    assert field == caught.value.field
    assert reason in caught.value.reason


PREDICTION = BOX | {"confidence": 0.5}

BAD_PREDICTIONS = [
    ("confidence above", PREDICTION | {"confidence": 1.01}, "confidence", "between 0 and 1"),
    ("confidence below", PREDICTION | {"confidence": -0.01}, "confidence", "between 0 and 1"),
    ("confidence percent", PREDICTION | {"confidence": 87}, "confidence", "between 0 and 1"),
    ("confidence nan", PREDICTION | {"confidence": math.nan}, "confidence", "finite"),
    ("confidence text", PREDICTION | {"confidence": "0.5"}, "confidence", "number"),
    ("confidence boolean", PREDICTION | {"confidence": True}, "confidence", "number"),
    ("pdf sum", PREDICTION | {"class_pdf": {"a": 0.5, "b": 0.4}}, "class_pdf", "sums to 0.9"),
    ("pdf empty", PREDICTION | {"class_pdf": {}}, "class_pdf", "sum to 1"),
    ("pdf negative", PREDICTION | {"class_pdf": {"a": 1.5, "b": -0.5}}, "class_pdf", "'a'"),
    ("pdf list", PREDICTION | {"class_pdf": [0.5, 0.5]}, "class_pdf", "map labels"),
    ("pdf null entry", PREDICTION | {"class_pdf": {"a": 1, "b": None}}, "class_pdf", "'b' is missing"),
    ("no target", PREDICTION | {"reference_id": None}, "reference_id", "dataset_item_id"),
    ("task id", PREDICTION | {"taxonomy_name": "t"}, "taxonomy_name", "not a field"),
    ("multicategory", MULTI, "type", "must be one of"),
    ("mask confidence", MASK | {"confidence": 0.5}, "confidence", "not a field"),
]


@pytest.mark.parametrize(
    ("row", "field", "reason"), [case[1:] for case in BAD_PREDICTIONS], ids=[c[0] for c in BAD_PREDICTIONS]
)
def test_a_bad_prediction_is_refused_by_field_and_reason(row, field, reason):
    """Mistakes that would poison metrics."""
    with pytest.raises(NucleusValidationError) as caught:
        schema.parse_prediction(row)

    assert field == caught.value.field
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "row",
    [
        BOX | {"annotation_id": None, "metadata": None, "embedding_vector": None, "task_id": None},
        geometry(BOX, width=0, height=0),
        geometry(BOX, x=-5.5),
        geometry(KEYPOINTS, skeleton=None),
        MASK | {"annotations": [{"label": "a", "index": None}, {"label": "b"}]},
        MASK | {"type": "segmentation"},
        CATEGORY | {"geometry": None},
        MULTI | {"labels": []},
        BOX | {"dataset_item_id": "di_1"},
        BOX | {"label": "été 車"},
    ],
)
def test_what_is_unusual_but_right_is_accepted(row):
    """Nulls for unset keys, empty boxes, text of the world."""
    assert schema.parse_annotation(row)


def test_a_prediction_may_name_its_item_by_either_spelling():
    """Sent as item_id, returned as dataset_item_id."""
    bare = {key: PREDICTION[key] for key in PREDICTION if key != "reference_id"}

    assert schema.parse_prediction(bare | {"item_id": "di_1"}).dataset_item_id == "di_1"
    assert schema.parse_prediction(PREDICTION | {"item_id": "di_1"}).dataset_item_id == "di_1"
    assert schema.parse_prediction(bare | {"dataset_item_id": "di_1"}).dataset_item_id == "di_1"
    assert (
        schema.parse_prediction(bare | {"item_id": "di_1", "dataset_item_id": None}).dataset_item_id == "di_1"
    )


def test_unknown_keys_can_be_ignored_on_request():
    """Servers take what any client sends."""
    row = geometry(BOX, rotation=3) | {"id": "x"}

    assert schema.parse_annotation(row, ignore_unknown=True)


@pytest.mark.parametrize("value", [np.float32(1.5), np.float64(1.5), np.int64(3), np.uint8(3)])
def test_numpy_numbers_become_plain_ones(value):
    """Detectors return them, JSON cannot carry them."""
    box = schema.BoxPrediction("car", value, value, value, value, "image_1", np.float32(0.5))

    assert {"x", "y", "width", "height"} == set(json.loads(json.dumps(box.to_wire()))["geometry"])


def test_constructing_names_the_argument_by_position_too():
    """Positional mistakes are the likeliest."""
    with pytest.raises(NucleusValidationError) as caught:
        schema.BoxAnnotation("car", 0, 0, -1, 1, "image_1")

    assert caught.value.field == "width"


def test_constructing_with_an_unknown_argument_is_refused():
    """As Python would."""
    with pytest.raises(NucleusValidationError, match="colour"):
        schema.BoxAnnotation("car", 0, 0, 1, 1, "image_1", colour="red")


def test_an_object_cannot_be_changed():
    """It may be shared between threads and chunks."""
    box = schema.BoxAnnotation("car", 0, 0, 1, 1, "image_1")

    with pytest.raises(AttributeError):
        box.x = 3


def test_a_complaint_can_be_placed_at_a_row():
    """By whoever knows the row."""
    placed = NucleusValidationError("label", "must not be empty").at(row=17, source="gt.jsonl")

    assert str(placed) == "gt.jsonl: row 17: label: must not be empty"
    assert isinstance(placed, ValueError)


@pytest.mark.parametrize(
    "build", [lambda: schema.parse_annotation(BOX), lambda: schema.parse_annotation(KEYPOINTS)]
)
def test_objects_survive_pickling(build):
    """They cross process boundaries."""
    built = build()

    assert built == pickle.loads(pickle.dumps(built))


def test_the_tolerance_of_a_distribution_is_the_stated_one():
    """Rounded probabilities pass, a forgotten class does not."""
    assert check_class_pdf({"a": 0.5, "b": 0.5 + CLASS_PDF_TOLERANCE * 0.99})
    with pytest.raises(ValueError, match="sum to 1"):
        check_class_pdf({"a": 0.5, "b": 0.5 + CLASS_PDF_TOLERANCE * 1.01})


def test_metadata_that_is_nested_without_end_is_refused():
    """Instead of running out of stack."""
    deep: dict = {}
    for _ in range(1000):
        deep = {"a": deep}

    with pytest.raises(ValueError, match="nested"):
        check_metadata(deep)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters()), json_values, max_size=4))
def test_metadata_is_accepted_exactly_when_strict_json_can_carry_it(metadata):
    """The oracle is the standard library's writer, and UTF-8."""
    try:
        json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
        expected = True
    except ValueError:
        expected = False

    try:
        check_metadata(metadata)
        actual = True
    except ValueError:
        actual = False
    assert expected == actual


BAD_ITEMS = [
    ({"image_url": "s3://b/1.png"}, "reference_id", "missing"),
    ({"reference_id": "1"}, "image_location", "neither"),
    ({"reference_id": "1", "image_url": "a.png", "pointcloud_url": "b.json"}, "image_url", "both"),
    ({"reference_id": "1", "image_url": ""}, "image_url", "empty"),
    ({"reference_id": "..", "image_url": "a.png"}, "reference_id", "must not be . or .."),
    ({"reference_id": ".", "image_url": "a.png"}, "reference_id", "must not be . or .."),
    ({"reference_id": "1", "image_url": "a.png", "width": 0}, "width", "positive"),
    ({"reference_id": "1", "image_url": "a.png", "height": 1.5}, "height", "whole"),
    ({"reference_id": "1", "image_url": "a.png", "metdata": {}}, "metdata", "not a field"),
    ({"reference_id": "1", "image_url": "a.png", "metadata": {"a": math.nan}}, "metadata", "nan"),
    (
        {"reference_id": "1", "image_url": "a.png", "metadata": {"camera_params": {"fx": 1}}},
        "metadata.camera_params.position",
        "missing",
    ),
    ([], "", "object"),
]


@pytest.mark.parametrize(("row", "field", "reason"), BAD_ITEMS)
def test_a_bad_item_is_refused_by_field_and_reason(row, field, reason):
    """Under the name the row uses."""
    with pytest.raises(NucleusValidationError) as caught:
        schema.parse_item(row)

    assert field == caught.value.field
    assert reason in caught.value.reason


def test_an_item_row_may_use_the_names_of_the_arguments():
    """People write what they know from the client."""
    assert schema.parse_item({"reference_id": "1", "image_location": "a.png"}) == schema.parse_item({
        "reference_id": "1",
        "image_url": "a.png",
        "update": True,
    })


@pytest.mark.parametrize(
    ("location", "local"),
    [
        ("a/b.png", True),
        ("/data/b.png", True),
        ("C:\\data\\b.png", True),
        ("file:///data/b.png", True),
        ("s3://b/1.png", False),
        ("gs://b/1.png", False),
        ("gcs://b/1.png", False),
        ("https://x/1.png", False),
        ("http://[", False),
    ],
)
def test_a_location_without_a_scheme_is_a_file_of_this_machine(location, local):
    """Everything else is for the server to fetch."""
    assert local == schema.is_local_location(location)


def test_a_frame_has_exactly_one_point_cloud():
    """And a scene one lidar."""
    image = schema.DatasetItem("s3://b/1.png", "1")
    cloud = schema.DatasetItem(pointcloud_location="s3://b/1.json", reference_id="2")
    other = schema.DatasetItem(pointcloud_location="s3://b/2.json", reference_id="3")

    with pytest.raises(NucleusValidationError, match="exactly one point cloud"):
        schema.LidarScene("s", [schema.Frame(front=image)])
    with pytest.raises(NucleusValidationError, match="one lidar sensor"):
        schema.LidarScene("s", [schema.Frame(a=cloud), schema.Frame(b=other)])
    with pytest.raises(NucleusValidationError, match="used twice"):
        schema.LidarScene("s", [schema.Frame(a=cloud), schema.Frame(a=cloud)])
    with pytest.raises(NucleusValidationError, match="at least one frame"):
        schema.LidarScene("s", [])


@pytest.mark.parametrize("dots", [".", ".."])
@pytest.mark.parametrize(
    "build",
    [
        lambda dots: schema.LidarScene(dots, []),
        lambda dots: schema.VideoScene(dots, video_location="s3://b/v.mp4"),
        lambda dots: schema.DatasetItem(pointcloud_location="s3://b/1.json", reference_id=dots),
        lambda dots: schema.CategoryAnnotation("rain", "a", taxonomy_name=dots),
        lambda dots: schema.CategoryPrediction("rain", dots),
        lambda dots: schema.KeypointsPrediction(
            "car", [schema.Keypoint(1, 1)], ["a"], [], "a", annotation_id=dots
        ),
        lambda dots: schema.SegmentationAnnotation("m.png", [], dots),
    ],
)
def test_what_http_libraries_resolve_is_no_id(build, dots):
    """Of a scene, a frame, an object of any kind, a taxonomy; ids that merely hold such a part are fine."""
    with pytest.raises(NucleusValidationError, match=r"must not be \. or \.\."):
        build(dots)

    assert schema.DatasetItem("s3://b/1.png", f"{dots}/1.png").reference_id == f"{dots}/1.png"


@pytest.mark.parametrize(
    "build",
    [
        lambda: schema.BoxAreaExclusionRule("item", "groundTruth"),
        lambda: schema.BoxAreaExclusionRule("item", "groundTruth", min=5, max=4),
        lambda: schema.BoxAreaExclusionRule("item", "gt", min=5),
        lambda: schema.LabelExclusionRule("items", "prediction", ["a"]),
        lambda: schema.MetadataExclusionRule("a", "NE", 1),
        lambda: schema.MetadataExclusionRule("a", "EQ", 1, "annotation"),
        lambda: schema.parse_exclusion_rule({"type": "size"}),
        lambda: schema.parse_exclusion_rule({
            "type": "labels",
            "scope": "item",
            "target": "prediction",
            "label": [],
        }),
        lambda: schema.RollupGroup("", ["a"]),
        lambda: schema.AllowedLabelMatch("a", ""),
        lambda: schema.EvaluationFilters(labels=["a"]),
        lambda: schema.EvaluationFilters(label_equality="SAME"),
    ],
)
def test_a_wrong_evaluation_argument_is_refused_before_sending(build):
    """The server would refuse it later, with less to go by."""
    with pytest.raises(NucleusValidationError):
        build()
