"""The surface of the ground: asphalt and concrete with stains, and worn paint. Computed once for each place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from airflow_provider_nucleus.demo.scenes.camera import NEAR, Array, Camera
from airflow_provider_nucleus.demo.scenes.geometry import srgb

if TYPE_CHECKING:
    from airflow_provider_nucleus.demo.scenes.places import Place

__all__ = ["ground_albedo"]

_ASPHALT = np.array(srgb(104, 106, 108), dtype=np.float32)
_CONCRETE = np.array(srgb(150, 148, 142), dtype=np.float32)
_TEXTURE_SEED = 20_260_311  # the ground is the same whatever the seed of the scenes is


def ground_albedo(place: Place, camera: Camera) -> Array:
    """Return the reflectance (height, width, 3) of the ground where it is seen; black above the horizon."""
    inverse = camera.ground_inverse_depth
    seen = inverse > 1e-4
    depth = np.where(seen, 1 / np.maximum(inverse, 1e-4), 0).astype(np.float32)
    x, y = camera.rays[:, :, 0] * depth, camera.rays[:, :, 1] * depth
    coarse = _noise(x / 7, y / 7, 1) * 0.6 + _noise(x / 2.2, y / 2.2, 2) * 0.4
    # Grain finer than the pixels far away would only alias: let it fade with distance.
    grain = _noise(x / 0.12, y / 0.12, 3) * np.clip(22 / np.maximum(depth, 1), 0, 1) ** 2
    stains = np.clip(_noise(x / 1.6 + 40, y / 1.6, 4) * 2.4 - 1.5, 0, 1)
    tone = 1 + 0.16 * (coarse - 0.5) + 0.18 * (grain - 0.5) - 0.2 * stains
    concrete = np.clip((y - place.apron) / 0.15, 0, 1)[:, :, None]
    seams = (np.abs(np.mod(x, 5.0) - 2.5) > 2.46) & (y > place.apron)
    base = _ASPHALT * (1 - concrete) + _CONCRETE * concrete
    albedo = base * (tone * np.where(seams, 0.8, 1))[:, :, None]
    wear = np.clip(0.55 + 0.7 * _noise(x / 0.5, y / 0.5, 5), 0, 0.92)[:, :, None]
    for colour, stencil in _paint(place, camera):
        cover = stencil[:, :, None] * wear
        albedo = albedo * (1 - cover) + np.array(colour, dtype=np.float32) * cover
    return np.where(seen[:, :, None], albedo, 0).astype(np.float32)


def _paint(place: Place, camera: Camera) -> list[tuple[tuple[float, float, float], Array]]:
    layers: list[tuple[tuple[float, float, float], Array]] = []
    for colour in sorted({stripe.colour for stripe in place.stripes}):
        picture = Image.new("L", (camera.width, camera.height_px))
        pen = ImageDraw.Draw(picture)
        for stripe in place.stripes:
            points, depth = camera.project(np.array([(x, y, 0.0) for x, y in stripe.corners]))
            if stripe.colour == colour and depth.min() > NEAR:
                pen.polygon([(px - 0.5, py - 0.5) for px, py in points], fill=255)
        layers.append((colour, np.asarray(picture, dtype=np.float32) / 255))
    return layers


def _noise(x: Array, y: Array, channel: int) -> Array:
    """Return smooth noise of 0-1: random values on a unit lattice of 256 x 256, repeated, blended between."""
    lattice = np.random.default_rng([_TEXTURE_SEED, channel]).random((256, 256), dtype=np.float32)
    left, low = np.floor(x), np.floor(y)
    fx, fy = x - left, y - low
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    i, j = left.astype(np.int64) & 255, low.astype(np.int64) & 255
    k, m = (i + 1) & 255, (j + 1) & 255
    near = lattice[j, i] * (1 - fx) + lattice[j, k] * fx
    far = lattice[m, i] * (1 - fx) + lattice[m, k] * fx
    return np.asarray(near * (1 - fy) + far * fy, dtype=np.float32)
