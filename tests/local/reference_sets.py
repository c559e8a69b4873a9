"""The real sets beside the checkout as uploads: items, ground truth and predictions in the form the server takes."""

from __future__ import annotations

import json
import operator
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pycocotools import mask

from tests.local.story import annotate, make_model, predict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.local.conftest import Api

AT_ONCE = 4000
Row = dict[str, Any]


@dataclass(frozen=True)
class Upload:
    """One dataset with the predictions of one model. `masks`: (item, file, segments) of ground truth and predictions."""

    items: list[Row]
    truth: list[Row] = field(default_factory=list)
    predictions: list[Row] = field(default_factory=list)
    masks: tuple[list[tuple[str, Path, list[Row]]], list[tuple[str, Path, list[Row]]]] = ([], [])
    taxonomies: dict[str, list[str]] = field(default_factory=dict)


def send(api: Api, upload: Upload, **options: Any) -> str:
    """Upload everything to a new dataset, evaluate the run on all items, with options, and return the evaluation's id."""
    dataset, model = api.dataset(), make_model(api)
    for begin in range(0, len(upload.items), AT_ONCE):
        body = {"items": upload.items[begin : begin + AT_ONCE], "update": False}
        api.ok("POST", f"dataset/{dataset}/append", json=body)
    for name, labels in upload.taxonomies.items():
        body = {"taxonomy_name": name, "type": "category", "labels": labels}
        api.ok("POST", f"dataset/{dataset}/add_taxonomy", json=body)
    for begin in range(0, len(upload.truth), AT_ONCE):
        annotate(api, dataset, *upload.truth[begin : begin + AT_ONCE])
    for begin in range(0, len(upload.predictions), AT_ONCE):
        predict(api, dataset, model, *upload.predictions[begin : begin + AT_ONCE])
    routes = (f"dataset/{dataset}/annotate", f"dataset/{dataset}/model/{model}/uploadPredictions")
    for route, masks in zip(routes, upload.masks, strict=True):
        _send_masks(api, route, masks)
    (run,) = api.ok("GET", f"dataset/{dataset}/model_runs")
    made = api.ok("POST", f"modelRun/{run}/evaluationsV2", json=options)
    api.wait(made["workflow_id"])
    found = api.ok("GET", f"evaluationsV2/{made['evaluation_id']}")
    assert found["status"] == "succeeded", found
    return str(found["id"])


def _send_masks(api: Api, route: str, masks: list[tuple[str, Path, list[Row]]]) -> None:
    for begin in range(0, len(masks), 9):
        part = masks[begin : begin + 9]
        rows = [
            {"type": "mask", "reference_id": item, "mask_url": path.name, "annotations": segments}
            for item, path, segments in part
        ]
        request = json.dumps({"segmentations": rows, "update": False})
        form = [("serialized_request", (None, request, "application/json"))]
        form += [("mask", (path.name, path.read_bytes(), "image/png")) for _, path, _ in part]
        assert "errors" not in api.ok("POST", route, files=form)


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _item(name: str, image: Row, **metadata: Any) -> Row:
    return {
        "reference_id": name, "image_url": f"s3://b/{name}", "metadata": metadata, "width": image["width"],
        "height": image["height"],
    }  # fmt: skip


def coco_upload(
    folder: Path, predictions: str, *, truth: str = "ground_truth.json", shape: str = "box"
) -> Upload:
    """A COCO ground truth with its crowds and areas, and a result file whose areas are those pycocotools takes."""
    document = _read(folder / truth)
    labels = {entry["id"]: entry["name"] for entry in document["categories"]}
    images = {entry["id"]: entry for entry in sorted(document["images"], key=operator.itemgetter("id"))}
    names = document["categories"][0].get("keypoints", [])
    geometry: Callable[[Row], Row] = {
        "box": _box,
        "polygon": _polygon,
        "keypoints": lambda entry: _keypoints(entry, names),
    }[shape]

    def row(number: int, entry: Row, **more: Any) -> Row:
        return {
            "type": shape, "label": labels[entry["category_id"]],
            "reference_id": images[entry["image_id"]]["file_name"], "annotation_id": f"{number:06d}",
            "geometry": geometry(entry), **more,
        }  # fmt: skip

    results = _read(folder / predictions)
    # Confidences end at 1; the scores of one set go on to 40.
    highest = max(1.0, *(entry["score"] for entry in results))
    kept = ("iscrowd", "area", "bbox") if shape == "keypoints" else ("iscrowd", "area")
    return Upload(
        items=[_item(image["file_name"], image) for image in images.values()],
        truth=[
            row(number, entry, metadata={key: entry[key] for key in kept})
            for number, entry in enumerate(document["annotations"])
        ],
        predictions=[
            row(number, entry, confidence=entry["score"] / highest, metadata=_result_metadata(entry, shape))
            for number, entry in enumerate(results)
        ],
    )


def _result_metadata(entry: Row, shape: str) -> Row:
    """The size pycocotools gives a result: that of its box if it has one, else that of its mask."""
    if shape == "keypoints":
        return {}
    box = entry.get("bbox")
    area = box[2] * box[3] if box else float(mask.area(_packed(entry)))
    return {"iscrowd": 0, "area": area}


def _packed(entry: Row) -> Row:
    return {**entry["segmentation"], "counts": entry["segmentation"]["counts"].encode()}


def _box(entry: Row) -> Row:
    box = entry["bbox"] if "bbox" in entry else mask.toBbox(_packed(entry)).tolist()
    return dict(zip(("x", "y", "width", "height"), box, strict=True))


def _polygon(entry: Row) -> Row:
    (ring,) = entry["segmentation"]
    return {"vertices": [{"x": x, "y": y} for x, y in zip(ring[::2], ring[1::2], strict=True)]}


def _keypoints(entry: Row, names: list[str]) -> Row:
    flat = entry["keypoints"]
    points = [
        # A result says where every point is; its third number is a score.
        {"x": x, "y": y, "visible": True}
        if flag > 0 or "score" in entry
        else {"x": None, "y": None, "visible": False}
        for x, y, flag in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    ]
    return {"keypoints": points, "names": names, "skeleton": []}


def cuboid_upload(folder: Path, predictions: str) -> Upload:
    """Frames with cuboids of both sides."""
    document, guesses = _read(folder / "ground_truth.json"), _read(folder / predictions)

    def rows(cuboids: dict[str, list[Row]]) -> Iterable[Row]:
        for frame, entries in cuboids.items():
            for number, entry in enumerate(entries):
                position = dict(zip("xyz", entry["center"], strict=True))
                dimensions = {"x": entry["length"], "y": entry["width"], "z": entry["height"]}
                geometry = {"position": position, "dimensions": dimensions, "yaw": entry["yaw"]}
                made = {
                    "type": "cuboid", "label": entry["label"], "reference_id": frame,
                    "annotation_id": f"{number:04d}", "geometry": geometry,
                }  # fmt: skip
                yield made | ({"confidence": entry["confidence"]} if "confidence" in entry else {})

    frames = [entry["frame"] for entry in document["frames"]]
    return Upload(
        items=[{"reference_id": frame, "image_url": f"s3://b/{frame}", "metadata": {}} for frame in frames],
        truth=list(rows(document["cuboids"])),
        predictions=list(rows(guesses["cuboids"])),
    )


def category_upload(folder: Path, predictions: str) -> Upload:
    """Pictures with one category of a named taxonomy each, predictions with their whole distribution."""
    document, guesses = _read(folder / "ground_truth.json"), _read(folder / predictions)
    name = document["taxonomy"]

    def row(entry: Row, **more: Any) -> Row:
        return {
            "type": "category", "label": entry["label"], "taxonomy_name": name, "reference_id": entry["image"],
            "geometry": {}, **more,
        }  # fmt: skip

    return Upload(
        items=[_item(entry["image"], {"width": 8, "height": 8}) for entry in document["items"]],
        truth=[row(entry) for entry in document["items"]],
        predictions=[
            row(entry, confidence=entry["confidence"], class_pdf=entry["probabilities"])
            for entry in guesses["items"]
        ],
        taxonomies={name: document["labels"]},
    )


def mask_upload(folder: Path, model: str, *, without: tuple[str, ...] = ()) -> Upload:
    """Frames with an index mask on both sides; every class of the index is a segment, but for those that mean nothing."""
    index = _read(folder / "index.json")
    times = Counter(index["classes"].values())
    segments = [
        # ADE20K has two classes of one name.
        {"label": label if times[label] == 1 else f"{label} {value}", "index": int(value)}
        for value, label in index["classes"].items()
        if label not in without
    ]
    frames = index["frames"]
    names = [entry["image"] for entry in frames]
    return Upload(
        items=[
            _item(name, entry, **({"sequence": entry["sequence"]} if "sequence" in entry else {}))
            for name, entry in zip(names, frames, strict=True)
        ],
        masks=(
            [
                (name, folder / entry["ground_truth"], segments)
                for name, entry in zip(names, frames, strict=True)
            ],
            [
                (name, folder / entry["predictions"][model], segments)
                for name, entry in zip(names, frames, strict=True)
            ],
        ),
    )
