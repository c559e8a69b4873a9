"""A scene: who stands where, the picture of it, and the exact boxes of what can be seen.

The truth is read off the depth buffer, not off the plan: a box is the extent of the pixels that really show the object
(half-pixel resolution, since geometry is drawn with two samples per pixel and side), so an occluder or the picture
border cuts it. An object of which less than `LEAST_VISIBLE` can be seen, or whose box is smaller than `LEAST_SIDE`
pixels, is taken out of the scene before it is photographed: nothing in a picture lacks a box.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from airflow_provider_nucleus.demo.scenes import vehicles
from airflow_provider_nucleus.demo.scenes.camera import NEAR, Camera
from airflow_provider_nucleus.demo.scenes.geometry import Face, placed
from airflow_provider_nucleus.demo.scenes.ground import ground_albedo
from airflow_provider_nucleus.demo.scenes.places import Place, Zone, places
from airflow_provider_nucleus.demo.scenes.raster import Buffer, draw
from airflow_provider_nucleus.demo.scenes.shading import OVERSAMPLE, Stage, photograph
from airflow_provider_nucleus.demo.scenes.weather import WEATHERS, Weather

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = [
    "LABELS",
    "LEAST_SIDE",
    "LEAST_VISIBLE",
    "RenderedScene",
    "TruthBox",
    "render_scene",
    "render_scenes",
]

LABELS = ("car", "van", "forklift", "crate")

LEAST_VISIBLE = 0.35
"""Smallest visible share (0-1) of an object's outline that counts as seen."""

LEAST_SIDE = 10.0
"""Smallest side of a truth box in pixels."""


@dataclass(frozen=True)
class TruthBox:
    """The visible extent of one object, in pixels: (x, y) is the top left corner."""

    label: str
    x: float
    y: float
    width: float
    height: float
    visible: float
    """Share of the object's outline that can be seen, 0-1; the rest is hidden or outside the picture."""


@dataclass(frozen=True)
class RenderedScene:
    """One picture with its facts and its truth."""

    frame: int
    camera: str
    weather: str
    clock: str
    pixels: NDArray[np.uint8]
    boxes: tuple[TruthBox, ...]

    @property
    def reference_id(self) -> str:
        """The name under which the picture is known to Nucleus."""
        return f"{self.camera}-{self.frame:03d}-{self.weather}"


def render_scene(frame: int, *, of: int, seed: int, weather: Weather | None = None) -> RenderedScene:
    """Return scene number *frame* (from 0) *of* so many.

    The cameras take turns, and the four kinds of weather follow one another in equal blocks unless one is given. The same arguments
    give the same picture and boxes.
    """
    views = _views()
    weather = weather or WEATHERS[frame * len(WEATHERS) // of]
    return _render(frame, views[frame % len(views)], weather, rng=np.random.default_rng([seed, frame]))


def render_scenes(count: int, *, seed: int) -> Iterator[RenderedScene]:
    """Yield all *count* scenes of a batch."""
    return (render_scene(frame, of=count, seed=seed) for frame in range(count))


@dataclass(frozen=True)
class _View:
    """A place drawn without movers, ready to be copied."""

    place: Place
    fine: Camera
    buffer: Buffer
    ground: NDArray[np.float32]


@dataclass(frozen=True)
class _Mover:
    body: vehicles.Body
    faces: tuple[Face, ...]
    x: float
    y: float
    heading: float

    @property
    def reach(self) -> float:
        """Radius in metres of the circle that holds the footprint."""
        return float(np.hypot(self.body.length, self.body.width)) / 2


_building = Lock()


def _views() -> tuple[_View, ...]:
    with _building:  # two threads that start together would otherwise both draw the places
        return _drawn_views()


@cache
def _drawn_views() -> tuple[_View, ...]:
    views = []
    for place in places():
        fine = place.camera.scaled(OVERSAMPLE)
        buffer = Buffer.of_ground(fine)
        draw(buffer, place.faces, fine, first=1)
        views.append(_View(place, fine, buffer, ground_albedo(place, fine)))
    return tuple(views)


def _render(frame: int, view: _View, weather: Weather, *, rng: np.random.Generator) -> RenderedScene:
    movers = _populate(view.place, weather, rng)
    while True:
        buffer, boxes = _draw_movers(view, movers)
        hidden = [i for i, box in enumerate(boxes) if box is None]
        if not hidden:
            break
        movers = [mover for i, mover in enumerate(movers) if i not in hidden]
    stage = Stage(
        camera=view.place.camera,
        buffer=buffer,
        faces=[*view.place.faces, *(face for mover in movers for face in mover.faces)],
        ground=view.ground,
        movers=[mover.faces for mover in movers],
        lamps=view.place.lamps if weather.lamps else (),
        beams=[beam for mover in movers for beam in _beams(mover)],
    )
    pixels = _stamp(
        photograph(stage, weather, rng=rng), f"{view.place.name}  2026-03-11 {weather.clock}  #{frame:03d}"
    )
    kept = tuple(box for box in boxes if box is not None)
    return RenderedScene(frame, view.place.name, weather.name, weather.clock, pixels, kept)


def _populate(place: Place, weather: Weather, rng: np.random.Generator) -> list[_Mover]:
    """Return objects that do not touch each other."""
    weights = np.array([zone.weight for zone in place.zones])
    wanted = int(rng.integers(5, 10))
    movers: list[_Mover] = []
    for _ in range(wanted * 12):
        if len(movers) >= wanted:
            break
        zone = place.zones[int(rng.choice(len(place.zones), p=weights / weights.sum()))]
        for mover in _candidate(zone, weather, rng):
            if all(_clear(mover, other) for other in movers if other.x != mover.x):
                movers.append(mover)
    return movers


def _candidate(zone: Zone, weather: Weather, rng: np.random.Generator) -> list[_Mover]:
    """Return one object somewhere in the zone, or two crates on top of each other."""
    label = zone.labels[int(rng.integers(len(zone.labels)))]
    x0, y0, x1, y1 = zone.area
    x, y = float(rng.uniform(x0, x1)), float(rng.uniform(y0, y1))
    heading = zone.headings[int(rng.integers(len(zone.headings)))] + float(rng.normal(0, zone.wobble))
    lights = weather.headlights if rng.random() < 0.65 else 0.0

    def paint(paints: tuple[tuple[float, float, float], ...]) -> tuple[float, float, float]:
        return paints[int(rng.integers(len(paints)))]

    if label == "car":
        bodies = [(vehicles.car(paint(vehicles.CAR_PAINTS), lights=lights), heading)]
    elif label == "van":
        bodies = [(vehicles.van(paint(vehicles.VAN_PAINTS), lights=lights), heading)]
    elif label == "forklift":
        bodies = [(vehicles.forklift(paint(vehicles.FORKLIFT_PAINTS), lights=lights), heading)]
    else:
        size = float(rng.uniform(1.1, 1.6))
        bodies = [(vehicles.crate(paint(vehicles.CRATE_WOODS), size=size), heading)]
        if rng.random() < 0.3:
            upper = vehicles.crate(paint(vehicles.CRATE_WOODS), base=size, size=float(rng.uniform(0.9, size)))
            bodies.append((upper, heading + float(rng.normal(0, 0.15))))
    return [
        _Mover(body, tuple(placed(body.faces, x=x, y=y, heading=turn)), x, y, turn) for body, turn in bodies
    ]


def _clear(mover: _Mover, other: _Mover) -> bool:
    """Return whether two footprints keep 30 cm apart (rectangles, separating axes)."""
    offset = np.array([other.x - mover.x, other.y - mover.y])
    if np.hypot(*offset) > mover.reach + other.reach + 0.3:
        return True
    for heading in (mover.heading, mover.heading + np.pi / 2, other.heading, other.heading + np.pi / 2):
        axis = np.array([np.cos(heading), np.sin(heading)])
        if abs(offset @ axis) > _half_extent(mover, axis) + _half_extent(other, axis) + 0.3:
            return True
    return False


def _half_extent(mover: _Mover, axis: NDArray[np.float64]) -> float:
    along = np.array([np.cos(mover.heading), np.sin(mover.heading)])
    across = np.array([-along[1], along[0]])
    return float(abs(along @ axis) * mover.body.length / 2 + abs(across @ axis) * mover.body.width / 2)


def _draw_movers(view: _View, movers: list[_Mover]) -> tuple[Buffer, list[TruthBox | None]]:
    """Draw all objects; None stands for an object that is too hidden or too small."""
    buffer = view.buffer.copy()
    first = 1 + len(view.place.faces)
    starts = [first]
    for mover in movers:
        draw(buffer, mover.faces, view.fine, first=starts[-1])
        starts.append(starts[-1] + len(mover.faces))
    owner = np.searchsorted(np.array(starts), buffer.face, side="right") - 1
    boxes = [_truth(mover, owner == number, view.fine) for number, mover in enumerate(movers)]
    return buffer, boxes


def _truth(mover: _Mover, visible_pixels: NDArray[np.bool_], fine: Camera) -> TruthBox | None:
    rows, columns = np.flatnonzero(visible_pixels.any(axis=1)), np.flatnonzero(visible_pixels.any(axis=0))
    if not rows.size:
        return None
    x, y = columns[0] / OVERSAMPLE, rows[0] / OVERSAMPLE
    width, height = (columns[-1] + 1) / OVERSAMPLE - x, (rows[-1] + 1) / OVERSAMPLE - y
    visible = min(float(visible_pixels.sum()) / max(_outline_area(mover, fine), 1.0), 1.0)
    if visible < LEAST_VISIBLE or min(width, height) < LEAST_SIDE:
        return None
    return TruthBox(mover.body.label, float(x), float(y), float(width), float(height), round(visible, 3))


def _outline_area(mover: _Mover, fine: Camera) -> float:
    """Return the pixels the object would cover alone in an endless picture."""
    points, depth = fine.project(np.concatenate([face.points for face in mover.faces]))
    ends = np.cumsum([len(face.points) for face in mover.faces])[:-1]
    low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0)) + 1
    if depth.min() < NEAR:
        return 0.0
    stencil = Image.new("1", (int(high[0] - low[0]), int(high[1] - low[1])))
    pen = ImageDraw.Draw(stencil)
    for polygon in np.split(points - low - 0.5, ends):
        pen.polygon(polygon.ravel().tolist(), fill=1)
    return float(np.asarray(stencil).sum())


def _beams(mover: _Mover) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    cos, sin = np.cos(mover.heading), np.sin(mover.heading)
    direction = np.array([cos, sin, -0.07])
    return [
        (
            np.array([mover.x + cos * x - sin * y, mover.y + sin * x + cos * y, z]),
            direction / np.linalg.norm(direction),
        )
        for x, y, z in mover.body.headlights
    ]


def _stamp(pixels: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Write the recorder's line into the top left corner, as surveillance cameras do."""
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    pen.text((9, 7), text, fill=(0, 0, 0))
    pen.text((8, 6), text, fill=(238, 238, 232))
    return np.asarray(picture)
