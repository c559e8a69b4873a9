"""One picture to look at: a scene of each weather with the true boxes and what each detector found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from airflow_provider_nucleus.demo.detectors import Detection
    from airflow_provider_nucleus.demo.rendered_batch import Shot
    from airflow_provider_nucleus.demo.scenes import TruthBox

__all__ = ["write_sheet"]

_TRUTH = (64, 220, 110)
_FOUND = (255, 84, 190)
_HEADER = 26


def write_sheet(
    path: Path, shots: Sequence[Shot], found: Mapping[str, Sequence[Sequence[Detection]]]
) -> None:
    """Write a JPEG with a row for each weather and a column for each detector: truth is thin, findings are thick."""
    rows = _rows(shots)
    height, width, _ = shots[0].scene.pixels.shape
    sheet = Image.new("RGB", (width * len(found), _HEADER + height * len(rows)), (24, 26, 30))
    pen = ImageDraw.Draw(sheet)
    for column, (name, per_shot) in enumerate(found.items()):
        pen.text(
            (column * width + 8, 7),
            f"{name}: thick boxes with confidence; thin boxes are the truth",
            fill=(240, 240, 240),
        )
        for row, number in enumerate(rows.values()):
            picture = _drawn(shots[number], per_shot[number])
            sheet.paste(picture, (column * width, _HEADER + row * height))
    sheet.save(path, quality=90)


def _rows(shots: Sequence[Shot]) -> dict[str, int]:
    """Return the number of a shot for each weather, taking turns between the cameras."""
    weathers = list(dict.fromkeys(shot.scene.weather for shot in shots))
    cameras = list(dict.fromkeys(shot.scene.camera for shot in shots))
    rows: dict[str, int] = {}
    for turn, weather in enumerate(weathers):
        numbers = [number for number, shot in enumerate(shots) if shot.scene.weather == weather]
        wanted = cameras[turn % len(cameras)]
        rows[weather] = next((n for n in numbers if shots[n].scene.camera == wanted), numbers[0])
    return rows


def _drawn(shot: Shot, detections: Sequence[Detection]) -> Image.Image:
    picture = Image.fromarray(shot.scene.pixels)
    pen = ImageDraw.Draw(picture)
    for truth in shot.scene.boxes:
        pen.rectangle(_corners(truth), outline=_TRUTH, width=1)
    for detection in detections:
        left, top, right, bottom = _corners(detection)
        pen.rectangle((left, top, right, bottom), outline=_FOUND, width=2)
        text = f"{detection.label} {detection.confidence:.2f}"
        at = (left, max(top - 12, 0.0))
        pen.rectangle(pen.textbbox(at, text), fill=(20, 20, 24))
        pen.text(at, text, fill=_FOUND)
    return picture


def _corners(box: TruthBox | Detection) -> tuple[float, float, float, float]:
    return box.x, box.y, box.x + box.width - 1, box.y + box.height - 1
