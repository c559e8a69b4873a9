"""Deterministic evaluation data with the error mix of a real detector, in COCO's JSON form.

Size (a): 5,000 images, 36,781 ground truths of 80 classes, about 180,000 detections; (b) is ten times that.
Each ground truth gets detections that are good, badly placed, wrongly labelled or duplicates; the rest is background.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = 80
WIDTH, HEIGHT = 640, 480
GROUND_TRUTHS_PER_IMAGE = 36_781 / 5_000


@dataclass(frozen=True)
class Data:
    """Both sides as plain arrays; boxes are x, y, width, height in pixels."""

    images: int
    truth_image: np.ndarray
    truth_label: np.ndarray
    truth_box: np.ndarray
    truth_crowd: np.ndarray
    image: np.ndarray
    label: np.ndarray
    box: np.ndarray
    score: np.ndarray


def make(*, images: int = 5_000, seed: int = 20_261) -> Data:
    """Generate both sides for so many images."""
    rng = np.random.default_rng(seed)
    total = round(images * GROUND_TRUTHS_PER_IMAGE)
    weight = rng.gamma(0.9, 1.0, images)
    truth_image = np.sort(rng.choice(images, size=total, p=weight / weight.sum()))
    popularity = 1.0 / (np.arange(CLASSES) + 3.0)
    popularity /= popularity.sum()
    # Images are about something: most objects of an image come from a few classes.
    themes = rng.choice(CLASSES, size=(images, 3), p=popularity)
    truth_label = np.where(
        rng.random(total) < 0.8,
        themes[truth_image, rng.integers(0, 3, total)],
        rng.choice(CLASSES, size=total, p=popularity),
    )
    truth_box = _boxes(rng, total)
    truth_crowd = rng.random(total) < 0.01

    parts = []

    def add(rows, labels, boxes, scores):
        parts.append((truth_image[rows], labels, boxes, scores))

    def some(share):
        return np.flatnonzero(rng.random(total) < share)

    for share, noise, low, high in (
        (0.80, 0.06, 0.12, 1.0),
        (0.22, 0.10, 0.05, 0.7),
        (0.12, 0.12, 0.05, 0.5),
    ):
        rows = some(share)
        add(rows, truth_label[rows], _jitter(rng, truth_box[rows], noise), _scores(rng, rows.size, low, high))
    for share, noise in ((0.62, 0.35), (0.42, 0.45)):
        rows = some(share)
        add(rows, truth_label[rows], _jitter(rng, truth_box[rows], noise), _scores(rng, rows.size, 0.05, 0.6))
    rows = some(0.60)
    other = (truth_label[rows] + rng.integers(1, CLASSES, rows.size)) % CLASSES
    add(rows, other, _jitter(rng, truth_box[rows], 0.08), _scores(rng, rows.size, 0.05, 0.5))
    rows = some(0.2)
    other = (truth_label[rows] + rng.integers(1, CLASSES, rows.size)) % CLASSES
    add(rows, other, _jitter(rng, truth_box[rows], 0.4), _scores(rng, rows.size, 0.05, 0.4))
    background = round(total * 1.95)
    image = np.concatenate([part[0] for part in parts] + [rng.integers(0, images, background)])
    label = np.concatenate([part[1] for part in parts] + [rng.choice(CLASSES, size=background, p=popularity)])
    box = np.concatenate([part[2] for part in parts] + [_boxes(rng, background)])
    score = np.concatenate([part[3] for part in parts] + [_scores(rng, background, 0.05, 0.4)])
    order = np.argsort(image, kind="stable")
    return Data(
        images=images,
        truth_image=truth_image,
        truth_label=truth_label,
        truth_box=np.round(truth_box, 2),
        truth_crowd=truth_crowd,
        image=image[order],
        label=label[order],
        box=np.round(box[order], 2),
        score=np.round(score[order], 5),
    )


def write(data: Data, folder: Path) -> tuple[Path, Path]:
    """Write ground truth and results as COCO JSON; return both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    truth, results = folder / "ground_truth.json", folder / "predictions.json"
    area = data.truth_box[:, 2] * data.truth_box[:, 3]
    document = {
        "images": [
            {"id": k + 1, "width": WIDTH, "height": HEIGHT, "file_name": f"{k + 1:012d}.jpg"}
            for k in range(data.images)
        ],
        "categories": [{"id": k + 1, "name": f"class {k:02d}"} for k in range(CLASSES)],
        "annotations": [
            {"id": k + 1, "image_id": i, "category_id": c, "bbox": b, "area": round(a, 4), "iscrowd": w}
            for k, (i, c, b, a, w) in enumerate(
                zip(
                    (data.truth_image + 1).tolist(),
                    (data.truth_label + 1).tolist(),
                    data.truth_box.tolist(),
                    area.tolist(),
                    data.truth_crowd.astype(int).tolist(),
                )
            )
        ],
    }
    truth.write_text(json.dumps(document))
    with results.open("w") as file:
        file.write("[")
        step = 100_000
        for begin in range(0, data.image.size, step):
            part = slice(begin, begin + step)
            rows = [
                {"image_id": i, "category_id": c, "bbox": b, "score": s}
                for i, c, b, s in zip(
                    (data.image[part] + 1).tolist(),
                    (data.label[part] + 1).tolist(),
                    data.box[part].tolist(),
                    data.score[part].tolist(),
                )
            ]
            file.write(("," if begin else "") + json.dumps(rows)[1:-1])
        file.write("]")
    return truth, results


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    side = np.exp(rng.normal(4.0, 0.9, count)).clip(6, 440)
    ratio = np.exp(rng.normal(0.0, 0.35, count))
    width = np.minimum(side * ratio, WIDTH - 2.0)
    height = np.minimum(side / ratio, HEIGHT - 2.0)
    x = rng.random(count) * (WIDTH - width)
    y = rng.random(count) * (HEIGHT - height)
    return np.stack([x, y, width, height], axis=1)


def _jitter(rng: np.random.Generator, boxes: np.ndarray, noise: float) -> np.ndarray:
    moved = boxes.copy()
    moved[:, :2] += rng.normal(0, noise, (len(boxes), 2)) * boxes[:, 2:]
    moved[:, 2:] *= np.exp(rng.normal(0, noise, (len(boxes), 2)))
    moved[:, 2:] = np.maximum(moved[:, 2:], 1.0)
    return moved


def _scores(rng: np.random.Generator, count: int, low: float, high: float) -> np.ndarray:
    return low + (high - low) * rng.beta(1.3, 2.0, count)
