"""Comparing models that name different labels: codes are numbered per evaluation, objects and numbers are the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests

from tests.local.evaluated import World, coco_predictions, coco_world, result_folder
from tests.local.shapes import category, keypoints
from tests.local.story import annotate, box, make_model, predict
from tests.local.test_evaluation_geometries import charts, evaluate, own
from tests.shared_data import shared_data

if TYPE_CHECKING:
    import nucleus as official

    from airflow_provider_nucleus.local.testing import LocalNucleus
    from tests.local.conftest import Api

TRUTH = [box("a", "car", 0), box("b", "car", 0), box("c", "bus", 0), box("c", "bus", 100)]
PLAIN = [
    box("a", "car", 0, confidence=0.9),
    box("b", "car", 2, confidence=0.4),
    box("c", "bus", 0, confidence=0.8),
    box("c", "bus", 50, confidence=0.3),
]
# "ape" and "bush" sort before and between the labels of the ground truth, so that every code moves.
OTHERS = [
    box("a", "ape", 0, confidence=0.95),
    box("a", "car", 1, confidence=0.9),
    box("b", "bush", 0, confidence=0.5),
    box("c", "bus", 0, confidence=0.8),
    box("c", "bus", 101, confidence=0.7),
]
CAR_AS_BUSH = {"allowed_label_matches": [{"ground_truth_label": "car", "model_prediction_label": "bush"}]}


def two_evaluations(
    api: Api, truth: list[dict], first: list[dict], second: list[dict], **options: Any
) -> tuple[str, str]:
    """Evaluate two models on the same three items."""
    dataset = api.dataset("a", "b", "c")
    annotate(api, dataset, *truth)
    runs = [predict(api, dataset, make_model(api), *rows) for rows in (first, second)]
    one, two = (evaluate(api, run, **options) for run in runs)
    return one, two


def compared(nucleus: LocalNucleus, one: str, two: str) -> dict[str, Any]:
    return dict(own(nucleus, f"evaluations/{one}/compare/{two}", replicates=20, apReplicates=3))


def assert_agrees_with_charts(api: Api, found: dict[str, Any]) -> None:
    """Both sides of every difference are the numbers of that evaluation's own charts."""
    for side in ("baseline", "other"):
        shown = charts(api, found[side])
        values = {name: entry[side]["value"] for name, entry in found["differences"].items()}
        summary, counts = shown["mapSummary"], shown["totalCounts"]
        tp, fp, fn = counts["tp"], counts["fp"], counts["fn"]

        assert [values[name] for name in ("AP50", "AP75", "AP")] == [
            None if summary[name] is None else pytest.approx(summary[name], abs=1e-12)
            for name in ("mapAt50", "mapAt75", "mapAt5095")
        ]
        assert (values["precision"], values["recall"]) == pytest.approx((tp / (tp + fp), tp / (tp + fn)))
        assert values["f1"] == pytest.approx(2 * tp / (2 * tp + fp + fn))


@pytest.mark.parametrize("options", [{}, CAR_AS_BUSH], ids=["as they are", "pairs"])
def test_models_that_name_different_labels_are_compared(api: Api, nucleus: LocalNucleus, options: Any):
    """A label only one of them predicts moves the codes, not the objects: what changed has its label, numbers hold."""
    one, two = two_evaluations(api, TRUTH, PLAIN, OTHERS, **options)
    allowed = int(bool(options))

    found, back = compared(nucleus, one, two), compared(nucleus, two, one)
    rows = {
        change: own(nucleus, f"evaluations/{one}/changes/{two}", change=change)["rows"]
        for change in ("gained", "lost", "kept")
    }

    assert found["changes"] == {"gained": 1, "lost": 1 - allowed, "kept": 2 + allowed, "missed": 0}
    assert back["changes"] == {"gained": 1 - allowed, "lost": 1, "kept": 2 + allowed, "missed": 0}
    assert [(row["label"], row["other"]["confidence"]) for row in rows["gained"]] == [("bus", 0.7)]
    assert [row["label"] for row in rows["lost"]] == ["car"] * (1 - allowed)
    assert [row["label"] for row in rows["kept"]] == ["car"] * (1 + allowed) + ["bus"]
    assert found["differences"]["recall"]["difference"]["value"] == 0.25 * allowed
    assert_agrees_with_charts(api, found)
    assert_agrees_with_charts(api, back)


def test_rolled_up_labels_are_compared_by_the_name_of_their_group(api: Api, nucleus: LocalNucleus):
    """One model says car, the other bush: both are vehicles."""
    groups = {"rollup_groups": [{"class_name": "vehicle", "labels": ["car", "bush"]}]}
    one, two = two_evaluations(api, TRUTH, PLAIN, OTHERS, **groups)

    found = compared(nucleus, one, two)
    kept = own(nucleus, f"evaluations/{one}/changes/{two}", change="kept")["rows"]

    assert [row["label"] for row in kept] == ["vehicle", "vehicle", "bus"]
    assert_agrees_with_charts(api, found)


def test_labels_of_other_families_move_nothing(api: Api, nucleus: LocalNucleus):
    """Keypoints and categories of labels the other model never names: their ground truth is the same all the same."""
    truth = [*TRUTH, keypoints("person", 0, "k"), category("sunny")]
    more = [keypoints("ape", 0, "pk", confidence=0.9), category("rainy", confidence=0.6)]
    one, two = two_evaluations(api, truth, PLAIN, [*OTHERS, *more])

    assert compared(nucleus, one, two)["changes"] == {"gained": 1, "lost": 1, "kept": 2, "missed": 2}
    assert compared(nucleus, two, one)["changes"] == {"gained": 1, "lost": 1, "kept": 2, "missed": 2}


def test_a_model_whose_labels_leave_ap_keeps_it_beside_one_whose_labels_do_not(
    api: Api, nucleus: LocalNucleus
):
    """Bushes may be cars and bushes here, so the second model has no AP and there is no difference: the first's stays."""
    one, two = two_evaluations(api, [*TRUTH, box("a", "bush", 300)], PLAIN, OTHERS, **CAR_AS_BUSH)

    found = compared(nucleus, one, two)

    assert found["differences"]["AP"]["baseline"]["value"] > 0
    assert "may be right about" in found["differences"]["AP"]["other"]["reason"]
    assert "may be right about" in found["differences"]["AP"]["difference"]["reason"]
    assert_agrees_with_charts(api, found)


def test_real_models_of_other_vocabularies_are_compared(
    client: official.NucleusClient, api: Api, nucleus: LocalNucleus
):
    """home-objects, 686 objects of 30 labels: one model names 36 labels, the other 52."""
    folder = shared_data("home-objects")
    yolo = coco_world(client, folder, "predictions_yolo.json")
    centernet = World(
        client, yolo.dataset, client.create_model("centernet", f"c-{yolo.model.id}"), yolo.benchmark
    )
    coco_predictions(centernet, folder, "predictions_centernet.json")
    one, two = yolo.evaluate(), centernet.evaluate()

    found = compared(nucleus, one.id, two.id)

    # The numbers of tests/unit/evaluation/test_compare.py, which codes both by COCO's categories.
    ap = found["differences"]["AP"]
    assert (ap["baseline"]["value"], ap["other"]["value"]) == pytest.approx((0.149298, 0.095640), abs=5e-7)
    changes = found["changes"]
    assert (changes["gained"] + changes["kept"], changes["lost"] + changes["kept"]) == (254, 266)
    assert_agrees_with_charts(api, found)


@pytest.mark.parametrize("route", ["compare", "changes"])
def test_what_cannot_be_compared_is_refused_with_the_reason(api: Api, nucleus: LocalNucleus, route: str):
    """409 and why, not a server error, where the rows of one result are in another order."""
    one, two = two_evaluations(api, TRUTH, PLAIN, OTHERS)
    result = result_folder(nucleus, two)
    place = json.loads((result / "about.json").read_text())["columns"]["truth_ordinal"]
    np.memmap(result / "columns.bin", place["type"], "r+", place["start"], tuple(place["shape"]))[:] += 1

    answer = requests.get(
        f"{nucleus.base_url}/ui/api/evaluations/{one}/{route}/{two}", auth=(nucleus.api_key, ""), timeout=60
    )

    assert answer.status_code == 409
    assert "matched against different ground truth (4 and 4 rows)" in answer.json()["error"]
