"""queryObjectsPage in its five modes, through the official client and over plain HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import nucleus as official
import pytest
from nucleus.dataset import ObjectQueryType

from tests.local.story import annotate, box, calculate, make_model, objects, predict

if TYPE_CHECKING:
    from tests.local.conftest import Api


@pytest.fixture
def evaluated(api: Api) -> tuple[str, str]:
    """Two items: one found car and one missed bus on a, one invented car on b; returns dataset and run."""
    dataset, model = api.dataset("a", "b"), make_model(api)
    annotate(api, dataset, box("a", "car", 0), box("a", "bus", 100))
    run = predict(api, dataset, model, box("a", "car", 0, confidence=0.9), box("b", "car", 0, confidence=0.4))
    calculate(api, dataset, model)
    return dataset, run


def test_the_official_client_reads_all_five_modes(client: official.NucleusClient, evaluated: tuple[str, str]):
    """Matches come back as evaluation matches with their category, objects as annotations and predictions."""
    dataset_id, run = evaluated
    dataset = client.get_dataset(dataset_id)

    found = {mode: list(dataset.query_objects("", mode, run)) for mode in ObjectQueryType}

    categories = {
        mode: [match.confusion_category.value for match in found[mode]] for mode in list(ObjectQueryType)[:3]
    }
    assert categories == {
        ObjectQueryType.IOU: ["true_positive"],
        ObjectQueryType.FALSE_POSITIVE: ["false_positive"],
        ObjectQueryType.FALSE_NEGATIVE: ["false_negative"],
    }
    assert {a.label for a in found[ObjectQueryType.GROUND_TRUTH_ONLY]} == {"car", "bus"}
    assert all(isinstance(a, official.BoxAnnotation) for a in found[ObjectQueryType.GROUND_TRUTH_ONLY])
    assert sorted(p.confidence for p in found[ObjectQueryType.PREDICTIONS_ONLY]) == [0.4, 0.9]
    assert all(isinstance(p, official.BoxPrediction) for p in found[ObjectQueryType.PREDICTIONS_ONLY])


def test_unmatched_sides_are_null(api: Api, evaluated: tuple[str, str]):
    """Absent sides have neither id nor label, or the client would take null for a match of equal labels."""
    dataset, run = evaluated
    (invented,) = objects(api, dataset, "false_positive", run)
    (missed,) = objects(api, dataset, "false_negative", run)

    assert (invented["ground_truth_annotation_id"], invented["ground_truth_annotation_label"]) == (None, None)
    assert invented["model_prediction_id"].startswith("pred_")
    assert (missed["model_prediction_id"], missed["model_prediction_label"]) == (None, None)
    assert missed["ground_truth_annotation_id"].startswith("ann_")
    assert (invented["iou"], missed["iou"]) == (0, 0)
    assert {row["model_run_id"] for row in (invented, missed)} == {run}


@pytest.mark.parametrize(
    ("mode", "query", "count"),
    [
        ("iou", "reference_id = a", 1), ("iou", "reference_id = b", 0), ("false_positive", "annotations.count = 0", 1),
        ("false_negative", "annotations.bus = 1", 1), ("false_negative", "annotations.bus = 0", 0),
        ("predictions_only", "predictions.car = 1 AND reference_id = b", 1), ("ground_truth_only", "reference_id = a", 2),
    ],
)  # fmt: skip
def test_a_query_selects_whole_items(api: Api, evaluated: tuple[str, str], mode: str, query: str, count: int):
    """The query chooses items; every object of the mode on them is listed."""
    dataset, run = evaluated

    assert len(objects(api, dataset, mode, run, query=query)) == count


@pytest.mark.parametrize(
    "mode", ["iou", "false_positive", "false_negative", "predictions_only", "ground_truth_only"]
)
def test_pages_of_any_size_list_everything_once(api: Api, mode: str):
    """Page sizes 1, 7 and 10,000 give the same rows in the same order."""
    dataset, model = api.dataset(*(f"r{n}" for n in range(9))), make_model(api)
    annotate(
        api,
        dataset,
        *(
            box(f"r{n}", label, x, name=f"{label}{x}")
            for n in range(9)
            for x in (0, 20)
            for label in ("car", "bus")
        ),
    )
    run = predict(
        api,
        dataset,
        model,
        *(box(f"r{n}", "car", x + 1, name=f"{x}") for n in range(9) for x in (0, 20, 400, 500)),
    )
    calculate(api, dataset, model)

    everything = objects(api, dataset, mode, run)

    assert len(everything) in {18, 36}
    assert objects(api, dataset, mode, run, size=1) == everything
    assert objects(api, dataset, mode, run, size=7) == everything


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"patch_mode": "best"}, 400, "patch_mode must be one of"),
        ({"patch_mode": "iou"}, 400, "needs a model_run_id"),
        ({"patch_mode": "predictions_only"}, 400, "needs a model_run_id"),
        ({"patch_mode": "iou", "model_run_id": "run_gone"}, 404, "run_gone"),
        ({"patch_mode": "iou", "model_run_id": 5}, 400, "model_run_id"),
        ({"patch_mode": "ground_truth_only", "query": 5}, 400, "query must be a string"),
    ],
)
def test_requests_that_name_nothing_are_refused(
    api: Api, evaluated: tuple[str, str], body: dict[str, Any], status: int, text: str
):
    """Unknown modes, missing and unknown runs are errors that say so."""
    answer = api("POST", f"dataset/{evaluated[0]}/queryObjectsPage", json={"query": "", **body})

    assert answer.status_code == status
    assert text in answer.json()["error"]


def test_matches_before_a_calculation_are_an_error_that_says_what_to_call(api: Api):
    """An empty list would look like a perfect or hopeless model; it is a 400 instead."""
    dataset, model = api.dataset("a"), make_model(api)
    run = predict(api, dataset, model, box("a", "car", 0))

    answer = api(
        "POST", f"dataset/{dataset}/queryObjectsPage", json={"patch_mode": "iou", "model_run_id": run}
    )

    assert answer.status_code == 400
    assert "calculateEvaluationMetrics" in answer.json()["error"]


def test_an_empty_dataset_has_no_objects(api: Api):
    """Ground truth of a dataset without any is an empty page, not an error."""
    assert objects(api, api.dataset(), "ground_truth_only") == []


def test_scenes_are_queried_by_their_metadata(client: official.NucleusClient, api: Api):
    """query_scenes lists scenes that have an item the query selects, without frames."""
    dataset = api.ok("POST", "dataset/create", json={"name": "lidar", "is_scene": True})["dataset_id"]
    scenes = [
        {
            "reference_id": place,
            "frames": [{"lidar": {"url": "s3://b/1.json", "type": "pointcloud", "reference_id": f"{place}-pc", "metadata": {}}}],
            "metadata": {"place": place},
        }
        for place in ("bridge", "tunnel")
    ]  # fmt: skip
    rows = "".join(json.dumps(scene) + "\n" for scene in scenes)
    api.wait(api.upload(dataset, f"{dataset}/upload_scenes", rows))

    found = list(client.get_dataset(dataset).query_scenes("scene.metadata.place = tunnel"))

    assert [scene.reference_id for scene in found] == ["tunnel"]
    assert found[0].metadata == {"place": "tunnel"}
