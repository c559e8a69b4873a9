"""Small inference batches as files: the input of DAG tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

CATEGORIES = [{"id": 1, "name": "car"}, {"id": 2, "name": "van"}]


@dataclass(frozen=True)
class Batch:
    """Files of one batch: two images, three objects, four predictions."""

    folder: Path
    coco: Path
    coco_results: Path
    items: Path
    ground_truth: Path
    predictions: Path


def box(
    label: str, reference_id: str, x: float, y: float, size: float, name: str, **more: Any
) -> dict[str, Any]:
    """Return a box in wire form."""
    return {
        "label": label,
        "type": "box",
        "geometry": {"x": x, "y": y, "width": size, "height": size},
        "reference_id": reference_id,
        "annotation_id": name,
        "metadata": {},
        **more,
    }


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def make_batch(folder: Path) -> Batch:
    """Write a batch in both formats.

    At IoU 0.5 class-sensitive: the car of image a is found exactly, its van with IoU 0.667, the car of image b is missed, and
    there are two false alarms: TP 2, FP 2, FN 1.
    """
    images = folder / "images"
    images.mkdir(parents=True)
    for name in "ab":
        Image.new("RGB", (64, 48), "gray").save(images / f"{name}.png")
    truth = [
        box("car", "a.png", 0, 0, 10, "t1"),
        box("van", "a.png", 20, 20, 10, "t2"),
        box("car", "b.png", 0, 0, 10, "t3"),
    ]
    predictions = [
        box("car", "a.png", 0, 0, 10, "p1", confidence=0.9),
        box("van", "a.png", 22, 20, 10, "p2", confidence=0.8),
        box("van", "b.png", 0, 0, 10, "p3", confidence=0.7),
        box("car", "b.png", 40, 30, 5, "p4", confidence=0.6),
    ]
    ids = {category["name"]: category["id"] for category in CATEGORIES}

    def coco(row: dict[str, Any]) -> dict[str, Any]:
        return {
            "image_id": "ab".index(row["reference_id"][0]) + 1,
            "category_id": ids[row["label"]],
            "bbox": list(row["geometry"].values()),
        }

    ground_truth = folder / "ground_truth.json"
    ground_truth.write_text(
        json.dumps({
            "images": [
                {"id": i + 1, "file_name": f"{n}.png", "width": 64, "height": 48} for i, n in enumerate("ab")
            ],
            "categories": CATEGORIES,
            "annotations": [{"id": i, "iscrowd": 0, "area": 100, **coco(row)} for i, row in enumerate(truth)],
        })
    )
    results = folder / "results.json"
    results.write_text(json.dumps([coco(row) | {"score": row["confidence"]} for row in predictions]))
    return Batch(
        folder=images,
        coco=ground_truth,
        coco_results=results,
        items=write_lines(
            folder / "items.jsonl",
            [
                {"reference_id": f"{n}.png", "image_url": f"{n}.png", "metadata": {"time": "day"}}
                for n in "ab"
            ],
        ),
        ground_truth=write_lines(folder / "ground_truth.jsonl", truth),
        predictions=write_lines(folder / "predictions.jsonl", predictions),
    )
