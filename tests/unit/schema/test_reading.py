"""What servers return, in all their spellings."""

from __future__ import annotations

import copy
import inspect
import json

import nucleus
import pytest
from nucleus.benchmark import Benchmark as OfficialBenchmark
from nucleus.data_transfer_object import evaluation_v2 as official_charts
from nucleus.evaluation_match import EvaluationMatch as OfficialMatch
from nucleus.evaluation_v2 import EvaluationV2
from nucleus.evaluation_v2_exclusions import (
    BoxAreaExclusionRule,
    LabelExclusionRule,
    MetadataExclusionRule,
)

from airflow_provider_nucleus import schema
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema import charts
from airflow_provider_nucleus.schema.exports import annotations_by_type


def test_an_annotation_with_more_than_we_know_is_read():
    """Servers add keys; single ones are null."""
    read = schema.read_annotation({
        "id": "ann_1",
        "type": "box",
        "label": "car",
        "geometry": {"x": 1, "y": 2, "width": 3, "height": 4, "rotation": None},
        "reference_id": "image_1",
        "dataset_item_id": "di_1",
        "annotation_id": None,
        "metadata": None,
        "created_at": "2026",
    })

    assert (read.dataset_item_id, read.metadata, read.annotation_id) == ("di_1", {}, None)


def test_what_would_be_refused_today_stays_readable():
    """A box of the past may be wrong; it is still there."""
    read = schema.read_prediction({
        "type": "box",
        "label": "",
        "geometry": {"x": -1, "y": None, "width": -3},
        "reference_id": "i",
        "confidence": 1.5,
    })

    assert (read.width, read.y, read.height, read.confidence) == (-3, 0, 0, 1.5)


@pytest.mark.parametrize("kind", ["mask", "segmentation", None, "future"])
def test_a_mask_may_carry_any_type(kind):
    """As the official client reads it."""
    read = schema.read_annotation({
        "type": kind,
        "mask_url": "s3://m.png",
        "annotations": None,
        "reference_id": "i",
    })

    assert isinstance(read, schema.SegmentationAnnotation)
    assert read.annotations == []


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"type": "box", "label": "a", "geometry": {}}, "reference_id"),
        ({"type": "mask", "reference_id": "i"}, "mask_url"),
        ({"type": "keypoints", "label": "a", "geometry": {}, "reference_id": "i"}, "geometry.names"),
        (
            {"type": "cuboid", "label": "a", "geometry": {"position": {"x": 1}}, "reference_id": "i"},
            "geometry.position.y",
        ),
        (
            {"type": "line", "geometry": {"vertices": [{"x": 1}]}, "reference_id": "i"},
            "geometry.vertices.0.y",
        ),
        ({"type": "line", "geometry": {"vertices": {}}, "reference_id": "i"}, None),
        ("text", ""),
    ],
)
def test_what_an_object_cannot_do_without_is_named(payload, field):
    """Where the official client raises a KeyError."""
    if field is None:
        assert schema.read_annotation(payload).vertices == []
        return
    with pytest.raises(NucleusValidationError) as caught:
        schema.read_annotation(payload)

    assert field == caught.value.field


def test_a_prediction_may_be_read_by_item_id_alone():
    """Run-free predictions have no reference id."""
    read = schema.read_prediction({"type": "box", "label": "a", "geometry": {}, "dataset_item_id": "di_1"})

    assert (read.reference_id, read.dataset_item_id) == (None, "di_1")
    with pytest.raises(NucleusValidationError):
        schema.read_prediction({"type": "box", "label": "a", "geometry": {}})


ITEM_SPELLINGS = [
    {"reference_id": "1", "image_url": "a.png", "metadata": None},
    {"ref_id": "1", "original_image_url": "a.png", "metadata": {}},
    {"ref_id": "1", "reference_id": "other", "processed_url": "a.png", "image_url": "b.png"},
    {"reference_id": "1", "url": "a.png"},
    {"reference_id": "1", "url": "a.png", "type": "image", "dataset_item_id": "di_1", "phash": "0" * 64},
]


@pytest.mark.parametrize("payload", ITEM_SPELLINGS)
def test_an_item_is_read_in_any_spelling(payload):
    """The same precedence as the official client."""
    read = schema.DatasetItem.from_wire(payload)
    official = nucleus.DatasetItem.from_json(copy.deepcopy(payload))

    assert (read.reference_id, read.image_location) == ("1", "a.png")
    assert (official.reference_id, official.image_location) == (read.reference_id, read.image_location)
    assert (official.dataset_item_id, official.phash) == (read.dataset_item_id, read.phash)


@pytest.mark.parametrize(
    "payload", [{}, {"reference_id": "1"}, {"image_url": "a.png"}, {"reference_id": "1", "url": "a.bin"}]
)
def test_an_item_without_a_name_or_a_place_is_refused(payload):
    """Exactly one location, and a reference id."""
    with pytest.raises(NucleusValidationError):
        schema.DatasetItem.from_wire(payload)


def test_an_export_row_stamps_its_objects_with_the_item():
    """Exports leave the ids of the item out."""
    row = schema.ExportRow.from_wire({
        "item": {"reference_id": "1", "image_url": "a.png", "dataset_item_id": "di_1"},
        "box": [{"type": "box", "label": "a", "geometry": {"x": 1, "y": 2, "width": 3, "height": 4}}],
        "polygon": [],
        "line": [],
        "keypoints": [],
        "cuboid": [],
        "category": [{"label": "day", "reference_id": None}],
        "multicategory": [],
        "segmentation": {"mask_url": "m.png", "annotations": []},
    })

    assert (row.objects["box"][0].reference_id, row.objects["box"][0].dataset_item_id) == ("1", "di_1")
    assert row.objects["category"][0].reference_id == "1"
    assert row.objects["segmentation"][0].reference_id == "1"
    assert {"box", "category", "segmentation"} == set(row.objects)


def test_objects_by_type_skip_what_nobody_knows():
    """Newer servers may know more kinds."""
    assert annotations_by_type({"hologram": [{"a": 1}], "box": []}) == {}
    with pytest.raises(NucleusValidationError) as caught:
        annotations_by_type({"box": [{"label": "a"}]})
    assert caught.value.field == "box.0.reference_id"


MATCHES = [
    {"true_positive": True, "model_prediction_label": "a", "ground_truth_annotation_label": "b"},
    {"true_positive": False, "model_prediction_label": "a", "ground_truth_annotation_label": "a"},
    {"true_positive": False, "model_prediction_label": "a", "ground_truth_annotation_label": "b"},
    {"model_prediction_label": "a", "ground_truth_annotation_label": None},
    {"model_prediction_label": None, "ground_truth_annotation_label": "b", "true_positive": None},
]


@pytest.mark.parametrize("labels", MATCHES)
def test_a_match_counts_as_the_official_client_counts_it(labels):
    """Equal labels win over the flag."""
    payload = {"model_run_id": "run_1", "iou": 0.5, "dataset_item_id": "di_1"} | labels

    expected = OfficialMatch.from_json(payload).confusion_category.value
    assert expected == schema.EvaluationMatch.from_wire(payload).confusion_category.value


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Queued", "pending"),
        ("Running", "pending"),
        ("Completed", "succeeded"),
        ("Errored", "failed"),
        ("Errored_Server", "failed"),
        ("Errored_User", "failed"),
        ("Errored_Hanging", "failed"),
        ("Errored_Partial", "partial"),
        ("Cancelled", "cancelled"),
        ("Retried", "cancelled"),
        ("Unheard_Of", "failed"),
        ("", "failed"),
        ("running", "pending"),
    ],
)
def test_a_status_means_what_it_means_for_someone_who_waits(status, state):
    """Unknown ones fail closed."""
    assert state == schema.job_state(status)
    assert (state == "pending") == (not schema.job_state(status).terminal)


def test_every_status_of_the_official_client_is_known():
    """None of them is told by the fallback alone, except the errors."""
    from nucleus.async_job import JobStatus as OfficialStatus

    states = {each.value: schema.job_state(each.value) for each in OfficialStatus}
    assert {name for name, state in states.items() if state == "failed"} == {
        name for name in states if name.startswith("Errored") and name != "Errored_Partial"
    }


def test_a_row_error_is_taken_apart():
    """JSON in either casing, or any text."""
    row = json.dumps({
        "annotation": {"referenceId": "a", "annotationId": "b", "type": "box"},
        "error": "no such item",
    })

    assert _ids(schema.RowError.from_wire(row)) == ("no such item", "a", "b")
    assert _ids(schema.RowError.from_wire('{"prediction": {"reference_id": "c"}, "error": "no"}')) == (
        "no",
        "c",
        None,
    )
    assert _ids(schema.RowError.from_wire("plain text")) == ("plain text", None, None)
    assert _ids(schema.RowError.from_wire('{"a": 1}')) == ('{"a": 1}', None, None)
    assert _ids(schema.RowError.from_wire('{"error": "x", "annotation": null}')) == ("x", None, None)


def _ids(error):
    return error.reason, error.reference_id, error.annotation_id


def test_null_lists_read_as_none_of_them():
    """Servers send null where they mean empty."""
    info = schema.DatasetInfo.from_wire({
        "dataset_id": "ds_1",
        "name": "n",
        "length": 0,
        "model_run_ids": None,
        "slice_ids": None,
        "tags": None,
    })
    model = schema.Model.from_wire({
        "id": "prj_1",
        "name": "m",
        "ref_id": "r",
        "metadata": None,
        "tags": None,
    })
    answer = schema.UploadAnswer.from_wire({"dataset_id": "ds_1", "annotations_processed": 2, "errors": None})

    assert (info.model_run_ids, info.slice_ids, info.tags) == ([], [], [])
    assert (model.metadata, model.tags, model.reference_id) == ({}, [], "r")
    assert (answer.processed, answer.ignored, answer.errors) == (2, 0, [])


CHARTS = {
    "mapSummary": {"mapAt50": 0.5, "mapAt75": None, "mapAt5095": 0.25},
    "perClassAp": [{"classLabel": "car", "ap": 0.5}],
    "confusionMatrix": [{"gtLabel": "car", "predLabel": "", "count": 3}],
    "scoreHistogram": [{"bucketMin": 0.0, "bucketMax": 0.1, "count": 2}],
    "computedIouRanges": [0.5, 0.75],
    "totalCounts": {"tp": 1, "fp": 2, "fn": 3, "predsWithConfidence": 4},
    "apBySize": {"small": None, "medium": 0.5, "large": 1.0},
    "prCurve": [{"classLabel": "car", "recall": 0.5, "precision": 1.0}],
    "tideAttribution": {
        "truePositive": 1,
        "localization": 2,
        "classification": 3,
        "both": 4,
        "duplicate": 5,
        "background": 6,
        "missed": 7,
    },
}


def test_charts_are_read_and_spelt_as_on_the_wire():
    """The official client reads what we write."""
    read = schema.EvaluationCharts.from_wire(CHARTS | {"future": 1})

    assert read.to_wire() == CHARTS
    assert official_charts.EvaluationV2Charts.parse_obj(read.to_wire()).mapSummary.mapAt50 == 0.5
    assert (
        read.map_summary.map_at50,
        read.map_summary.map_at75,
        read.tide_attribution.missed,
    ) == (0.5, None, 7)


@pytest.mark.parametrize("key", CHARTS)
def test_charts_without_one_of_their_keys_are_refused(key):
    """All nine are promised."""
    with pytest.raises(NucleusValidationError, match=key):
        schema.EvaluationCharts.from_wire({name: CHARTS[name] for name in CHARTS if name != key})


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {
            "confidence_range": {"min": 0.5},
            "iou_range": {"max": 0.25},
            "gt_area_range": {"min": 0, "max": 1024},
        },
        {"pred_labels": ["a"], "gt_labels": [], "slice_ids": ["slc_1"], "label_equality": "NEQ"},
        {"has_ground_truth": False, "tide_background": True},
        {"item_metadata": [{"key": "a_b", "op": "IN", "value": ["x_y", {"k_k": 1}]}]},
    ],
)
def test_filters_are_spelt_as_the_official_client_spells_them(arguments):
    """Keys in camel case, values untouched."""
    expected = official_charts.EvaluationV2FilterArgs(**arguments).to_api_filters()

    assert expected == schema.EvaluationFilters(**arguments).to_wire()


@pytest.mark.parametrize(
    ("official", "ours"),
    [
        (MetadataExclusionRule("k", "IN", [1]), schema.MetadataExclusionRule("k", "IN", [1])),
        (
            LabelExclusionRule("item", "prediction", ["a"]),
            schema.LabelExclusionRule("item", "prediction", ["a"]),
        ),
        (
            BoxAreaExclusionRule("annotation", "groundTruth", 1.5, None),
            schema.BoxAreaExclusionRule("annotation", "groundTruth", 1.5, None),
        ),
        (
            BoxAreaExclusionRule("item", "prediction", max=9),
            schema.BoxAreaExclusionRule("item", "prediction", max=9),
        ),
    ],
)
def test_exclusion_rules_are_spelt_as_the_official_client_spells_them(official, ours):
    """And can be parsed back."""
    assert json.dumps(official.to_api_dict()) == json.dumps(ours.to_wire())
    assert ours == schema.parse_exclusion_rule(ours.to_wire())


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([{"className": "v", "labels": ["car"]}], [("v", ["car"])]),
        ('[{"class_name": "v", "labels": ["car"]}]', [("v", ["car"])]),
        ([{"labels": ["car"]}, 3, {"class_name": "v", "labels": ["a"]}], [("v", ["a"])]),
        ("nonsense", None),
        (None, None),
    ],
)
def test_rollups_of_an_evaluation_are_read_in_any_spelling(groups, expected):
    """Lists, or JSON in a string; malformed entries are dropped."""
    payload = {"id": "evalv2_1", "status": "pending", "model_run_id": None, "rollup_groups": groups}
    read = schema.Evaluation.from_wire(payload)
    official = EvaluationV2.from_json(payload).rollup_groups

    found = read.rollup_groups and [(group.class_name, group.labels) for group in read.rollup_groups]
    assert expected == found
    assert (official and [(group.class_name, group.labels) for group in official]) == found


def test_an_unknown_status_of_an_evaluation_is_never_success():
    """It fails closed."""
    assert schema.EvaluationState.FAILED is schema.Evaluation.from_wire({"id": "e", "status": "paused"}).state


def test_every_field_of_the_official_objects_is_read():
    """Nothing the official client shows is lost by ours."""
    pairs = [
        (EvaluationV2, schema.Evaluation),
        (OfficialBenchmark, schema.Benchmark),
        (official_charts.EvaluationV2MatchExample, schema.EvaluationExample),
        (official_charts.LeaderboardRankingEntry, schema.LeaderboardEntry),
        (official_charts.LeaderboardF1CurveEntry, schema.F1Curve),
        (official_charts.EvaluationV2FilterSchema, schema.EvaluationFilterSchema),
    ]
    for official, ours in pairs:
        names = {name for name in inspect.signature(official).parameters if not name.startswith("_")}

        assert names <= set(ours.model_fields), official


def test_exported_names_are_sorted_and_real():
    """The surface is what `__all__` says."""
    for module in (schema, charts):
        assert sorted(set(module.__all__), key=str) == sorted(module.__all__, key=str)
        assert all(hasattr(module, name) for name in module.__all__)
