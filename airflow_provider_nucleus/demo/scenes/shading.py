"""From depth and faces to a photograph: sun and sky, cast shadows, lamps, headlights, fog, sensor.

Geometry is drawn with twice the pixels of the picture on each side (`OVERSAMPLE`) and averaged; light that varies
smoothly is computed at the size of the picture. All light is linear RGB until the sensor at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from airflow_provider_nucleus.demo.scenes.camera import NEAR, Array, Camera
from airflow_provider_nucleus.demo.scenes.raster import GROUND, SKY, Buffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.demo.scenes.geometry import Face
    from airflow_provider_nucleus.demo.scenes.weather import Weather

__all__ = ["OVERSAMPLE", "Stage", "photograph"]

OVERSAMPLE = 2

_LAMP_COLOUR = np.array([1.0, 0.74, 0.42], dtype=np.float32)
_BEAM_COLOUR = np.array([1.0, 0.93, 0.8], dtype=np.float32)


@dataclass(frozen=True)
class Stage:
    """The surfaces to be lit: the drawn buffer, its faces (in the order of their numbers) and the reflectance of the ground.

    *buffer* and *ground* have `OVERSAMPLE` times the pixels of *camera* on each side. *movers* are the faces of each
    object that casts shadows; *beams* are (position, direction) pairs of headlights; *lamps* positions.
    """

    camera: Camera
    buffer: Buffer
    faces: Sequence[Face]
    ground: Array
    movers: Sequence[Sequence[Face]]
    lamps: Sequence[tuple[float, float, float]]
    beams: Sequence[tuple[Array, Array]]


def photograph(stage: Stage, weather: Weather, *, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture (height, width, 3) as sRGB bytes."""
    tables = _FaceTables.of(stage.faces)
    index = stage.buffer.face + 1
    albedo = np.where((stage.buffer.face == GROUND)[:, :, None], stage.ground, tables.albedo[index])
    sky_part, sun_part = tables.daylight(weather)
    ambient = _halve(albedo * sky_part[index])
    on_ground = _halve((stage.buffer.face == GROUND).astype(np.float32)[:, :, None])
    contact = _contact_shadow(stage) * on_ground
    light: Array = ambient * (1 - 0.62 * contact)
    if max(weather.sun_colour) > 0:
        shadow = _sun_shadow(stage, weather) * on_ground
        light += _halve(albedo * sun_part[index]) * (1 - shadow)
    if weather.lamps or weather.headlights:
        light += _halve(albedo) * _local_light(stage, weather, tables, on_ground)
    glow = _halve(tables.glow[index]) * np.float32(0.25 + 0.75 * min(weather.lamps * 2, 1))
    light = _haze(stage, weather, light + glow)
    light += _bloom(glow + _lamp_glare(stage, weather), strength=0.5 + 9 * weather.fog)
    return _expose(light, weather, rng)


@dataclass(frozen=True)
class _FaceTables:
    """Per face number + 1 (0 = sky, 1 = ground): reflectance, outward normal, own light."""

    albedo: Array
    normal: Array
    glow: Array

    @classmethod
    def of(cls, faces: Sequence[Face]) -> _FaceTables:
        up = (0.0, 0.0, 1.0)
        none = (0.0, 0.0, 0.0)
        return cls(
            np.array([none, none, *(face.albedo for face in faces)], dtype=np.float32),
            np.array([none, up, *(face.normal for face in faces)], dtype=np.float32),
            np.array([none, none, *(face.glow for face in faces)], dtype=np.float32),
        )

    def daylight(self, weather: Weather) -> tuple[Array, Array]:
        """Return the light of sky and surroundings, and that of the sun, falling on each face."""
        facing_up = (self.normal[:, 2:] + 1) / 2
        sky, ground = np.array(weather.sky_light), np.array(weather.ground_light)
        ambient = ground * (1 - facing_up) + sky * facing_up
        towards = np.maximum(self.normal @ np.array(weather.sun, dtype=np.float32), 0)[:, None]
        return ambient.astype(np.float32), (towards * np.array(weather.sun_colour)).astype(np.float32)


def _halve(picture: Array) -> Array:
    """Return the mean of each block of OVERSAMPLE x OVERSAMPLE pixels."""
    total = picture[0::2, 0::2] + picture[1::2, 0::2] + picture[0::2, 1::2] + picture[1::2, 1::2]
    return total * np.float32(0.25)


def _stencil(camera: Camera, polygons: Sequence[Array], blur: float) -> Array:
    """Return 1 inside any of the ground polygons (n, 2 or 3 in metres), softened by *blur* pixels: (h, w, 1)."""
    picture = Image.new("L", (camera.width, camera.height_px))
    pen = ImageDraw.Draw(picture)
    if polygons:
        points, depth = camera.project(np.concatenate(polygons))
        ends = np.cumsum([len(polygon) for polygon in polygons])[:-1]
        for corners, far in zip(np.split(points - 0.5, ends), np.split(depth, ends), strict=True):
            if far.min() > NEAR:
                pen.polygon(corners.ravel().tolist(), fill=255)
    soft = picture.filter(ImageFilter.GaussianBlur(blur))
    return (np.asarray(soft, dtype=np.float32) / 255)[:, :, None]


def _sun_shadow(stage: Stage, weather: Weather) -> Array:
    sun = np.array(weather.sun)
    polygons = []
    for mover in stage.movers:
        for face in mover:
            if face.normal @ sun > 0:
                reach = face.points[:, 2:] / sun[2]
                polygons.append(face.points - reach * sun)
    return _stencil(stage.camera, polygons, weather.shadow_softness)


def _lamp_shadow(stage: Stage, lamp: Array) -> Array:
    polygons = []
    for mover in stage.movers:
        for face in mover:
            if face.normal @ (lamp - face.points[0]) > 0:
                stretch = lamp[2] / (lamp[2] - face.points[:, 2:])
                polygons.append(lamp + (face.points - lamp) * stretch)
    return _stencil(stage.camera, polygons, 1.2)


def _contact_shadow(stage: Stage) -> Array:
    """Return the darkness under and around bodies that keep the sky off the ground."""
    polygons = []
    for mover in stage.movers:
        corners = np.concatenate([face.points for face in mover])
        low = corners[corners[:, 2] < corners[:, 2].min() + 0.5][:, :2]
        centre = low.mean(axis=0)
        hull = _hull(low)
        polygons.append(np.column_stack([centre + (hull - centre) * 1.12, np.zeros(len(hull))]))
    return _stencil(stage.camera, polygons, 3.2)


def _hull(points: Array) -> Array:
    """Return the convex hull, counter-clockwise (monotone chain)."""
    ordered = sorted({(float(x), float(y)) for x, y in points.round(4)})

    def chain(sequence: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        out: list[tuple[float, float]] = []
        for x, y in sequence:
            while len(out) > 1 and _turn(out[-2], out[-1], (x, y)) <= 0:
                out.pop()
            out.append((x, y))
        return out[:-1]

    return np.array(chain(ordered) + chain(ordered[::-1]))


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _local_light(stage: Stage, weather: Weather, tables: _FaceTables, on_ground: Array) -> Array:
    """Return the light of lamps and headlights falling on each pixel."""
    inverse = stage.buffer.inverse_depth[::2, ::2]
    depth = (1 / np.maximum(inverse, np.float32(1e-3)))[:, :, None]
    where = stage.camera.position.astype(np.float32) + stage.camera.rays * depth
    normal = tables.normal[stage.buffer.face[::2, ::2] + 1]
    lamps = np.zeros((*where.shape[:2], 1), dtype=np.float32)
    for lamp in np.array(stage.lamps) if weather.lamps else ():
        towards = lamp.astype(np.float32) - where
        square = _dot(towards, towards)
        facing = np.maximum(_dot(towards, normal), 0) / np.sqrt(square)
        shade = 1 - _lamp_shadow(stage, lamp) * on_ground
        lamps += np.float32(85) * facing / (square + 12) * shade
    beams = np.zeros_like(lamps)
    for position, direction in stage.beams if weather.headlights else ():
        ahead = where @ direction.astype(np.float32) - np.float32(direction @ position)
        near = (ahead > 0) & (ahead < _BEAM_REACH)
        beams[near] += _beam(where[near] - position.astype(np.float32), normal[near], ahead[near, None])
    light: Array = lamps * (np.float32(weather.lamps) * _LAMP_COLOUR)
    light += beams * (np.float32(weather.headlights) * _BEAM_COLOUR)
    return light


_BEAM_REACH = 60.0
"""Metres after which a headlight is not followed any further."""


def _dot(a: Array, b: Array) -> Array:
    """Return the scalar product over the last axis, kept as an axis of one (faster than a sum over three)."""
    return a[..., 0:1] * b[..., 0:1] + a[..., 1:2] * b[..., 1:2] + a[..., 2:3] * b[..., 2:3]


_BEAM_EDGE = 0.86
"""Cosine of the angle from the axis at which a headlight's cone ends."""


def _beam(away: Array, normal: Array, ahead: Array) -> Array:
    """Return the light (n, 1) of one headlight on points *away* from it (n, 3), *ahead* of it by so many metres (n, 1)."""
    distance = np.sqrt(_dot(away, away)) + np.float32(1e-3)
    cone = np.clip((ahead / distance - _BEAM_EDGE) / 0.12, 0, 1)
    # Light that only grazes the ground still shows it, because asphalt is rough: a floor under the cosine.
    facing = np.maximum(-_dot(away, normal) / distance, 0) * 0.8 + 0.2
    light: Array = np.float32(16) * cone * facing / (distance * distance + 10)
    return light


def _haze(stage: Stage, weather: Weather, light: Array) -> Array:
    """Return the light after the air: the sky gradient behind everything, fog thickening with distance."""
    rows = (np.arange(stage.camera.height_px, dtype=np.float32) + 0.5) / max(stage.camera.horizon, 1.0)
    height = np.clip(1 - rows, 0, 1)[:, None, None] ** 0.8
    air = np.array(weather.horizon, dtype=np.float32) * (1 - height) + np.array(weather.zenith) * height
    sky = _halve((stage.buffer.face == SKY).astype(np.float32)[:, :, None])
    distance = 1 / np.maximum(stage.buffer.inverse_depth[::2, ::2], np.float32(1e-3))[:, :, None]
    clear = np.exp(-np.float32(weather.fog) * distance) * (1 - sky)
    # A surface is only as opaque as its share of the pixel: the rest of the pixel is sky.
    return np.asarray(light * clear + air * (1 - clear), dtype=np.float32)


def _lamp_glare(stage: Stage, weather: Weather) -> Array:
    """Return a bright dot for each lamp and for each headlight that looks towards the camera."""
    glare = np.zeros((stage.camera.height_px, stage.camera.width, 3), dtype=np.float32)
    sources = [(np.array(lamp), _LAMP_COLOUR * np.float32(weather.lamps * 2.2), 0.6) for lamp in stage.lamps]
    for position, direction in stage.beams:
        towards = stage.camera.position - position
        facing = float(direction @ towards) / float(np.linalg.norm(towards))
        if facing > 0.2:
            sources.append((position, _BEAM_COLOUR * np.float32(weather.headlights * 1.6 * facing), 0.35))
    for position, colour, size in sources:
        points, depth = stage.camera.project(position)
        column, row = (int(v) for v in points[0])
        radius = max(1, round(stage.camera.focal * size / 6 / max(float(depth[0]), 1.0)))
        if 0 <= column < stage.camera.width and 0 <= row < stage.camera.height_px:
            seen = stage.buffer.inverse_depth[row * 2, column * 2] * float(depth[0])
            if seen < 1.03:  # nothing stands in front of it
                glare[
                    max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1
                ] += colour
    return glare


def _bloom(source: Array, *, strength: float) -> Array:
    """Return the glow that lens and air put around bright light."""
    height, width, _ = source.shape
    small = source.reshape(height // 4, 4, width // 4, 4, 3).mean(axis=(1, 3))
    bloom = sum(
        (_blur(small, radius) * np.float32(weight) for radius, weight in _HALOS), np.zeros_like(small)
    )
    size = (width, height)
    layers = [
        Image.fromarray(bloom[:, :, channel]).resize(size, Image.Resampling.BICUBIC) for channel in range(3)
    ]
    return np.stack([np.asarray(layer, dtype=np.float32) for layer in layers], axis=2) * np.float32(strength)


_HALOS = ((1, 0.9), (2, 1.2), (5, 1.8))
"""Radius in blocks of 4 pixels, and weight, of each halo."""


def _blur(picture: Array, radius: int) -> Array:
    """Return three box blurs one after the other, which is close to a Gaussian (8-bit blurs would show steps)."""
    for axis in (0, 1, 0, 1, 0, 1):
        count = picture.shape[axis]
        total = np.cumsum(picture, axis=axis, dtype=np.float32)
        total = np.concatenate([np.zeros_like(total.take([0], axis=axis)), total], axis=axis)
        centre = np.arange(count)
        high, low = np.minimum(centre + radius + 1, count), np.maximum(centre - radius, 0)
        picture = (total.take(high, axis=axis) - total.take(low, axis=axis)) / np.float32(2 * radius + 1)
    return picture


def _expose(light: Array, weather: Weather, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return what the sensor stores: shoulder for highlights, gamma, vignette and noise."""
    height, width, _ = light.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    vignette = (1 - 0.1 * (x * x + y * y))[:, :, None]
    gain = np.float32(weather.exposure * rng.normal(1, 0.015))
    exposed = np.maximum(light, 0) * gain * vignette
    exposed = exposed * (1 + exposed / 9) / (1 + exposed * 0.55)
    levels = np.clip(exposed, 0, 1) ** np.float32(1 / 2.2) * 255
    grain = rng.standard_normal((height, width, 1), dtype=np.float32) * np.float32(weather.noise)
    colour_grain = rng.standard_normal((height, width, 3), dtype=np.float32) * np.float32(weather.noise * 0.4)
    return np.asarray(np.clip(levels + grain + colour_grain + 0.5, 0, 255), dtype=np.uint8)
