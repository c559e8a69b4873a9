"""Benchmarks and evaluations for tests, made with the unmodified official client."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nucleus as official

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nucleus.benchmark import Benchmark
    from nucleus.evaluation_v2 import EvaluationV2

    from airflow_provider_nucleus.local.testing import LocalNucleus

Row = tuple[str, str, float] | tuple[str, str, float, float]
"""Item, label, x, and for predictions a confidence: a box 10 pixels wide and high at (x, 0)."""


@dataclass
class World:
    """A dataset, a model and a benchmark of all items with ground truth."""

    client: official.NucleusClient
    dataset: official.Dataset
    model: official.Model
    benchmark: Benchmark | None = None

    def evaluate(self, **options: Any) -> EvaluationV2:
        """Evaluate the model's run-free predictions and wait."""
        assert self.benchmark is not None
        made = self.benchmark.create_evaluation_v2(model_id=self.model.id, **options)
        return made.wait_for_completion(timeout_sec=60, poll_interval=0.02)

    def item_ids(self) -> dict[str, str]:
        """Return the ids of the items by reference id."""
        return {
            entry["item"].reference_id: entry["item"].dataset_item_id
            for entry in self.dataset.items_and_annotations()
        }


def world(
    client: official.NucleusClient,
    items: dict[str, dict[str, Any]],
    truth: Iterable[Row],
    predictions: Iterable[Row],
    *,
    benchmark: bool = True,
    **options: Any,
) -> World:
    """Upload items (reference id to metadata), ground truth and run-free predictions, and make a benchmark."""
    dataset = client.create_dataset("evaluated")
    rows = [
        official.DatasetItem(f"s3://b/{name}.jpg", reference_id=name, metadata=metadata)
        for name, metadata in items.items()
    ]
    if rows:
        dataset.append(rows).sleep_until_complete(False)
    model = client.create_model("detector", uuid.uuid4().hex)
    annotations = [
        official.BoxAnnotation(label, x, 0, 10, 10, reference_id=name, annotation_id=f"g{n}")
        for n, (name, label, x) in enumerate(truth)
    ]
    if annotations:
        dataset.annotate(annotations)
    made = World(client, dataset, model)
    predict(made, predictions)
    if benchmark:
        made.benchmark = client.create_benchmark("all", dataset_id=dataset.id, verbose=False, **options)
    return made


def predict(found: World, predictions: Iterable[Row]) -> None:
    """Upload run-free predictions."""
    rows = [
        official.BoxPrediction(
            row[1], row[2], 0, 10, 10, reference_id=row[0], dataset_id=found.dataset.id, annotation_id=f"p{n}",
            confidence=row[3] if len(row) > 3 else None,
        )
        for n, row in enumerate(predictions)
    ]  # fmt: skip
    if rows:
        found.model.upload_predictions(rows)


def result_folder(nucleus: LocalNucleus, evaluation_id: str) -> Path:
    """Return where the result of an evaluation lies."""
    (folder,) = (nucleus.data_dir / "evaluations").glob(f"{evaluation_id}.*")
    return folder


def coco_world(client: official.NucleusClient, folder: Path, predictions: str) -> World:
    """Upload a COCO ground truth and the boxes of a result file as a user would, crowds and areas in the metadata."""
    document = json.loads((folder / "ground_truth.json").read_text())
    names = {entry["id"]: entry["file_name"] for entry in document["images"]}
    found = world(client, {names[key]: {} for key in sorted(names)}, [], [], benchmark=False)
    found.dataset.annotate([
        _coco_box(
            official.BoxAnnotation,
            document,
            n,
            entry,
            metadata={"iscrowd": entry["iscrowd"], "area": entry["area"]},
        )
        for n, entry in enumerate(document["annotations"])
    ])
    coco_predictions(found, folder, predictions)
    found.benchmark = client.create_benchmark("coco", dataset_id=found.dataset.id, verbose=False)
    return found


def coco_predictions(found: World, folder: Path, predictions: str) -> None:
    """Upload the boxes of a COCO result file, run-free."""
    document = json.loads((folder / "ground_truth.json").read_text())
    results = json.loads((folder / predictions).read_text())
    found.model.upload_predictions([
        _coco_box(
            official.BoxPrediction, document, n, entry, confidence=entry["score"], dataset_id=found.dataset.id
        )
        for n, entry in enumerate(results)
    ])


def _coco_box(kind: Any, document: dict[str, Any], number: int, entry: dict[str, Any], **more: Any) -> Any:
    (label,) = (known["name"] for known in document["categories"] if known["id"] == entry["category_id"])
    (image,) = (known["file_name"] for known in document["images"] if known["id"] == entry["image_id"])
    return kind(label, *entry["bbox"], reference_id=image, annotation_id=str(number), **more)
