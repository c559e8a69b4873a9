"""Operating points of evaluations on the server: exact cuts per label, the same as those of the files."""

from __future__ import annotations

import pytest

from tests.local import test_diagnostics
from tests.local.evaluated import coco_world
from tests.shared_data import shared_data

own, pair = test_diagnostics.own, test_diagnostics.pair


def test_cuts_of_every_label(own, pair):
    """The first model: cars are both found from 0.4 on, buses to a half from 0.8 on, vans are no ground truth."""
    found = own.ok(f"evaluations/{pair[0].id}/operatingPoints", minSupport=1)

    assert (found["method"], found["aim"], found["iou_threshold"]) == ("exact", "f1", 0.5)
    points = found["per_label"]
    assert (points["car"]["confidence"], points["car"]["f1"], points["car"]["source"]) == (0.4, 1.0, "own")
    assert (points["bus"]["confidence"], points["bus"]["recall"]) == (0.8, 0.5)
    assert (points["van"]["source"], points["van"]["confidence"]) == (
        "overall",
        found["overall"]["confidence"],
    )
    assert found["overall"] == pytest.approx(
        found["overall"] | {"confidence": 0.4, "true_positives": 3, "predictions": 3, "ground_truth": 4}
    )


def test_the_cut_over_all_is_that_of_the_curve(own, pair):
    """One answer, whoever is asked."""
    for evaluation in pair:
        cuts = own.ok(f"evaluations/{evaluation.id}/operatingPoints")
        best = own.ok(f"evaluations/{evaluation.id}/f1Curve")["best"]

        assert cuts["overall"]["confidence"] == best["confidence"]
        assert cuts["overall"]["f1"] == best["f1"]["value"]


def test_labels_with_little_ground_truth_get_the_cut_over_all(own, pair):
    """Twenty objects by default."""
    found = own.ok(f"evaluations/{pair[0].id}/operatingPoints")

    assert {point["source"] for point in found["per_label"].values()} == {"overall"}


def test_targets_and_filters(own, pair):
    """Aims in the address; filters choose objects first."""
    address = f"evaluations/{pair[0].id}/operatingPoints"
    wanted = own.ok(address, recall=1, minSupport=1)
    filtered = own.ok(
        address, minSupport=1, filters='{"itemMetadata": [{"key": "k", "op": "EQ", "value": 1}]}'
    )

    assert (wanted["aim"], wanted["target"]) == ("recall", 1.0)
    assert wanted["per_label"]["car"]["confidence"] == 0.4
    assert wanted["per_label"]["bus"]["confidence"] is None
    assert "recall 1 is not reached" in wanted["per_label"]["bus"]["reason"]
    assert filtered["overall"]["ground_truth"] == 1


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"precision": 0.5, "recall": 0.5}, "choose one"),
        ({"precision": 50}, "a number from 0 to 1"),
        ({"minSupport": -1}, "a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused(own, pair, query, said):
    """A 400 that says what would be right."""
    answer = own(f"evaluations/{pair[0].id}/operatingPoints", **query)

    assert answer.status_code == 400
    assert said in answer.text


@pytest.mark.parametrize("model", ["yolo", "centernet"])
def test_real_detectors_have_the_cuts_of_their_files(own, client, model):
    """Uploaded through the official client: the same cut for every label as from the two files."""
    from airflow_provider_nucleus.cli.file_measurements import measure_files, points_of_file

    folder = shared_data("home-objects")
    found = coco_world(client, folder, f"predictions_{model}.json").evaluate()
    (measured,) = measure_files(folder / "ground_truth.json", [folder / f"predictions_{model}.json"])

    cuts = own.ok(f"evaluations/{found.id}/operatingPoints")

    expected = points_of_file(measured).model_dump(mode="json")
    assert cuts["overall"] == expected["overall"]
    assert cuts["per_label"] == expected["per_label"]
