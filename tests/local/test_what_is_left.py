"""What is read above a confidence is what an evaluation of the predictions above it says, for every number there is.

The oracle is `tests.local.literal_match`, which matches what is left pair by pair.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import nucleus as official
import numpy as np
import pytest

from tests.local.evaluated import World, world
from tests.local.evaluated import predict as add_boxes
from tests.local.literal_match import KINDS, Literal, Object
from tests.local.story import annotate, make_model, predict
from tests.local.test_diagnostics import InterfaceClient
from tests.local.test_evaluation_geometries import charts, evaluate
from tests.shared_data import shared_data

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nucleus.evaluation_v2 import EvaluationV2

    from airflow_provider_nucleus.local.testing import LocalNucleus
    from tests.local.conftest import Api

SETS = 200
LABELS = ("bus", "car", "van")
THRESHOLDS = (0.1, 0.3, 0.5, 0.75)


def random_objects(number: int) -> tuple[list[Object], list[Object]]:
    """Draw a crowded set: many predictions for one object, neighbours of its label, wrong labels, equal confidences."""
    rng = np.random.default_rng(number)
    truths: list[Object] = []
    found: list[Object] = []
    for image in range(2):
        item = f"{number:03d}-{image}"
        for _ in range(rng.integers(1, 5)):
            label = str(rng.choice(LABELS))
            box = (*rng.integers(0, 14, 2).tolist(), *rng.integers(5, 12, 2).tolist())
            truths.append(Object(item, label, box, len(truths)))
            for _ in range(rng.integers(0, 6)):
                moved = np.array(box) + rng.integers(-3, 4, 4)
                moved[2:] = np.maximum(moved[2:], 1)
                other = label if rng.random() < 0.75 else str(rng.choice(LABELS))
                level = None if rng.random() < 0.05 else float(rng.integers(1, 20)) / 20
                found.append(Object(item, other, tuple(moved.tolist()), len(found), level))
    return truths, found


def uploaded(
    client: official.NucleusClient,
    truths: Iterable[Object],
    found: Iterable[Object],
    items: dict[str, Any],
) -> World:
    """Bring objects to the server as a user of the official client does, and make a benchmark of all items."""
    made = world(client, items, [], [], benchmark=False)
    made.dataset.annotate([
        official.BoxAnnotation(one.label, *one.box, reference_id=one.item, annotation_id=f"{one.order:06d}")
        for one in truths
    ])
    add_predictions(made, found)
    made.benchmark = client.create_benchmark("all", dataset_id=made.dataset.id, verbose=False)
    return made


def add_predictions(made: World, found: Iterable[Object]) -> None:
    """Upload run-free predictions."""
    made.model.upload_predictions([
        official.BoxPrediction(
            one.label, *one.box, reference_id=one.item, annotation_id=f"{one.order:06d}",
            confidence=one.confidence, dataset_id=made.dataset.id, metadata={"head": one.order % 3},
        )
        for one in found
    ])  # fmt: skip


@pytest.fixture(scope="module")
def sets() -> list[tuple[list[Object], list[Object]]]:
    """Two hundred random sets."""
    return [random_objects(number) for number in range(SETS)]


@pytest.fixture
def evaluation(client: official.NucleusClient, sets) -> EvaluationV2:
    """One evaluation of all of them, each on items of its own."""
    items = {f"{number:03d}-{image}": {"set": number} for number in range(SETS) for image in range(2)}
    truths = [one for pair in sets for one in pair[0]]
    found = [one for pair in sets for one in pair[1]]
    return uploaded(client, truths, found, items).evaluate()


def read(charts: Any) -> tuple[Any, ...]:
    """Return what charts say about a match at a threshold."""
    total = charts.totalCounts
    cells = {(cell.gtLabel, cell.predLabel): cell.count for cell in charts.confusionMatrix}
    tide = charts.tideAttribution
    return (total.tp, total.fp, total.fn), cells, {kind: getattr(tide, kind) for kind in KINDS}


def test_charts_and_examples_are_those_of_what_is_left(evaluation: EvaluationV2, sets):
    """Counts, confusion, TIDE, curve and example rows, on 200 random sets: above a confidence, within one, of some predictions."""
    for number, (truths, found) in enumerate(sets):
        low, high = number % 17 / 20, 1.0 if number % 3 else 0.85
        threshold = THRESHOLDS[number % len(THRESHOLDS)]
        left = [
            one
            for one in found
            if one.confidence is not None
            and low <= one.confidence <= high
            and (number % 5 or one.order % 3 != 1)
        ]
        filters: dict[str, Any] = {
            "itemMetadata": [{"key": "set", "op": "EQ", "value": number}],
            "confidenceRange": {"min": low, "max": high},
        }
        if number % 5 == 0:
            filters["predictionMetadata"] = [{"key": "head", "op": "IN", "value": [0, 2]}]
        expected = Literal(truths, left)
        counts, cells, tide = read(evaluation.charts(iou_threshold=threshold, filters=filters))

        assert (number, expected.counts(threshold)) == (number, counts)
        assert (number, dict(expected.confusion(threshold))) == (number, cells)
        assert (number, expected.tide(threshold, min(0.1, threshold / 2))) == (number, tide)
        rows = evaluation.examples(filters=filters, limit=100).rows
        kinds = [str(getattr(row.match_type, "value", row.match_type)) for row in rows]
        assert (number, expected.counts(0.5)) == (
            number,
            tuple(kinds.count(kind) for kind in ("TP", "FP", "FN")),
        )
        partners = {
            (one.order, truth.order, round(value, 9))
            for pairs in (expected.match, expected.displayed)
            for one, (truth, value) in pairs.items()
        }
        assert (number, partners) == (number, {
            (int(row.prediction_row["annotation_id"]), int(row.annotation_row["annotation_id"]), round(row.iou, 9))
            for row in rows
            if row.prediction_row and row.annotation_row
        })  # fmt: skip


@pytest.fixture
def own(nucleus: LocalNucleus) -> InterfaceClient:
    """Our own routes."""
    return InterfaceClient(nucleus)


def _curve_of(found: Any) -> list[tuple[float, int, int]]:
    return [(point["confidence"], point["true_positives"], point["predictions"]) for point in found["points"]]


def test_curves_over_confidence_are_those_of_what_is_left(
    evaluation: EvaluationV2, own: InterfaceClient, sets
):
    """F1, precision and recall at every grid point, and the best cut, on 200 random sets: what charts say above it."""
    for number, (truths, found) in enumerate(sets):
        threshold = THRESHOLDS[number % len(THRESHOLDS)]
        filters: dict[str, Any] = {"itemMetadata": [{"key": "set", "op": "EQ", "value": number}]}
        if number % 2:
            filters["gtLabels"] = ["car"]
            truths, found = ([one for one in side if one.label == "car"] for side in (truths, found))
        asked = {"filters": json.dumps(filters), "iouThreshold": threshold}
        curve = own.ok(f"evaluations/{evaluation.id}/f1Curve", **asked)
        whole = Literal(truths, found)
        levels = [point / 100 for point in range(0, 101, 5)]
        expected = [(level, *whole.above(level).counts(threshold)[:2]) for level in levels]

        ours = {level: (correct, kept) for level, correct, kept in _curve_of(curve)}
        assert (
            number,
            [(level, correct, correct + incorrect) for level, correct, incorrect in expected],
        ) == (
            number,
            [(level, *ours[level]) for level in levels],
        )
        if curve["best"] is not None:
            best, level = whole.best_f1(threshold)
            assert (number, pytest.approx(best)) == (number, curve["best"]["f1"]["value"])
            assert best == 0 or (number, level) == (number, curve["best"]["confidence"])
        for entry in own.ok(f"evaluations/{evaluation.id}/prCurves", family="nucleus", **asked)["curves"]:
            for recall, level in zip(entry["recall"], entry["confidence"], strict=True):
                cut = whole.above(level)
                hits = sum(truth.label == entry["label"] for truth in cut.hits(threshold).values())
                assert recall <= hits / entry["ground_truths"] + 1e-9


def crowded(folder: str, models: tuple[str, ...]) -> tuple[list[Object], list[Object]]:
    """Read the boxes of a COCO folder, and the detections of several models as those of one that suppresses nothing."""
    base = shared_data(folder)
    document = json.loads((base / "ground_truth.json").read_text())
    names = {entry["id"]: entry["file_name"] for entry in document["images"]}
    labels = {entry["id"]: entry["name"] for entry in document["categories"]}
    truths = [
        Object(names[entry["image_id"]], labels[entry["category_id"]], tuple(entry["bbox"]), number)
        for number, entry in enumerate(document["annotations"])
        if not entry.get("iscrowd")
    ]
    results = [
        entry for model in models for entry in json.loads((base / f"predictions_{model}.json").read_text())
    ]
    found = [
        Object(
            names[entry["image_id"]],
            labels[entry["category_id"]],
            tuple(entry["bbox"]),
            number,
            entry["score"],
        )
        for number, entry in enumerate(results)
    ]
    return truths, found


def test_real_detections_without_suppression(client: official.NucleusClient, own: InterfaceClient):
    """Charts, leaderboards, comparison and changed objects of real detectors, above a confidence and at the best cut."""
    truths, found = crowded("home-objects", ("yolo", "centernet"))
    made = uploaded(client, truths, found, {one.item: {} for one in truths})
    rival = world(client, {}, [], [], benchmark=False)
    rival.dataset, rival.benchmark = made.dataset, made.benchmark
    fewer = [one for one in found if one.order < 494]
    add_predictions(rival, fewer)
    evaluation, other = made.evaluate(), rival.evaluate()
    board = [made.benchmark.id]
    whole, less = Literal(truths, found), Literal(truths, fewer)
    curve = own.ok(f"evaluations/{evaluation.id}/f1Curve")
    (first, *_), least = client.leaderboard_f1_curve(board, top_n=2), 0.3
    points = {point.confidence_threshold: point.score for point in first.points}

    assert whole.best_f1(0.5) == pytest.approx((curve["best"]["f1"]["value"], curve["best"]["confidence"]))
    assert first.evaluation_id == evaluation.id or first.best_f1 == pytest.approx(less.best_f1(0.5)[0])
    best = whole if first.evaluation_id == evaluation.id else less
    for level in (0.1, 0.25, 0.4, 0.6):
        hits, incorrect, missed = best.above(level).counts(0.5)
        assert points[level] == pytest.approx(2 * hits / (2 * hits + incorrect + missed))
    for level in (0.2, 0.35, 0.5, 0.7):
        cut = whole.above(level)
        counts, cells, tide = read(evaluation.charts(filters={"confidenceRange": {"min": level}}))
        assert cut.counts(0.5) == counts
        assert dict(cut.confusion(0.5)) == cells
        assert cut.tide(0.5, 0.1) == tide
        hits, incorrect, missed = cut.counts(0.5)
        scores = {
            metric: {
                entry.evaluation_id: entry.score
                for entry in client.leaderboard_ranking(metric, board, confidence_threshold=level)
            }[evaluation.id]
            for metric in ("PRECISION", "RECALL", "F1")
        }
        assert scores == pytest.approx({
            "PRECISION": hits / (hits + incorrect),
            "RECALL": hits / (hits + missed),
            "F1": 2 * hits / (2 * hits + incorrect + missed),
        })
    compared = own.ok(
        f"evaluations/{other.id}/compare/{evaluation.id}", minimumConfidence=least, replicates=10
    )
    before, after = less.above(least), whole.above(least)
    was, now = set(before.hits(0.5).values()), set(after.hits(0.5).values())
    changes = {"gained": len(now - was), "lost": len(was - now), "kept": len(was & now)}
    assert changes == {name: compared["changes"][name] for name in changes}
    for side, match in (("baseline", before), ("other", after)):
        hits, incorrect, _ = match.counts(0.5)
        precision = compared["differences"]["precision"][side]["value"]
        assert precision == pytest.approx(hits / (hits + incorrect))
    for side, one in (("baseline", other), ("other", evaluation)):
        cut = one.charts(filters={"confidenceRange": {"min": least}}).mapSummary
        displayed = [compared["differences"][name][side]["value"] for name in ("AP", "AP50", "AP75")]
        assert displayed == pytest.approx([cut.mapAt5095, cut.mapAt50, cut.mapAt75])
    kept = own.ok(
        f"evaluations/{other.id}/changes/{evaluation.id}", minimumConfidence=least, change="kept", limit=1000
    )
    overlaps = sorted((entry["baseline"]["iou"], entry["other"]["iou"]) for entry in kept["rows"])
    of_less, of_whole = (dict(match.match.values()) for match in (before, after))
    assert sorted((of_less[truth], of_whole[truth]) for truth in was & now) == [
        pytest.approx(pair) for pair in overlaps
    ]


LISTED = {
    "allowed_label_matches": [
        {"ground_truth_label": "car", "model_prediction_label": "van"},
        {"ground_truth_label": "bus", "model_prediction_label": "car"},
    ]
}


def wire(one: Object) -> dict[str, Any]:
    """Spell an object as clients send it."""
    geometry = dict(zip(("x", "y", "width", "height"), one.box, strict=True))
    row = {
        "type": "box", "label": one.label, "reference_id": one.item, "annotation_id": f"{one.order:06d}",
        "geometry": geometry,
    }  # fmt: skip
    return row if one.confidence is None else row | {"confidence": one.confidence}


def test_listed_labels_are_matched_anew_too(api: Api, own: InterfaceClient, sets):
    """With allowed label matches one ground truth may go to another label: charts and the F1 curve still say what is left."""
    listed = frozenset({("car", "van"), ("bus", "car")})
    whole = [Literal(*pair, listed) for pair in sets[:40]]
    dataset, model = (
        api.dataset(*sorted({one.item for entry in whole for one in entry.truths})),
        make_model(api),
    )
    annotate(api, dataset, *(wire(one) for entry in whole for one in entry.truths))
    run = predict(api, dataset, model, *(wire(one) for entry in whole for one in entry.found))
    evaluation = evaluate(api, run, **LISTED)
    for threshold in (0.2, 0.5):
        curve = own.ok(f"evaluations/{evaluation}/f1Curve", iouThreshold=threshold)
        ours = {level: (correct, kept) for level, correct, kept in _curve_of(curve)}
        for level in (0.05, 0.3, 0.6):
            cuts = [entry.above(level) for entry in whole]
            found = charts(
                api, evaluation, iouThreshold=threshold, filters={"confidenceRange": {"min": level}}
            )
            counts = [sum(column) for column in zip(*(cut.counts(threshold) for cut in cuts), strict=True)]
            cells = {(cell["gtLabel"], cell["predLabel"]): cell["count"] for cell in found["confusionMatrix"]}

            assert counts == [found["totalCounts"][name] for name in ("tp", "fp", "fn")]
            assert sum((cut.confusion(threshold) for cut in cuts), Counter()) == cells
            kinds = sum((Counter(cut.tide(threshold, 0.1)) for cut in cuts), Counter())
            assert {kind: kinds[kind] for kind in KINDS} == found["tideAttribution"]
            assert (counts[0], counts[0] + counts[1]) == ours[level]


def test_ap_of_a_comparison_is_that_of_what_is_left(client: official.NucleusClient, own: InterfaceClient):
    """Of four objects the baseline finds one confidently and three hesitantly, the other two: above 0.5 the other is better."""
    truth = [("a", "car", 20.0 * n) for n in range(4)]
    hesitant = world(
        client, {"a": {}}, truth, [(*row, 0.9 if n == 0 else 0.1) for n, row in enumerate(truth)]
    )
    firm = world(client, {}, [], [], benchmark=False)
    firm.dataset, firm.benchmark = hesitant.dataset, hesitant.benchmark
    add_boxes(firm, [(*row, 0.9) for row in truth[:2]])
    pair = hesitant.evaluate().id, firm.evaluate().id

    found = own.ok(f"evaluations/{pair[0]}/compare/{pair[1]}", minimumConfidence=0.5, replicates=10)

    ap = found["differences"]["AP50"]
    assert ap["baseline"]["value"] == pytest.approx(26 / 101)
    assert ap["other"]["value"] == pytest.approx(51 / 101)
    assert found["differences"]["recall"]["difference"]["value"] == 0.25
