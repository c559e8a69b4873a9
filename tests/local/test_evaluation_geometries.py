"""Evaluations of every geometry on real data, uploaded over plain HTTP to a run and read through charts."""

from __future__ import annotations

import io
import json
from itertools import starmap
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
from PIL import Image

from tests.local.story import annotate, box, make_model, predict
from tests.shared_data import shared_data

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus
    from tests.local.conftest import Api

AT_ONCE = 4000


def evaluate(api: Api, run: str, **options: Any) -> str:
    """Evaluate a run on all items of its dataset and return the evaluation's id once it has succeeded."""
    made = api.ok("POST", f"modelRun/{run}/evaluationsV2", json=options)
    api.wait(made["workflow_id"])
    found = api.ok("GET", f"evaluationsV2/{made['evaluation_id']}")
    assert found["status"] == "succeeded", found["error_message"]
    return str(found["id"])


def charts(api: Api, evaluation: str, **body: Any) -> dict[str, Any]:
    return dict(api.ok("POST", f"evaluationsV2/{evaluation}/charts", json=body))


def counts(found: dict[str, Any]) -> tuple[int, int, int]:
    total = found["totalCounts"]
    return total["tp"], total["fp"], total["fn"]


def own(nucleus: LocalNucleus, path: str, **query: Any) -> Any:
    answer = requests.get(
        f"{nucleus.base_url}/ui/api/{path}", params=query, auth=(nucleus.api_key, ""), timeout=60
    )
    assert answer.ok, answer.text
    return answer.json()


def upload(api: Api, names: list[str], truth: list[dict], predictions: list[dict]) -> tuple[str, str]:
    """Upload items, ground truth and predictions; returns the dataset and the run."""
    dataset, model = api.dataset(*names), make_model(api)
    for begin in range(0, len(truth), AT_ONCE):
        annotate(api, dataset, *truth[begin : begin + AT_ONCE])
    run = ""
    for begin in range(0, len(predictions), AT_ONCE):
        run = predict(api, dataset, model, *predictions[begin : begin + AT_ONCE])
    return dataset, run


def test_cuboids_have_the_reference_ap(api: Api, nucleus: LocalNucleus):
    """KITTI cars by 3D overlap: AP at 0.5 and 0.7 and the counts; volumes have no size in pixels."""
    folder = shared_data("kitti-cuboids")
    expected = json.loads((folder / "expected.json").read_text())["cuboids"]["pointrcnn"]["Car"]
    document = json.loads((folder / "ground_truth.json").read_text())
    found = json.loads((folder / "predictions_pointrcnn.json").read_text())["cuboids"]

    def rows(cuboids: dict[str, list[dict]]) -> list[dict]:
        return [
            {
                "type": "cuboid", "label": entry["label"], "reference_id": frame, "annotation_id": f"{frame} {n}",
                "geometry": {
                    "position": dict(zip("xyz", entry["center"], strict=True)),
                    "dimensions": {"x": entry["length"], "y": entry["width"], "z": entry["height"]},
                    "yaw": entry["yaw"],
                },
            } | ({"confidence": entry["confidence"]} if "confidence" in entry else {})
            for frame, entries in cuboids.items()
            for n, entry in enumerate(entries)
        ]  # fmt: skip

    _, run = upload(
        api, [entry["frame"] for entry in document["frames"]], rows(document["cuboids"]), rows(found)
    )
    evaluation = evaluate(api, run)

    for threshold, key in ((0.5, "3d_iou_0.5"), (0.7, "3d_iou_0.7")):
        curves = own(nucleus, f"evaluations/{evaluation}/prCurves", iouThreshold=threshold)["curves"]
        (car,) = [curve for curve in curves if curve["label"] == "Car"]
        assert car["average_precision"]["value"] == pytest.approx(expected[key]["AP"], abs=1e-6)
    cars = charts(api, evaluation, filters={"predLabels": ["Car"]})
    reference = expected["3d_iou_0.5"]
    # Nucleus matches by overlap, the reference by confidence; on this set both count the same.
    assert counts(cars) == (reference["tp"], reference["fp"], reference["fn"])
    assert cars["apBySize"] == {"small": None, "medium": None, "large": None}


def test_keypoints_have_the_reference_ap(api: Api):
    """COCO persons by object keypoint similarity with its sigmas, areas and unlabelled points."""
    folder = shared_data("coco-keypoints-4")
    expected = json.loads((folder / "expected.json").read_text())["coco"]["wholebody/keypoints"]
    document = json.loads((folder / "ground_truth.json").read_text())
    names = document["categories"][0]["keypoints"]
    images = {entry["id"]: entry["file_name"] for entry in document["images"]}

    def row(number: int, entry: dict, **more: Any) -> dict:
        triples = np.array(entry["keypoints"]).reshape(-1, 3)
        points = [
            {"x": x, "y": y, "visible": True} if v > 0 else {"x": None, "y": None, "visible": False}
            for x, y, v in triples.tolist()
        ]
        if "score" in entry:
            points = [{"x": x, "y": y, "visible": True} for x, y, _ in triples.tolist()]
        return {
            "type": "keypoints", "label": "person", "reference_id": images[entry["image_id"]], "annotation_id": str(number),
            "geometry": {"keypoints": points, "names": names, "skeleton": []}, **more,
        }  # fmt: skip

    truth = [
        row(n, entry, metadata={key: entry[key] for key in ("iscrowd", "area", "bbox")})
        for n, entry in enumerate(document["annotations"])
    ]
    results = json.loads((folder / "predictions_wholebody.json").read_text())
    predictions = [row(n, entry, confidence=entry["score"]) for n, entry in enumerate(results)]

    found = charts(api, evaluate(api, upload(api, list(images.values()), truth, predictions)[1]))

    assert found["mapSummary"]["mapAt5095"] == pytest.approx(expected["AP"], abs=1e-6)
    assert found["mapSummary"]["mapAt75"] == pytest.approx(expected["AP75"], abs=1e-6)
    assert (found["apBySize"]["medium"], found["apBySize"]["large"]) == pytest.approx(
        (expected["AP_medium"], expected["AP_large"]), abs=1e-6
    )


def test_polygons_have_the_reference_counts(api: Api):
    """Buildings by exact polygon overlap: the counts per area, and every row of the examples."""
    folder = shared_data("spacenet-buildings")
    expected = json.loads((folder / "expected.json").read_text())["polygon_matching_iou_0.5"]["per_area"]
    document = json.loads((folder / "ground_truth.json").read_text())
    images = {entry["id"]: entry["file_name"] for entry in document["images"]}

    def row(number: int, entry: dict, **more: Any) -> dict:
        (ring,) = entry["segmentation"]
        vertices = [{"x": x, "y": y} for x, y in zip(ring[::2], ring[1::2], strict=True)]
        return {
            "type": "polygon", "label": "building", "reference_id": images[entry["image_id"]],
            "annotation_id": str(number), "geometry": {"vertices": vertices}, **more,
        }  # fmt: skip

    truth = list(starmap(row, enumerate(document["annotations"])))
    results = json.loads((folder / "predictions.json").read_text())
    # The scores of this set are ranks from 40 down to 1.
    predictions = [row(n, entry, confidence=entry["score"] / 40) for n, entry in enumerate(results)]
    dataset, run = upload(api, list(images.values()), truth, predictions)

    evaluation = evaluate(api, run)

    for area, wanted in expected.items():
        names = [name for name in images.values() if area in name]
        piece = api.ok("POST", f"dataset/{dataset}/create_slice", json={"name": area, "reference_ids": names})
        found = charts(api, evaluation, filters={"sliceIds": [piece["slice_id"]]})
        assert counts(found) == (wanted["tp"], wanted["fp"], wanted["fn"])


def test_categories_have_the_reference_accuracy(api: Api):
    """One category per image: right ones, confusions, no AP."""
    folder = shared_data("digits-categories")
    expected = json.loads((folder / "expected.json").read_text())["models"]["naive_bayes"]
    truth = json.loads((folder / "ground_truth.json").read_text())["items"]
    results = json.loads((folder / "predictions_naive_bayes.json").read_text())["items"]

    def row(entry: dict, **more: Any) -> dict:
        return {
            "type": "category", "label": entry["label"], "reference_id": entry["image"], "geometry": {}, **more
        }  # fmt: skip

    _, run = upload(
        api,
        [entry["image"] for entry in truth],
        [row(entry) for entry in truth],
        [row(entry, confidence=entry["confidence"]) for entry in results],
    )

    found = charts(api, evaluate(api, run))

    right = round(expected["accuracy"] * 300)
    assert counts(found) == (right, 300 - right, 300 - right)
    matrix = np.zeros((10, 10), dtype=int)
    for cell in found["confusionMatrix"]:
        matrix[int(cell["gtLabel"]), int(cell["predLabel"])] = cell["count"]
    assert matrix.tolist() == expected["confusion_matrix_rows_truth"]
    assert found["mapSummary"]["mapAt50"] is None


def _mask(api: Api, route: str, pixels: np.ndarray, labels: dict[str, int]) -> Any:
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "PNG")
    segments = [{"label": label, "index": index} for label, index in labels.items()]
    mask = {"type": "mask", "reference_id": "a", "mask_url": "local/mask.png", "annotations": segments}
    body = json.dumps({"segmentations": [mask], "update": False})
    form = {
        "serialized_request": (None, body, "application/json"),
        "mask": ("mask.png", picture.getvalue(), "image/png"),
    }
    return api.ok("POST", route, files=form)


def test_mask_segments_are_counted_and_lines_are_reported(api: Api, nucleus: LocalNucleus):
    """Segments match by pixels and have no AP; families keep apart; a label can be excluded among segments."""
    dataset, model = api.dataset("a"), make_model(api)
    truth = np.zeros((10, 10), np.uint8)
    truth[:, :5], truth[:, 5:] = 1, 2
    found = np.zeros((10, 10), np.uint8)
    found[:, :4], found[:, 4:] = 1, 2
    _mask(api, f"dataset/{dataset}/annotate", truth, {"road": 1, "sky": 2})
    _mask(api, f"dataset/{dataset}/model/{model}/uploadPredictions", found, {"road": 1, "sea": 2})
    annotate(api, dataset, box("a", "road", 0))
    run = predict(api, dataset, model, box("a", "road", 0, confidence=0.5))

    evaluation = evaluate(api, run)
    without_sea = evaluate(
        api, run,
        exclusionRules=[{"type": "labels", "scope": "annotation", "target": "prediction", "labels": ["sea"]}],
    )  # fmt: skip

    whole = charts(api, evaluation)
    assert counts(whole) == (2, 1, 1)
    assert {"gtLabel": "sky", "predLabel": "sea", "count": 1} in whole["confusionMatrix"]
    assert whole["mapSummary"]["mapAt50"] == 1.0
    assert counts(charts(api, without_sea)) == (2, 0, 1)
    families = own(nucleus, f"evaluations/{evaluation}/provenance")["families"]
    assert families == {
        "area": {"ground_truths": 1, "predictions": 1},
        "mask": {"ground_truths": 2, "predictions": 2},
    }
