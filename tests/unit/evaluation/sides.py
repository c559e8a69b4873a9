"""Columns for the reader tests: from rows written in the test, or from a COCO file pair of the shared data."""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.matching.nucleus import match_pairs
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.overlap.masks import Segments
from airflow_provider_nucleus.evaluation.sides.columns import Columns, columns

if TYPE_CHECKING:
    from pathlib import Path

BOX = (0, 0, 10, 10)


def truth_side(rows, **options) -> Columns:
    """Build ground truth from (image, label, (x, y, w, h)[, crowd]) rows."""
    return columns(
        Boxes.from_xywh([row[2] for row in rows]),
        np.array([row[0] for row in rows], dtype=np.int64),
        label=np.array([row[1] for row in rows], dtype=np.int64),
        crowd=np.array([len(row) > 3 and row[3] for row in rows], dtype=bool),
        **options,
    )


def prediction_side(rows, **options) -> Columns:
    """Build predictions from (image, label, (x, y, w, h)[, confidence]) rows."""
    return columns(
        Boxes.from_xywh([row[2] for row in rows]),
        np.array([row[0] for row in rows], dtype=np.int64),
        label=np.array([row[1] for row in rows], dtype=np.int64),
        confidence=[row[3] if len(row) > 3 else None for row in rows],
        **options,
    )


def coco_rows(folder: Path, model: str) -> tuple[list[tuple], list[tuple]]:
    """Read the boxes of a COCO pair as rows of `truth_side` and `prediction_side`."""
    truth = json.loads((folder / "ground_truth.json").read_text())
    predictions = json.loads((folder / f"predictions_{model}.json").read_text())
    images = {row["id"]: code for code, row in enumerate(sorted(truth["images"], key=itemgetter("id")))}
    labels = {row["id"]: code for code, row in enumerate(sorted(truth["categories"], key=itemgetter("id")))}
    return (
        [
            (images[row["image_id"]], labels[row["category_id"]], row["bbox"], bool(row.get("iscrowd")))
            for row in truth["annotations"]
        ],
        [
            (images[row["image_id"]], labels[row["category_id"]], row["bbox"], row["score"])
            for row in predictions
        ],
    )


def random_rows(
    seed: int, *, images: int = 4, labels: int = 3, crowds: bool = True
) -> tuple[list[tuple], list[tuple]]:
    """Draw a small dataset rich in ties: integer boxes, near copies, few distinct confidences, empty images."""
    rng = np.random.default_rng(seed)
    truth, predictions = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 5)):
            label = int(rng.integers(labels))
            box = (*rng.integers(0, 12, 2).tolist(), *rng.integers(2, 9, 2).tolist())
            truth.append((image, label, box, bool(crowds and rng.random() < 0.15)))
            for _ in range(rng.integers(0, 4)):
                moved = np.array(box) + rng.integers(-2, 3, 4)
                moved[2:] = np.maximum(moved[2:], 1)
                other = label if rng.random() < 0.7 else int(rng.integers(labels))
                predictions.append((image, other, tuple(moved.tolist()), float(rng.integers(1, 6)) / 5))
        for _ in range(rng.integers(0, 2)):
            box = (*rng.integers(0, 12, 2).tolist(), *rng.integers(2, 9, 2).tolist())
            predictions.append((image, int(rng.integers(labels)), box, float(rng.integers(1, 6)) / 5))
    rng.shuffle(predictions)
    return truth, [(int(i), int(c), tuple(b), float(s)) for i, c, b, s in predictions]


def tied_match(seed, rule):
    """Match random rows whose overlaps, confidences and ordinals are few numbers, so that most of them tie."""
    rng = np.random.default_rng(seed)
    truth, predictions = _tied_side(rng, 8, scored=False), _tied_side(rng, 14, scored=True)
    pairs = np.indices((len(truth), len(predictions))).reshape(2, -1)
    overlap = rng.integers(0, 5, pairs.shape[1]) / 4.0
    touching = (truth.image[pairs[0]] == predictions.image[pairs[1]]) & (overlap > 0)
    first, second = pairs[:, touching].astype(np.int32)
    return match_pairs(
        truth,
        predictions,
        ground_truth_rows=first,
        prediction_rows=second,
        overlap=overlap[touching],
        rule=rule,
    )


def _tied_side(rng, most, *, scored):
    count = int(rng.integers(0, most))
    nothing = np.zeros(count, dtype=bool)
    confidence = np.where(rng.random(count) < 0.1, np.nan, rng.integers(1, 5, count) / 5.0)
    return Columns(
        image=np.sort(rng.integers(0, 2, count)).astype(np.int32),
        label=rng.integers(0, 3, count).astype(np.int32),
        geometry=Segments(np.ones(count)),
        confidence=confidence if scored else np.full(count, np.nan),
        ordinal=rng.integers(0, 3, count).astype(np.int32),
        crowd=nothing,
        ignore=rng.random(count) < 0.1,
        area=np.ones(count),
    )
