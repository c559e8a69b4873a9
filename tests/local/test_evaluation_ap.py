"""AP through charts: which objects have a place in it, and what is left of it when filters take predictions away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests

from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.readers.coco import evaluate_coco
from airflow_provider_nucleus.evaluation.sides.columns import columns
from tests.local.shapes import category, evaluated, keypoints, shape
from tests.local.story import annotate, box, make_model, predict
from tests.local.test_evaluation_geometries import _mask, charts, evaluate, own

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus
    from tests.local.conftest import Api

CROWD = {"iscrowd": 1, "area": 40_000}


def test_categories_have_no_place_in_ap(api: Api, nucleus: LocalNucleus):
    """A right category beside a right box neither lowers AP nor appears in it; categories alone have none."""
    both = evaluated(
        api,
        [box("a", "car", 0), category("sunny")],
        [box("a", "car", 0, confidence=0.9), category("sunny", confidence=0.8)],
    )
    alone = evaluated(api, [category("sunny")], [category("sunny", confidence=0.8)])

    found = charts(api, both)
    assert found["mapSummary"] == {"mapAt50": 1.0, "mapAt75": 1.0, "mapAt5095": 1.0}
    assert found["perClassAp"] == [{"classLabel": "car", "ap": 1.0}]
    assert own(nucleus, f"evaluations/{both}/f1Curve")["best"]["f1"] == {"value": 1.0}
    assert charts(api, alone)["mapSummary"] == {"mapAt50": None, "mapAt75": None, "mapAt5095": None}
    assert charts(api, alone)["perClassAp"] == []


def test_mask_segments_have_no_place_in_ap_and_curves(api: Api, nucleus: LocalNucleus):
    """Segments have no confidence: AP, AP by size, F1 and the comparison are those of the boxes."""
    dataset, model, pixels = api.dataset("a"), make_model(api), np.ones((10, 10), np.uint8)
    _mask(api, f"dataset/{dataset}/annotate", pixels, {"road": 1})
    _mask(api, f"dataset/{dataset}/model/{model}/uploadPredictions", pixels, {"road": 1})
    annotate(api, dataset, box("a", "car", 0))
    run = predict(api, dataset, model, box("a", "car", 0, confidence=0.5))
    first, second = evaluate(api, run), evaluate(api, run)

    found = charts(api, first)

    assert found["mapSummary"]["mapAt50"] == 1.0
    assert found["apBySize"] == {"small": 1.0, "medium": None, "large": None}
    assert {entry["classLabel"] for entry in found["prCurve"]} == {"car"}
    assert own(nucleus, f"evaluations/{first}/f1Curve")["best"]["f1"] == {"value": 1.0}
    compared = own(nucleus, f"evaluations/{first}/compare/{second}", replicates=5, apReplicates=5)
    assert compared["differences"]["AP"]["baseline"] == {"value": 1.0}
    assert found["totalCounts"]["tp"] == 2


def test_a_rival_that_is_filtered_away_leaves_the_object_to_the_other(api: Api):
    """Inside a crowd: the second prediction on the object was ignored because the first had it; alone it is right."""
    evaluation = evaluated(
        api,
        [shape("p", (0, 0, 10, 10), "g"), shape("p", (0, 0, 200, 200), "c", metadata=CROWD)],
        [
            shape("p", (0, 0, 10, 10), f"p{n}", confidence=confidence)
            for n, confidence in enumerate((0.9, 0.8))
        ],
    )

    assert charts(api, evaluation)["mapSummary"]["mapAt50"] == 1.0
    found = charts(api, evaluation, filters={"confidenceRange": {"max": 0.85}})
    assert (found["mapSummary"]["mapAt50"], found["apBySize"]["small"]) == (1.0, 1.0)


@pytest.mark.parametrize(
    "filters",
    [
        {"confidenceRange": {"max": 0.5}},
        {"predictionMetadata": [{"key": "head", "op": "EQ", "value": 2}]},
    ],
)
def test_the_hundred_most_confident_are_those_of_what_is_left(api: Api, filters: dict[str, Any]):
    """A hundred confident misses keep the hit out of AP, but not once they are filtered away."""
    far = [
        shape("p", (1000 + 20 * n, 0, 10, 10), f"f{n}", confidence=0.9, metadata={"head": 1})
        for n in range(100)
    ]
    hit = shape("p", (0, 0, 10, 10), "hit", confidence=0.3, metadata={"head": 2})
    evaluation = evaluated(api, [shape("p", (0, 0, 10, 10), "g")], [*far, hit])

    assert charts(api, evaluation)["mapSummary"]["mapAt50"] == 0.0
    assert charts(api, evaluation, filters=filters)["mapSummary"]["mapAt50"] == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_ap_matched_again_is_that_of_what_is_left_with_crowds_and_crowded_items(api: Api, seed: int):
    """Random items with crowds and 150 to 300 predictions of a label: as evaluating the chosen ones alone, in every size."""
    rng = np.random.default_rng(seed)
    truth = [
        (int(rng.integers(2)), (*rng.uniform(0, 150, 2), *rng.uniform(10, 110, 2)), bool(rng.random() < 0.2))
        for _ in range(30)
    ]
    found = []
    for _ in range(450):
        label, xywh, _ = truth[rng.integers(len(truth))]
        moved = np.array(xywh) * rng.uniform(0.8, 1.2, 4)
        found.append((label, tuple(moved), float(rng.integers(1, 60)) / 60, int(rng.integers(3))))
    evaluation = evaluated(
        api,
        [
            shape("ab"[label], xywh, f"g{n:03d}", metadata={"iscrowd": int(crowd), "area": xywh[2] * xywh[3]})
            for n, (label, xywh, crowd) in enumerate(truth)
        ],
        [
            shape("ab"[label], xywh, f"p{n:03d}", confidence=confidence, metadata={"head": head})
            for n, (label, xywh, confidence, head) in enumerate(found)
        ],
    )

    def alone(kept: list[bool]) -> dict[str, float | None]:
        rows = [row for row, keep in zip(found, kept, strict=True) if keep]
        numbers = evaluate_coco(
            columns(
                Boxes.from_xywh([row[1] for row in truth]),
                np.zeros(len(truth), dtype=int),
                label=[row[0] for row in truth],
                crowd=[row[2] for row in truth],
            ),
            columns(
                Boxes.from_xywh([row[1] for row in rows]),
                np.zeros(len(rows), dtype=int),
                label=[row[0] for row in rows],
                confidence=np.array([row[2] for row in rows]),
            ),
            labels=2,
        ).numbers
        return {name: numbers[name].value for name in ("AP", "AP50", "APs", "APm", "APl")}

    for filters, kept in (
        ({}, [True] * 450),
        ({"gtAreaRange": {"min": 0}}, [True] * 450),
        ({"confidenceRange": {"max": 0.7}}, [row[2] <= 0.7 for row in found]),
        ({"confidenceRange": {"min": 0.2, "max": 0.4}}, [0.2 <= row[2] <= 0.4 for row in found]),
        (
            {"predictionMetadata": [{"key": "head", "op": "EQ", "value": 1}]},
            [row[3] == 1 for row in found],
        ),
    ):
        answer = charts(api, evaluation, filters=filters)
        ours = {
            "AP": answer["mapSummary"]["mapAt5095"],
            "AP50": answer["mapSummary"]["mapAt50"],
            **{f"AP{name[0]}": value for name, value in answer["apBySize"].items()},
        }
        assert ours == pytest.approx(alone(kept), abs=1e-12), filters


PERSONS = [shape("person", (0, 0, 10, 10), "g"), keypoints("person", 0, "k")]
"""One person, as a box and as keypoints."""


def test_a_family_the_model_does_not_predict_is_not_asked_for_in_ap(api: Api, nucleus: LocalNucleus):
    """Keypoints beside the boxes do not halve the AP of a box model; provenance says that they are left out."""
    evaluation = evaluated(api, PERSONS, [shape("person", (0, 0, 10, 10), "p", confidence=0.9)])

    found = charts(api, evaluation)
    origin = own(nucleus, f"evaluations/{evaluation}/provenance")
    assert found["mapSummary"]["mapAt5095"] == 1.0
    assert found["perClassAp"] == [{"classLabel": "person", "ap": 1.0}]
    assert max(point["recall"] for point in found["prCurve"]) == 1.0
    assert own(nucleus, f"evaluations/{evaluation}/errors")["ap"] == {"value": 1.0}
    assert own(nucleus, f"evaluations/{evaluation}/errors")["counts"]["missed"] == 0
    assert (found["totalCounts"]["tp"], found["totalCounts"]["fn"]) == (1, 1)
    assert origin["coco"]["families"] == {
        "in_ap": ["area"],
        "left_out": {"keypoints": "the model has no prediction of it"},
    }
    assert any("1 ground truths of keypoints" in remark for remark in origin["remarks"])


def test_one_label_in_two_families_is_two_classes(api: Api, nucleus: LocalNucleus):
    """Right boxes and wrong keypoints: each family has its own AP, the label the mean of both."""
    evaluation = evaluated(
        api,
        PERSONS,
        [
            shape("person", (0, 0, 10, 10), "p", confidence=0.9),
            keypoints("person", 500, "q", confidence=0.95),
        ],
    )

    found = charts(api, evaluation)
    curves = own(nucleus, f"evaluations/{evaluation}/prCurves", family="coco")["curves"]
    assert found["mapSummary"]["mapAt5095"] == 0.5
    assert found["perClassAp"] == [{"classLabel": "person", "ap": 0.5}]
    assert {curve["objects"]: curve["average_precision"]["value"] for curve in curves} == {
        "area": 1.0,
        "keypoints": 0.0,
    }
    assert own(nucleus, f"evaluations/{evaluation}/errors")["ap"] == {"value": 0.5}
    assert "person" in own(nucleus, f"evaluations/{evaluation}/provenance")["remarks"][-1]


def test_a_model_without_predictions_misses_everything(api: Api):
    """Nothing predicted is not a reason to ask for nothing: AP is 0, for every label of every family."""
    dataset, model = api.dataset("a", "b"), make_model(api)
    annotate(api, dataset, *PERSONS)
    run = predict(api, dataset, model, box("b", "person", 0, confidence=0.5))
    only_a = api.ok("POST", f"dataset/{dataset}/create_slice", json={"name": "a", "reference_ids": ["a"]})
    made = api.ok("POST", "benchmarks", json={"name": "a", "slice_id": only_a["slice_id"]})
    api.wait(made["job_id"])
    found = api.ok("POST", f"benchmarks/{made['benchmark_id']}/evaluationsV2", json={"model_run_id": run})
    api.wait(found["workflow_id"])

    answer = charts(api, found["evaluation_id"])

    assert answer["mapSummary"]["mapAt50"] == 0.0
    assert answer["perClassAp"] == [{"classLabel": "person", "ap": 0.0}]


def test_models_of_different_families_are_compared_on_both(api: Api, nucleus: LocalNucleus):
    """A model with boxes only has its 1.0 on boxes; beside one that predicts keypoints too, it misses those."""
    dataset, first, second = api.dataset("a"), make_model(api), make_model(api)
    annotate(api, dataset, *PERSONS)
    right = shape("person", (0, 0, 10, 10), "p", confidence=0.9)
    runs = (
        predict(api, dataset, first, right),
        predict(api, dataset, second, right, keypoints("person", 0, "q", confidence=0.8)),
    )
    one, two = (evaluate(api, run) for run in runs)

    found = own(nucleus, f"evaluations/{one}/compare/{two}", replicates=5, apReplicates=5)["differences"][
        "AP"
    ]

    assert charts(api, one)["mapSummary"]["mapAt5095"] == 1.0
    assert (found["baseline"], found["other"]) == ({"value": 0.5}, {"value": 1.0})


def test_a_label_without_any_confidence_has_no_ap(api: Api, nucleus: LocalNucleus):
    """Right cars without confidence beside perfect buses: the mean is that of the buses, the cars' AP is null with a reason."""
    evaluation = evaluated(
        api,
        [box("a", "car", 0), box("a", "bus", 100)],
        [box("a", "car", 0), box("a", "bus", 100, confidence=0.9)],
    )
    unscored = {"value": None, "reason": "no prediction of this label has a confidence"}

    found = charts(api, evaluation)
    assert found["mapSummary"]["mapAt50"] == 1.0
    assert found["apBySize"]["small"] == 1.0
    assert found["perClassAp"] == [{"classLabel": "bus", "ap": 1.0}]
    for family in ("coco", "nucleus"):
        curves = own(nucleus, f"evaluations/{evaluation}/prCurves", family=family)["curves"]
        assert {curve["label"]: curve["average_precision"] for curve in curves} == {
            "bus": {"value": 1.0},
            "car": unscored,
        }
    assert own(nucleus, f"evaluations/{evaluation}/errors")["ap"] == {"value": 1.0}


def test_nothing_scored_is_null_in_every_price_of_errors(api: Api, nucleus: LocalNucleus):
    """Without any confidence there is no AP to lose and nothing to match by it: the prices say why they are missing."""
    evaluation = evaluated(api, [box("a", "car", 0)], [box("a", "car", 0)])

    found = own(nucleus, f"evaluations/{evaluation}/errors")

    unscored = {"value": None, "reason": "no prediction has a confidence"}
    assert found["ap"] == unscored
    assert {str(value) for value in found["lost_ap"].values()} == {str(unscored)}
    assert {kind: count for kind, count in found["counts"].items() if count} == {"missed": 1}


def test_categories_without_confidence_have_no_f1_curve_and_say_why(api: Api, nucleus: LocalNucleus):
    """The reason names the confidence, not the predictions, which are there."""
    evaluation = evaluated(api, [category("sunny")], [category("sunny")])

    found = own(nucleus, f"evaluations/{evaluation}/f1Curve")

    assert (found["best"], found["reason"]) == (None, "no prediction has a confidence")


def test_an_unscored_prediction_elsewhere_does_not_hide_that_a_size_was_missed(api: Api):
    """The small car was missed: AP of small ones is 0, whatever else has no confidence."""
    large = (0.0, 500.0, 200.0, 200.0)
    truth = [box("a", "car", 0), shape("car", large, "B")]
    unscored = shape("car", (900, 900, 5, 5), "u")
    evaluation = evaluated(api, truth, [shape("car", large, "pb", confidence=0.9), unscored])

    assert charts(api, evaluation)["apBySize"] == {"small": 0.0, "medium": None, "large": 1.0}


def test_the_f1_curve_and_calibration_say_why_a_number_is_null(api: Api, nucleus: LocalNucleus):
    """Above every confidence precision has nothing to divide by; bins without predictions have no accuracy."""
    evaluation = evaluated(api, [box("a", "car", 0)], [box("a", "car", 0, confidence=0.5)])

    points = own(nucleus, f"evaluations/{evaluation}/f1Curve")["points"]
    bins = own(nucleus, f"evaluations/{evaluation}/calibration")["bins"]

    assert (points[0]["precision"], points[0]["recall"]) == ({"value": 1.0}, {"value": 1.0})
    assert points[-1]["precision"] == {"value": None, "reason": "no prediction at this confidence"}
    assert bins[0]["accuracy"] == {"value": None, "reason": "empty bin"}


VAN_FOR_BUS = [{"ground_truth_label": "bus", "model_prediction_label": "van"}]


def test_an_allowed_label_is_ranked_under_the_one_it_may_match(api: Api, nucleus: LocalNucleus):
    """The model says van where the dataset says bus: COCO's matching and TIDE follow the rule, under every label filter."""
    evaluation = evaluated(
        api,
        [box("a", "bus", 0), box("a", "car", 100)],
        [
            box("a", "van", 0, confidence=0.9),
            box("a", "van", 500, confidence=0.95),
            box("a", "car", 100, confidence=0.8),
        ],
        allowed_label_matches=VAN_FOR_BUS,
    )

    found = charts(api, evaluation)
    errors = own(nucleus, f"evaluations/{evaluation}/errors")
    assert found["perClassAp"] == [{"classLabel": "bus", "ap": 0.5}, {"classLabel": "car", "ap": 1.0}]
    assert found["mapSummary"]["mapAt50"] == 0.75
    assert {kind: n for kind, n in errors["counts"].items() if n} == {"true_positive": 2, "background": 1}
    assert (errors["ap"], errors["lost_ap"]["background"]) == ({"value": 0.75}, {"value": 0.25})
    for threshold in (0.5, 0.51):
        coco = own(nucleus, f"evaluations/{evaluation}/coco", iouThreshold=threshold)["families"]["area"]
        assert coco["numbers"]["AP"] == {"value": pytest.approx(0.75)}
        assert {row["label"]: row["AP"]["value"] for row in coco["per_class"]} == {
            "bus": pytest.approx(0.5),
            "car": pytest.approx(1.0),
        }
    for filters in (
        {"gtLabels": ["bus"]},
        {"predLabels": ["van"]},
        {"gtLabels": ["bus"], "predLabels": ["van"]},
    ):
        assert charts(api, evaluation, filters=filters)["mapSummary"]["mapAt50"] == 0.5, filters
    matched_again = charts(api, evaluation, filters={"confidenceRange": {"max": 0.92}})
    assert matched_again["mapSummary"]["mapAt50"] == 1.0


def test_a_label_that_may_match_several_leaves_no_ap(api: Api, nucleus: LocalNucleus):
    """Vans may be right about buses and vans: AP is null everywhere, with the reason; counts follow the rule."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "bus", 0), box("a", "van", 100))
    run = predict(
        api, dataset, model, box("a", "van", 0, confidence=0.9), box("a", "van", 100, confidence=0.8)
    )
    evaluation, other = (evaluate(api, run, allowed_label_matches=VAN_FOR_BUS) for _ in range(2))
    reason = "predictions of 'van' may be right about ground truth of 'bus', 'van'"

    found = charts(api, evaluation)
    assert found["mapSummary"] == {"mapAt50": None, "mapAt75": None, "mapAt5095": None}
    assert (found["perClassAp"], found["apBySize"]["small"]) == ([], None)
    assert found["totalCounts"] == {"tp": 2, "fp": 0, "fn": 0, "predsWithConfidence": 2}
    assert own(nucleus, f"evaluations/{evaluation}/f1Curve")["best"]["f1"] == {"value": 1.0}
    assert reason in own(nucleus, f"evaluations/{evaluation}/provenance")["remarks"][0]
    for path in ("errors", "prCurves?family=coco", "f1Curve?family=coco", "coco"):
        answer = requests.get(
            f"{nucleus.base_url}/ui/api/evaluations/{evaluation}/{path}",
            auth=(nucleus.api_key, ""),
            timeout=60,
        )
        assert answer.status_code == 409, path
        assert reason in answer.json()["error"]
    compared = own(nucleus, f"evaluations/{evaluation}/compare/{other}", replicates=5, apReplicates=5)
    assert reason in compared["differences"]["AP50"]["difference"]["reason"]
    assert compared["differences"]["f1"]["baseline"] == {"value": 1.0}


def test_provenance_says_where_objects_are_boxes_and_polygons(api: Api, nucleus: LocalNucleus):
    """One person drawn twice counts twice in one family: there is a remark, and none without polygons."""
    vertices = [{"x": x, "y": y} for x, y in ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))]
    polygon = {
        "type": "polygon", "label": "person", "reference_id": "a", "annotation_id": "o", "geometry": {"vertices": vertices},
    }  # fmt: skip
    right = shape("person", (0, 0, 10, 10), "p", confidence=0.9)
    twice = evaluated(api, [PERSONS[0], polygon], [right])
    once = evaluated(api, [PERSONS[0]], [right])

    (remark,) = own(nucleus, f"evaluations/{twice}/provenance")["remarks"]
    assert "boxes as well as polygons on 1 items" in remark
    assert own(nucleus, f"evaluations/{once}/provenance")["remarks"] == []
    assert charts(api, twice)["totalCounts"]["fn"] == 1
