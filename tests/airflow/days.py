"""Days of a pipeline as files: images, ground truth and predictions of each, and the engine's own numbers of the day alone."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.cli.file_measurements import FileOptions, measure_files
from tests.airflow.batches import write_lines

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_nucleus.gating.measurement import Measurement, Unannotated

LABELS = ("car", "van", "bus")
COUNTS = ("tp", "fp", "fn", "precision", "recall", "f1", "mean_iou")


@dataclass(frozen=True)
class Day:
    """Files of one day; every image of it is named after the day."""

    name: str
    items: Path
    ground_truth: Path
    predictions: Path
    coco: Path
    coco_results: Path

    def measured(self, *, iou_threshold: float = 0.5, unannotated: Unannotated = "count") -> Measurement:
        """Return what the engine makes of this day's files alone."""
        options = FileOptions(iou_threshold=iou_threshold, unannotated=unannotated)
        (found,) = measure_files(self.coco, [self.coco_results], options=options)
        return found.measurement


def make_day(folder: Path, name: str, *, seed: int, images: int = 12, unlabelled: int = 0) -> Day:
    """Write a day with random boxes; the last *unlabelled* images have predictions and no ground truth."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{name}/{number:03}.jpg" for number in range(images)]
    truth, predictions = [], []
    for number, image in enumerate(names):
        for place in range(rng.randint(1, 6)):
            shape = [rng.randint(0, 900), rng.randint(0, 900), rng.randint(8, 90), rng.randint(8, 90)]
            label = rng.choice(LABELS)
            if number < images - unlabelled:
                truth.append(_box(label, image, shape, f"t{place}"))
            if rng.random() < 0.8:
                near = [value + rng.randint(-4, 4) for value in shape]
                found = label if rng.random() < 0.85 else rng.choice(LABELS)
                predictions.append(_box(found, image, near, f"p{place}", confidence=round(rng.random(), 3)))
        for extra in range(rng.randint(0, 2)):
            shape = [rng.randint(0, 900), rng.randint(0, 900), 20, 20]
            predictions.append(
                _box(rng.choice(LABELS), image, shape, f"x{extra}", confidence=round(rng.random(), 3))
            )
    ids = {image: number + 1 for number, image in enumerate(names)}

    def coco(row: dict[str, Any]) -> dict[str, Any]:
        box = [row["geometry"][key] for key in ("x", "y", "width", "height")]
        return {
            "image_id": ids[row["reference_id"]],
            "category_id": LABELS.index(row["label"]) + 1,
            "bbox": box,
        }

    (folder / "coco.json").write_text(
        json.dumps({
            "images": [
                {"id": number, "file_name": image, "width": 1000, "height": 1000} for image, number in ids.items()
            ],
            "categories": [{"id": number + 1, "name": label} for number, label in enumerate(LABELS)],
            "annotations": [
                {"id": number, "iscrowd": 0, "area": float(row["geometry"]["width"] * row["geometry"]["height"]), **coco(row)}
                for number, row in enumerate(truth, start=1)
            ],
        })
    )  # fmt: skip
    (folder / "results.json").write_text(
        json.dumps([coco(row) | {"score": row["confidence"]} for row in predictions])
    )
    items = [
        {"reference_id": image, "image_url": f"s3://days/{image}", "metadata": {"day": name}}
        for image in names
    ]
    return Day(
        name=name,
        items=write_lines(folder / "items.jsonl", items),
        ground_truth=write_lines(folder / "ground_truth.jsonl", truth),
        predictions=write_lines(folder / "predictions.jsonl", predictions),
        coco=folder / "coco.json",
        coco_results=folder / "results.json",
    )


def _box(label: str, image: str, shape: list[int], name: str, **more: Any) -> dict[str, Any]:
    geometry = dict(zip(("x", "y", "width", "height"), shape, strict=True))
    return {
        "label": label, "type": "box", "geometry": geometry, "reference_id": image, "annotation_id": f"{image} {name}", "metadata": {},
    } | more  # fmt: skip


def numbers(values: Any) -> dict[str, Any]:
    """Return the counts and ratios that engine and server share."""
    return {name: values[name] for name in COUNTS}
