"""Our own routes over evaluations: what the contract has no place for, and that they need the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nucleus as official
import pytest
import requests

from tests.local.evaluated import coco_world, predict, world
from tests.shared_data import shared_data

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus

ITEMS = {"a": {"k": 1}, "b": {"k": 2}, "c": {"k": 2}}
TRUTH = [("a", "car", 0), ("b", "car", 0), ("c", "bus", 0), ("c", "bus", 100)]
FIRST = [("a", "car", 0, 0.9), ("b", "car", 2, 0.4), ("c", "bus", 0, 0.8), ("c", "van", 100, 0.3)]
SECOND = [("a", "car", 0, 0.9), ("b", "car", 50, 0.4), ("c", "bus", 0, 0.8), ("c", "bus", 101, 0.7)]


class InterfaceClient:
    """GETs below /ui/api."""

    def __init__(self, nucleus: LocalNucleus) -> None:
        self.base = f"{nucleus.base_url}/ui/api"
        self.key = nucleus.api_key

    def __call__(self, path: str, **query: Any) -> requests.Response:
        return requests.get(f"{self.base}/{path}", params=query, auth=(self.key, ""), timeout=60)

    def ok(self, path: str, **query: Any) -> Any:
        answer = self(path, **query)
        assert answer.ok, answer.text
        return answer.json()


@pytest.fixture
def own(nucleus: LocalNucleus) -> InterfaceClient:
    return InterfaceClient(nucleus)


@pytest.fixture(scope="module")
def pair(nucleus: LocalNucleus) -> tuple[Any, Any]:
    """Two models on one benchmark."""
    patch = pytest.MonkeyPatch()
    patch.setattr("nucleus.async_job.JOB_POLLING_INTERVAL", 0.01)
    client = official.NucleusClient(api_key=nucleus.api_key, endpoint=nucleus.url)
    found = world(client, ITEMS, TRUTH, FIRST)
    second = world(client, {}, [], [], benchmark=False)
    second.dataset, second.benchmark = found.dataset, found.benchmark
    predict(second, SECOND)
    evaluations = found.evaluate(), second.evaluate()
    patch.undo()
    return evaluations


def test_histograms_split_by_outcome(own: InterfaceClient, pair):
    """Overlap of matched predictions and confidence of all, true and false positives apart, under filters."""
    found = own.ok(f"evaluations/{pair[0].id}/histograms")
    filtered = own.ok(f"evaluations/{pair[0].id}/histograms", filters='{"confidenceRange": {"min": 0.5}}')

    overlaps = {bucket["min"]: bucket["true_positives"] for bucket in found["overlap"]["buckets"]}
    assert {low: count for low, count in overlaps.items() if count} == {0.65: 1, 0.95: 2}
    assert found["overlap"]["unmatched"] == 1
    wrong = {bucket["min"]: bucket["false_positives"] for bucket in found["confidence"]["buckets"]}
    assert {low: count for low, count in wrong.items() if count} == {0.3: 1}
    assert sum(bucket["true_positives"] for bucket in filtered["confidence"]["buckets"]) == 2


@pytest.mark.parametrize("family", ["coco", "nucleus"])
def test_curves_have_the_confidence_of_each_point(own: InterfaceClient, pair, family: str):
    """Recall 1 of cars is reached at the confidence of the second one."""
    found = own.ok(f"evaluations/{pair[0].id}/prCurves", family=family)

    curves = {curve["label"]: curve for curve in found["curves"]}
    assert found["family"] == family
    assert set(curves) == {"bus", "car"}
    assert (curves["car"]["confidence"][0], curves["car"]["confidence"][-1]) == (0.9, 0.4)
    assert (curves["car"]["recall"][-1], curves["car"]["average_precision"]) == (1.0, {"value": 1.0})
    assert curves["bus"]["average_precision"] == {"value": pytest.approx(51 / 101)}


def test_the_best_confidence_is_found(own: InterfaceClient, pair):
    """Cutting above the wrong van gives three of three right."""
    found = own.ok(f"evaluations/{pair[0].id}/f1Curve")

    assert found["best"]["confidence"] == 0.4
    assert (found["best"]["true_positives"], found["best"]["predictions"]) == (3, 3)
    assert len(found["points"]) == 101


def test_calibration_compares_confidence_with_outcome(own: InterfaceClient, pair):
    """Four predictions in four bins; the error is the mean gap."""
    found = own.ok(f"evaluations/{pair[0].id}/calibration", bins=10)

    assert found["counted"] == 4
    assert found["ece"]["value"] == pytest.approx((0.1 + 0.6 + 0.2 + 0.3) / 4)


def test_error_prices_are_those_of_tidecv_on_real_data(client: official.NucleusClient, own: InterfaceClient):
    """Counts and dAP of home-objects under confidence-first matching, from the stored columns."""
    evaluation = coco_world(client, shared_data("home-objects"), "predictions_yolo.json").evaluate()

    found = own.ok(f"evaluations/{evaluation.id}/errors")

    counts = found["counts"]
    assert [counts[kind] for kind in ("classification", "localization", "both", "duplicate", "background")] == [
        37, 83, 37, 21, 50,
    ]  # fmt: skip
    assert counts["missed"] == 351
    assert found["ap"]["value"] * 100 == pytest.approx(24.627882941783072, abs=1e-9)
    assert {kind: price["value"] * 100 for kind, price in found["lost_ap"].items()} == pytest.approx(
        {
            "classification": 4.2395252473438026,
            "localization": 5.392098352274001,
            "both": 2.472952507423301,
            "duplicate": 0.3049326506515939,
            "background": 2.2673568313734693,
            "missed": 22.81604053421011,
            "false_positive": 3.850491211421726,
            "false_negative": 36.253108544959645,
        },
        abs=1e-9,
    )


def test_two_evaluations_are_compared_with_intervals(own: InterfaceClient, pair):
    """Differences, bootstrap intervals around them, and how many objects changed."""
    first, second = pair

    found = own.ok(f"evaluations/{first.id}/compare/{second.id}", replicates=200, apReplicates=20)

    recall = found["differences"]["recall"]
    assert (recall["baseline"]["value"], recall["other"]["value"], recall["difference"]["value"]) == (
        0.75,
        0.75,
        0.0,
    )
    assert recall["low"]["value"] <= 0.0 <= recall["high"]["value"]
    assert found["differences"]["AP50"]["difference"]["value"] == pytest.approx(
        (51 / 101 + 1) / 2 - (1 + 51 / 101) / 2
    )
    assert found["changes"] == {"gained": 1, "lost": 1, "kept": 2, "missed": 0}
    assert found["bootstrap"]["replicates"] == 200


def test_changed_objects_are_listed_with_who_found_them(own: InterfaceClient, pair):
    """Gained: found by the other only, with its prediction; pages say how many there are."""
    first, second = pair

    gained = own.ok(f"evaluations/{first.id}/changes/{second.id}")
    kept = own.ok(f"evaluations/{first.id}/changes/{second.id}", change="kept", limit=1, offset=1)

    (row,) = gained["rows"]
    assert (gained["total"], row["label"], row["baseline"]) == (1, "bus", None)
    assert (row["other"]["confidence"], row["other"]["iou"]) == (0.7, pytest.approx(9 / 11))
    assert (kept["total"], len(kept["rows"])) == (2, 1)


def test_evaluations_of_different_ground_truth_are_not_compared(client, own: InterfaceClient, pair):
    """409 says what differs; an evaluation is not compared with itself."""
    other = world(client, ITEMS, TRUTH, FIRST).evaluate()

    answer = own(f"evaluations/{pair[0].id}/compare/{other.id}")

    assert answer.status_code == 409
    assert "do not have the same items" in answer.json()["error"]
    assert own(f"evaluations/{pair[0].id}/compare/{pair[0].id}").status_code == 400


def test_provenance_says_what_is_in_no_number(client: official.NucleusClient, own: InterfaceClient):
    """Families, labels, thresholds, objects that cannot be matched with the reason, predictions of runs not read."""
    found = world(client, ITEMS, TRUTH, FIRST)
    found.dataset.annotate([
        official.LineAnnotation("lane", [official.Point(0, 0), official.Point(1, 1)], "a")
    ])
    found.dataset.upload_predictions(
        found.model, [official.BoxPrediction("car", 0, 0, 10, 10, reference_id="a", confidence=0.5)]
    )
    evaluation = found.evaluate()

    origin = own.ok(f"evaluations/{evaluation.id}/provenance")

    assert origin["families"] == {"area": {"ground_truths": 4, "predictions": 4}}
    (line,) = origin["not_evaluated"]
    assert (line["objects"], line["ground_truth"], line["predictions"]) == ("line", 1, 0)
    (note,) = origin["notes"]
    assert (note["note"], note["count"]) == ("predictions_of_runs", 1)
    assert "1 predictions of runs" in note["text"]
    assert origin["charts"]["coco"] == ["mapSummary", "perClassAp", "apBySize"]
    assert origin["nucleus"]["labels"] == ["bus", "car", "lane", "van"]


def test_own_routes_need_the_key_and_refuse_nonsense(nucleus: LocalNucleus, own: InterfaceClient, pair):
    """401 without the key, 404 and 400 with a reason; nothing but GET."""
    path = f"evaluations/{pair[0].id}"

    assert requests.get(f"{own.base}/{path}/histograms", timeout=60).status_code == 401
    assert own("evaluations/evalv2_nope/histograms").status_code == 404
    assert "family" in own(f"{path}/prCurves", family="voc").json()["error"]
    assert "0.50" in own(f"{path}/prCurves", iouThreshold=0.51).json()["error"]
    assert "iouThreshold" in own(f"{path}/histograms", iouThreshold="x").json()["error"]
    assert "minimumConfidence" in own(f"{path}/changes/{pair[1].id}", minimumConfidence="nan").json()["error"]
    assert "change" in own(f"{path}/changes/{pair[1].id}", change="moved").json()["error"]
    assert requests.post(f"{own.base}/{path}/histograms", auth=(own.key, ""), timeout=60).status_code == 405


@pytest.mark.parametrize("name", ["filters", "query"])
@pytest.mark.parametrize("route", ["errors", "provenance", "compare/{other}", "changes/{other}"])
def test_answers_about_everything_refuse_filters(own: InterfaceClient, pair, route: str, name: str):
    """Ignoring what was asked would pass everything off as a part of it."""
    first, second = pair
    value = {"filters": '{"gtLabels": ["car"]}', "query": "metadata.x = 1"}[name]

    answer = own(f"evaluations/{first.id}/{route.format(other=second.id)}", **{name: value})

    assert answer.status_code == 400
    assert f"{name} has no effect" in answer.json()["error"]


def test_error_prices_are_those_at_one_overlap(own: InterfaceClient, pair):
    """Another one is refused, the same is not."""
    path = f"evaluations/{pair[0].id}/errors"

    assert "iouThreshold" in own(path, iouThreshold=0.9).json()["error"]
    assert own(path, iouThreshold=0.5).ok
