"""The demonstration's own batches: render the scenes of three days, let both detectors look at the picture files, write JSONL."""

from __future__ import annotations

import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from airflow_provider_nucleus.demo.batch import Batch, Predictions, write_jsonl
from airflow_provider_nucleus.demo.calibrations import calibrations
from airflow_provider_nucleus.demo.detectors import detect_fixed, detect_relative
from airflow_provider_nucleus.demo.scenes import RenderedScene, render_scene
from airflow_provider_nucleus.demo.scenes.weather import WEATHERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from airflow_provider_nucleus.demo.detectors import CameraCalibration, Detection

    Detector = Callable[[Sequence[np.ndarray[Any, Any]], CameraCalibration], list[list[Detection]]]

__all__ = ["DATASET", "DAYS", "DETECTORS", "FRAMES", "SEED", "Day", "Shot", "detect", "render", "write_batch"]

DATASET = "demo-rendered-yard"
"""Name of the dataset that the batches grow."""

SEED = 7
"""Seed of the demonstration's scenes; the prototypes of the classifier come from other seeds."""

FRAMES = 36

DETECTORS: dict[str, Detector] = {"fixed-threshold": detect_fixed, "background-relative": detect_relative}


@dataclass(frozen=True)
class Day:
    """A day of recording: its date, and its weather in equal blocks of pictures."""

    date: str
    weather: tuple[str, ...]


DAYS = (
    Day("2026-03-09", ("day", "day", "dusk")),
    Day("2026-03-10", ("day", "dusk", "night")),
    Day("2026-03-11", ("dusk", "night", "fog")),
)
"""From fair to foul: the batches differ in what a detector may well not be made for."""

_WEATHER = {weather.name: weather for weather in WEATHERS}


@dataclass(frozen=True)
class Shot:
    """A scene, the file its picture was saved to, and the date it was recorded on."""

    scene: RenderedScene
    path: Path
    date: str = DAYS[-1].date


def render(
    folder: Path, *, frames: int = FRAMES, seed: int = SEED, days: Sequence[Day] | None = None
) -> list[Shot]:
    """Render the scenes into *folder* as JPEG files, on all cores that are at hand (two at most).

    The pictures of *days* are equal in number; without them all kinds of weather follow one another on one date.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def shoot(frame: int) -> Shot:
        date, weather = DAYS[-1].date, None
        if days is not None:
            number, within = divmod(frame * len(days), frames)
            date, blocks = days[number].date, days[number].weather
            weather = _WEATHER[blocks[within * len(blocks) // frames]]
        scene = render_scene(frame, of=frames, seed=seed, weather=weather)
        path = folder / f"{scene.reference_id}.jpg"
        Image.fromarray(scene.pixels).save(path, quality=92, subsampling=0)
        return Shot(scene, path, date)

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        return list(pool.map(shoot, range(frames)))


def detect(pictures: Sequence[tuple[str, Path]], detector: Detector) -> list[list[Detection]]:
    """Return what a detector finds in each picture file, given as (camera, path); it reads the pixels and nothing else."""
    found: dict[int, list[Detection]] = {}
    by_camera: dict[str, list[int]] = defaultdict(list)
    for number, (camera, _) in enumerate(pictures):
        by_camera[camera].append(number)
    for camera, numbers in by_camera.items():
        frames = [np.asarray(Image.open(pictures[number][1]).convert("RGB")) for number in numbers]
        found.update(zip(numbers, detector(frames, calibrations()[camera]), strict=True))
    return [found[number] for number in range(len(pictures))]


def write_batch(
    folder: Path, shots: Sequence[Shot], found: Mapping[str, Sequence[Sequence[Detection]]]
) -> Batch:
    """Write items, ground truth and the predictions of each detector into *folder*; all shots are of one date."""
    folder.mkdir(parents=True, exist_ok=True)
    models = [
        Predictions(
            name,
            f"demo-{name}",
            write_jsonl(folder / f"predictions-{name}.jsonl", _predictions(shots, per_shot)),
        )
        for name, per_shot in found.items()
    ]
    objects = sum(len(shot.scene.boxes) for shot in shots)
    return Batch(
        dataset_name=DATASET,
        name=shots[0].date,
        items=write_jsonl(folder / "items.jsonl", (_item(shot) for shot in shots)),
        ground_truth=write_jsonl(folder / "ground_truth.jsonl", _ground_truth(shots)),
        images=shots[0].path.parent,
        models=tuple(models),
        facts=(
            f"{shots[0].date}  {len(shots)} pictures, {', '.join(dict.fromkeys(shot.scene.weather for shot in shots))}, {objects} objects",
        ),
    )


def _item(shot: Shot) -> dict[str, Any]:
    scene = shot.scene
    height, width, _ = scene.pixels.shape
    return {
        "metadata": {
            "weather": scene.weather,
            "camera": scene.camera,
            "frame_number": scene.frame,
            "recorded_at": f"{shot.date}T{scene.clock}:00Z",
            "source": "rendered",
        },
        "reference_id": scene.reference_id,
        "image_url": shot.path.name,
        "width": width,
        "height": height,
    }


def _ground_truth(shots: Sequence[Shot]) -> list[dict[str, Any]]:
    rows = []
    for shot in shots:
        for number, box in enumerate(shot.scene.boxes):
            rows.append({
                "label": box.label,
                "type": "box",
                "geometry": {"x": box.x, "y": box.y, "width": box.width, "height": box.height},
                "reference_id": shot.scene.reference_id,
                "annotation_id": f"{shot.scene.reference_id}-{number}",
                "metadata": {"visible": box.visible},
            })
    return rows


def _predictions(shots: Sequence[Shot], found: Sequence[Sequence[Detection]]) -> list[dict[str, Any]]:
    rows = []
    for shot, detections in zip(shots, found, strict=True):
        for number, box in enumerate(detections):
            rows.append({
                "label": box.label,
                "type": "box",
                "geometry": {"x": box.x, "y": box.y, "width": box.width, "height": box.height},
                "reference_id": shot.scene.reference_id,
                "annotation_id": f"{shot.scene.reference_id}-p{number}",
                "metadata": {},
                "confidence": box.confidence,
                "class_pdf": box.class_pdf,
            })
    return rows
