"""Real sets, uploaded and matched by the server, give the numbers of their expected.json.

The counts there match by confidence where Nucleus matches by overlap. Where a set has pairs on which the two rules
differ, the difference is stated beside the number.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.story import annotate, calculate, make_model, objects, predict
from tests.shared_data import shared_data

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Api


def counted(
    api: Api, dataset: str, run: str, *, iou: float, label: str | None = None
) -> tuple[int, int, int]:
    """Count (tp, fp, fn) of all or one label from the match rows, as a consumer of the API would."""
    tally: Counter[str] = Counter()
    for mode in ("iou", "false_positive", "false_negative"):
        for row in objects(api, dataset, mode, run):
            actual, predicted = row["ground_truth_annotation_label"], row["model_prediction_label"]
            if label in {None, actual, predicted}:
                hit = row["true_positive"] and row["iou"] >= iou
                tally["tp"] += hit
                tally["fp"] += not hit and predicted is not None
                tally["fn"] += not hit and actual is not None
    return tally["tp"], tally["fp"], tally["fn"]


@pytest.mark.parametrize(
    ("model", "counts"), [("pointrcnn", (1074, 959, 128)), ("tracker", (1036, 208, 166))]
)
def test_kitti_cuboids(api: Api, model: str, counts: tuple[int, int, int]):
    """Cars at 3D IoU 0.5, from real lidar detections on point-cloud items."""
    folder = shared_data("kitti-cuboids")
    truth = json.loads((folder / "ground_truth.json").read_text())["cuboids"]
    guesses = json.loads((folder / f"predictions_{model}.json").read_text())["cuboids"]
    dataset, trained = api.dataset(*truth), make_model(api, model)

    def rows(source: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
        return [
            {
                "type": "cuboid", "label": cuboid["label"], "reference_id": frame, "annotation_id": str(place),
                "geometry": {
                    "position": dict(zip("xyz", cuboid["center"], strict=True)),
                    "dimensions": {"x": cuboid["length"], "y": cuboid["width"], "z": cuboid["height"]},
                    "yaw": cuboid["yaw"],
                },
                **({"confidence": cuboid["confidence"]} if "confidence" in cuboid else {}),
            }
            for frame, cuboids in source.items()
            for place, cuboid in enumerate(cuboids)
        ]  # fmt: skip

    annotate(api, dataset, *rows(truth))
    run = predict(api, dataset, trained, *rows(guesses))
    calculate(api, dataset, trained)

    assert counted(api, dataset, run, iou=0.5, label="Car") == counts


def test_spacenet_buildings(api: Api):
    """Exact polygon overlap at 0.5, per area."""
    folder = shared_data("spacenet-buildings")
    document = json.loads((folder / "ground_truth.json").read_text())
    guesses = json.loads((folder / "predictions.json").read_text())
    names = {image["id"]: image["file_name"] for image in document["images"]}
    dataset, model = api.dataset(*names.values()), make_model(api)
    # These scores run from 1 to 40; confidences do not, and scaling keeps their order.
    highest = max(row["score"] for row in guesses)

    def rows(source: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                "type": "polygon", "label": names[row["image_id"]][:10], "reference_id": names[row["image_id"]],
                "annotation_id": str(place), "geometry": {"vertices": _vertices(row["segmentation"][0])},
                **({"confidence": row["score"] / highest} if "score" in row else {}),
            }
            for place, row in enumerate(source)
        ]  # fmt: skip

    annotate(api, dataset, *rows(document["annotations"]))
    run = predict(api, dataset, model, *rows(guesses))
    calculate(api, dataset, model)

    assert counted(api, dataset, run, iou=0.5, label="AOI_2_Vega") == (35, 2, 7)
    assert counted(api, dataset, run, iou=0.5, label="AOI_5_Khar") == (52, 55, 77)


@pytest.mark.parametrize(("model", "mean_iou"), [("osvos", 0.823819), ("rvos", 0.729678)])
def test_davis_masks(api: Api, model: str, mean_iou: float):
    """The foreground segments of 48 frames, uploaded as files, match with the published mean overlap."""
    folder = shared_data("davis-masks")
    frames = [
        entry["ground_truth"].rsplit("/")[-1]
        for entry in json.loads((folder / "index.json").read_text())["frames"]
    ]
    dataset, trained = api.dataset(*frames), make_model(api, model)
    _upload_masks(api, f"dataset/{dataset}/annotate", folder / "ground_truth", frames)
    _upload_masks(
        api, f"dataset/{dataset}/model/{trained}/uploadPredictions", folder / f"predictions_{model}", frames
    )
    (run,) = api.ok("GET", f"dataset/{dataset}/model_runs")

    message = calculate(api, dataset, trained)

    found = objects(api, dataset, "iou", run)
    assert message["matched"]["segmentation"] == {"ground_truth": 48, "predictions": 48}
    assert len(found) == 48
    assert sum(row["iou"] for row in found) / len(found) == pytest.approx(mean_iou, abs=1e-6)


@pytest.mark.parametrize("model", ["naive_bayes", "logistic"])
def test_digits_categories(api: Api, model: str):
    """Accuracy and recall per class of real classifiers, from category matches nobody had to calculate."""
    folder = shared_data("digits-categories")
    truth = json.loads((folder / "ground_truth.json").read_text())["items"]
    guesses = json.loads((folder / f"predictions_{model}.json").read_text())["items"]
    expected = json.loads((folder / "expected.json").read_text())["models"][model]
    dataset, trained = api.dataset(*(item["image"] for item in truth)), make_model(api, model)

    def rows(source: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {"type": "category", "label": str(item["label"]), "reference_id": item["image"], "geometry": {},
             **({"confidence": item["confidence"]} if "confidence" in item else {})}
            for item in source
        ]  # fmt: skip

    annotate(api, dataset, *rows(truth))
    run = predict(api, dataset, trained, *rows(guesses))

    right, wrong, missed = counted(api, dataset, run, iou=0.5)
    assert right / 300 == pytest.approx(expected["accuracy"], abs=1e-6)
    assert wrong == missed == 300 - right
    for label, numbers in expected["per_class"].items():
        tp, fp, fn = counted(api, dataset, run, iou=0.5, label=label)
        assert tp / (tp + fn) == pytest.approx(numbers["recall"], abs=1e-6)
        assert tp / (tp + fp) == pytest.approx(numbers["precision"], abs=1e-6)


def _vertices(flat: list[float]) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in zip(flat[::2], flat[1::2], strict=True)]


def _upload_masks(api: Api, route: str, folder: Path, frames: list[str]) -> None:
    for begin in range(0, len(frames), 10):
        names = frames[begin : begin + 10]
        segments = [{"label": "foreground", "index": 1}]
        masks = [
            {"type": "mask", "reference_id": name, "mask_url": name, "annotations": segments}
            for name in names
        ]
        request = json.dumps({"segmentations": masks, "update": False})
        parts = [("serialized_request", (None, request, "application/json"))]
        parts += [("mask", (name, (folder / name).read_bytes(), "image/png")) for name in names]
        assert "errors" not in api.ok("POST", route, files=parts)
