"""Filters of charts and examples: what is left, and that charts and examples agree on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nucleus as official
import pytest
from nucleus import EvaluationV2FilterArgs

from tests.local.evaluated import World, world

if TYPE_CHECKING:
    from nucleus.evaluation_v2 import EvaluationV2

    from airflow_provider_nucleus.local.testing import LocalNucleus
    from tests.local.conftest import Api

ITEMS = {
    "a": {"weather": "rain", "hour": 7, "tag/x": "1"},
    "b": {"weather": "sun", "hour": 12},
    "c": {"weather": "sun", "hour": 13, "wet": True},
}
TRUTH = [
    ("a", "car", 0), ("a", "car", 100), ("a", "bus", 200),
    ("b", "car", 0), ("b", "bus", 100),
    ("c", "car", 0),
]  # fmt: skip
PREDICTIONS = [
    ("a", "car", 0, 0.9), ("a", "car", 104, 0.8), ("a", "car", 200, 0.7), ("a", "car", 900, 0.6),
    ("b", "car", 1, 0.5), ("b", "bus", 106, 0.4), ("b", "bus", 800, 0.3),
    ("c", "car", 2, 0.2), ("c", "car", 3, 0.1),
]  # fmt: skip
# a: car TP; car IoU 6/14 below 0.5 (FP, FN); car on bus (FP, FN); background. b: car TP 9/11; bus 4/16 (FP, FN); background.
# c: car TP 8/12; duplicate.


@pytest.fixture(scope="module")
def evaluated(nucleus: LocalNucleus) -> tuple[World, EvaluationV2]:
    """One evaluation for all questions of this file."""
    patch = pytest.MonkeyPatch()
    patch.setattr("nucleus.async_job.JOB_POLLING_INTERVAL", 0.01)
    found = world(
        official.NucleusClient(api_key=nucleus.api_key, endpoint=nucleus.url), ITEMS, TRUTH, PREDICTIONS
    )
    evaluation = found.evaluate()
    patch.undo()
    return found, evaluation


def asked(evaluation: EvaluationV2, filters: Any = None, query: str | None = None) -> tuple[int, int, int]:
    """Return (tp, fp, fn) of the charts, after comparing them with the examples."""
    counts = evaluation.charts(filters=filters, query=query).totalCounts
    totals = [
        evaluation.examples(match_type=kind, limit=1, filters=filters, query=query).total
        for kind in ("TP", "FP", "FN", None)
    ]
    assert totals == [counts.tp, counts.fp, counts.fn, counts.tp + counts.fp + counts.fn]
    return counts.tp, counts.fp, counts.fn


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, (3, 6, 3)),
        # Items.
        ({"item_metadata": [{"key": "weather", "op": "EQ", "value": "rain"}]}, (1, 3, 2)),
        ({"item_metadata": [{"key": "hour", "op": "GT", "value": 7}]}, (2, 3, 1)),
        ({"item_metadata": [{"key": "hour", "op": "IN", "value": [7, 13, "12"]}]}, (2, 4, 2)),
        (
            {"item_metadata": [{"key": "hour", "op": "IN", "value": [7, 13, "12", *range(100, 30_000)]}]},
            (2, 4, 2),
        ),
        ({"item_metadata": [{"key": "tag/x", "op": "EQ", "value": "1"}]}, (1, 3, 2)),
        ({"item_metadata": [{"key": "wet", "op": "EQ", "value": True}]}, (1, 1, 0)),
        ({"item_metadata": [{"key": "nobody", "op": "EQ", "value": None}]}, (0, 0, 0)),
        # Predictions: ground truth they no longer find is missed.
        ({"confidence_range": {"min": 0.5}}, (2, 3, 4)),
        ({"confidence_range": {"min": 0.15, "max": 0.45}}, (1, 2, 5)),
        # Labels: one side given alone holds for the other.
        ({"pred_labels": ["bus"]}, (0, 2, 2)),
        ({"gt_labels": ["bus"]}, (0, 3, 2)),
        ({"pred_labels": ["car"], "gt_labels": ["bus"]}, (0, 1, 2)),
        ({"pred_labels": ["car"], "gt_labels": ["car"]}, (3, 3, 1)),
        ({"pred_labels": ["dog"]}, (0, 0, 0)),
        ({"pred_labels": []}, (3, 6, 3)),
        # Areas: all boxes have 100 square pixels.
        ({"gt_area_range": {"min": 100, "max": 100}}, (3, 6, 3)),
        ({"gt_area_range": {"min": 101}}, (0, 0, 0)),
        # Rows of the match.
        ({"iou_range": {"min": 0.7}}, (2, 1, 0)),
        ({"label_equality": "EQ"}, (3, 2, 0)),
        ({"label_equality": "NEQ"}, (0, 1, 0)),
        ({"has_ground_truth": True}, (3, 3, 3)),
        ({"has_ground_truth": False}, (0, 3, 0)),
        ({"tide_background": True}, (0, 2, 0)),
        ({"tide_background": False}, (3, 4, 3)),
    ],
)
def test_filters_choose_what_they_say(evaluated, filters: dict[str, Any], expected):
    """Charts count what is expected by hand, examples list as many rows, in both casings."""
    _, evaluation = evaluated

    assert asked(evaluation, EvaluationV2FilterArgs(**filters)) == expected
    assert asked(evaluation, filters) == expected


def test_slices_and_queries_choose_items(evaluated):
    """A slice of the dataset, and the query language over the evaluated predictions."""
    found, evaluation = evaluated
    piece = found.dataset.create_slice("s", ["a"])

    assert asked(evaluation, {"sliceIds": [piece.id]}) == (1, 3, 2)
    assert asked(evaluation, query='metadata.weather = "rain"') == (1, 3, 2)
    assert asked(evaluation, query="predictions.bus >= 1 AND annotations.count = 2") == (1, 2, 1)


def test_prediction_metadata_chooses_predictions(client: official.NucleusClient):
    """Only predictions with the value are left; what the others found is missed, and AP is that of the rest."""
    found = world(client, {"a": {}}, [("a", "car", 0), ("a", "car", 100)], [])
    found.model.upload_predictions([
        official.BoxPrediction(
            "car", x, 0, 10, 10, reference_id="a", dataset_id=found.dataset.id, annotation_id=str(x),
            confidence=confidence, metadata={"head": head},
        )
        for x, confidence, head in ((0, 0.9, 1), (100, 0.8, 2), (3, 0.95, 2))
    ])  # fmt: skip
    evaluation = found.evaluate()
    filters = {"prediction_metadata": [{"key": "head", "op": "EQ", "value": 1}]}

    assert asked(evaluation, filters) == (1, 0, 1)
    # The confident neighbour (x = 3, IoU 7/13) takes the first car under COCO's rule at 0.5; without it the other does.
    assert evaluation.charts().mapSummary.mapAt50 == pytest.approx(84.66666 / 101, abs=0.2)
    assert evaluation.charts(filters=filters).mapSummary.mapAt50 == pytest.approx(51 / 101)


@pytest.mark.parametrize(
    "filters",
    [
        {"item_metadata": [{"key": "weather", "op": "EQ", "value": "sun"}]},
        {"pred_labels": ["car"], "gt_labels": ["car"]},
        {"confidence_range": {"min": 0.35}},
        {"confidence_range": {"min": 0.15, "max": 0.85}},
        {"gt_area_range": {"min": 1, "max": 5000}},
    ],
)
def test_ap_under_filters_is_that_of_what_is_left(client: official.NucleusClient, evaluated, filters):
    """The same objects uploaded alone give the same AP, whether it was read or matched again."""
    _, evaluation = evaluated
    low, high = (filters.get("confidence_range", {}).get(end) for end in ("min", "max"))
    labels = filters.get("pred_labels", ["car", "bus"])
    names = ["b", "c"] if "item_metadata" in filters else ["a", "b", "c"]
    alone = world(
        client,
        {name: ITEMS[name] for name in names},
        [row for row in TRUTH if row[0] in names and row[1] in labels],
        [
            row
            for row in PREDICTIONS
            if row[0] in names and row[1] in labels and (low or 0) <= row[3] <= (high or 1)
        ],
    ).evaluate()

    expected, found = alone.charts(), evaluation.charts(filters=filters)

    assert found.mapSummary.dict() == pytest.approx(expected.mapSummary.dict(), abs=1e-12)
    assert found.apBySize.small == pytest.approx(expected.apBySize.small, abs=1e-12)
    assert [entry.dict() for entry in found.perClassAp] == [entry.dict() for entry in expected.perClassAp]


def test_ap_is_null_where_rows_of_the_match_are_chosen(evaluated):
    """Choosing matches by their overlap leaves no recall to speak of."""
    _, evaluation = evaluated

    charts = evaluation.charts(filters={"iouRange": {"min": 0.7}})

    assert (charts.mapSummary.mapAt50, charts.apBySize.small, charts.perClassAp, charts.prCurve) == (
        None,
        None,
        [],
        [],
    )
    assert charts.totalCounts.tp == 2


def test_confusions_stay_visible_under_a_label_filter(evaluated):
    """The bus that was called car shows in the row of buses and in the column of cars."""
    _, evaluation = evaluated

    def cells(**filters) -> dict[tuple[str, str], int]:
        found = evaluation.charts(filters=filters).confusionMatrix
        return {(entry.gtLabel, entry.predLabel): entry.count for entry in found}

    assert cells(gtLabels=["bus"])["bus", "car"] == 1
    assert cells(predLabels=["car"])["bus", "car"] == 1


def test_examples_are_sorted_paged_and_complete(evaluated):
    """Every row once over all pages, in the order asked for, nulls last; raw records and metadata beside them."""
    _, evaluation = evaluated

    rows = [
        row
        for offset in range(0, 12, 5)
        for row in evaluation.examples(limit=5, offset=offset, sort_by="confidence").rows
    ]
    by_overlap = evaluation.examples(sort_by="iou", sort_order="ASC").rows
    first = rows[0]

    assert len({row.id for row in rows}) == 12
    assert [row.confidence for row in rows] == [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, None, None, None]
    known = [row.iou for row in by_overlap if row.iou is not None]
    assert known == sorted(known)
    assert [row.iou for row in by_overlap[len(known) :]] == [None] * (12 - len(known))
    assert (first.match_type, first.true_positive, first.iou, first.gt_area) == ("TP", True, 1.0, 100.0)
    assert first.item_metadata == ITEMS["a"]
    assert (first.prediction_row["annotation_id"], first.annotation_row["annotation_id"]) == ("p0", "g0")
    assert first.model_prediction_id.startswith("pred_")
    assert first.ground_truth_annotation_id.startswith("ann_")
    below = next(row for row in rows if row.confidence == 0.8)
    assert (below.match_type, below.iou) == ("FP", pytest.approx(6 / 14))
    assert below.ground_truth_annotation_id is not None


def test_filter_schema_lists_labels_and_metadata(evaluated):
    """Labels of each side and the fields of the items with their types."""
    _, evaluation = evaluated

    schema = evaluation.filter_schema()

    assert (schema.gt_labels, schema.pred_labels) == (["bus", "car"], ["bus", "car"])
    assert {field.key: (field.value_type, field.values) for field in schema.metadata_fields} == {
        "hour": ("number", ["12", "13", "7"]),
        "tag/x": ("string", ["1"]),
        "weather": ("string", ["rain", "sun"]),
        "wet": ("boolean", ["true"]),
    }


@pytest.mark.parametrize(
    ("route", "body", "text"),
    [
        ("charts", {"iouThreshold": 0}, "iouThreshold"),
        ("charts", {"iouThreshold": "0.5"}, "iouThreshold"),
        ("charts", {"filters": {"labels": ["a"]}}, "Unknown filters ['labels']; it takes confidence_range, "),
        ("charts", {"filters": {"iouRange": {"min": 1, "max": 0}}}, "min is greater"),
        ("charts", {"filters": {"labelEquality": "SAME"}}, "EQ or NEQ"),
        ("charts", {"filters": {"itemMetadata": [{"key": "a", "op": "LIKE", "value": "x"}]}}, "itemmetadata"),
        (
            "charts",
            {"filters": {"itemMetadata": [{"key": "a", "op": "GT", "value": 10**400}]}},
            "itemmetadata",
        ),
        ("charts", {"query": "metadata.hour >"}, "query"),
        ("charts", {"filters": []}, "filters must be an object"),
        ("examples", {"filters": False}, "filters must be an object"),
        ("charts", {"filters": {"sliceIds": ["slc_nope"]}}, "slc_nope"),
        ("examples", {"limit": 101}, "limit"),
        ("examples", {"limit": 0}, "limit"),
        ("examples", {"match_type": "TN"}, "match_type"),
        ("examples", {"sortBy": "size"}, "sortBy must be one of"),
        ("examples", {"sort_order": "UP"}, "sort_order"),
    ],
)
def test_questions_that_cannot_be_meant_are_refused(evaluated, api: Api, route, body, text: str):
    """A 4xx names what is wrong; no filter is ignored."""
    _, evaluation = evaluated

    answer = api("POST", f"evaluationsV2/{evaluation.id}/{route}", json=body)

    assert answer.status_code in {400, 404}, answer.text
    assert text in answer.json()["error"].lower().replace("_", "") or text in answer.json()["error"]


@pytest.mark.parametrize("different", [4, 700], ids=["few texts", "a text each"])
def test_prediction_metadata_of_few_and_of_many_texts(client: official.NucleusClient, different: int):
    """The values that satisfy a filter are found alike, and a text is no number, whatever it says."""
    found = world(client, {"a": {}}, [("a", "car", 0)], [])
    numbers = [n % different for n in range(700)]
    rows = [
        official.BoxPrediction(
            "car", 20 * n, 0, 10, 10, reference_id="a", dataset_id=found.dataset.id, confidence=0.5, annotation_id=f"p{n}",
            metadata={"n": number if number % 2 else str(number), "odd": bool(number % 2)},
        )
        for n, number in enumerate(numbers)
    ]  # fmt: skip
    found.model.upload_predictions(rows)
    evaluation = found.evaluate()

    def count(*predicates: dict) -> int:
        counts = evaluation.charts(filters={"predictionMetadata": list(predicates)}).totalCounts
        return counts.tp + counts.fp

    assert count({"key": "n", "op": "EQ", "value": 3}) == numbers.count(3)
    assert count({"key": "n", "op": "EQ", "value": 2}) == 0
    assert count({"key": "n", "op": "EQ", "value": "2"}) == numbers.count(2)
    assert count({"key": "n", "op": "GT", "value": 1}) == sum(n > 1 and n % 2 for n in numbers)
    assert count({"key": "odd", "op": "EQ", "value": True}) == sum(n % 2 for n in numbers)
    assert count({"key": "n", "op": "IN", "value": [1, "2"]}, {"key": "odd", "op": "EQ", "value": False}) == (
        numbers.count(2)
    )
