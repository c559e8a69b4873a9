"""Which face does each pixel show, and how far away is it: a depth buffer over planar polygons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from airflow_provider_nucleus.local.demo.scenes.camera import NEAR, Camera
from airflow_provider_nucleus.local.demo.scenes.geometry import Face

SKY = -1
GROUND = 0


@dataclass
class Buffer:
    """Per pixel: 1 / distance along the view axis (0 = infinitely far) and the number of the visible face.

    Face numbers: `SKY`, `GROUND`, then 1, 2, ... in the order in which faces were drawn.
    """

    inverse_depth: NDArray[np.float32]
    face: NDArray[np.int32]

    @classmethod
    def of_ground(cls, camera: Camera) -> Buffer:
        """Return the view of the empty plane."""
        inverse_depth = camera.ground_inverse_depth.copy()
        return cls(inverse_depth, np.where(inverse_depth > 0, GROUND, SKY).astype(np.int32))

    def copy(self) -> Buffer:
        """Return a buffer that can be drawn over without changing this one."""
        return Buffer(self.inverse_depth.copy(), self.face.copy())


def draw(buffer: Buffer, faces: Sequence[Face], camera: Camera, *, first: int) -> None:
    """Draw the faces into the buffer, numbered from *first*; faces seen from behind do not show."""
    for number, face in enumerate(faces, start=first):
        view = camera.to_view(face.points)
        if view[:, 2].min() < NEAR:
            continue
        normal = camera.axes @ face.normal()
        offset = float(normal @ view[0])
        if offset >= -1e-9:
            continue
        corners = camera.focal * view[:, :2] / view[:, 2:] + [camera.width / 2, camera.height_px / 2]
        _fill(buffer, corners, normal / offset, camera, number)


def _fill(
    buffer: Buffer,
    corners: NDArray[np.float64],
    plane: NDArray[np.float64],
    camera: Camera,
    number: int,
) -> None:
    left, top = np.floor(corners.min(axis=0)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, camera.width), min(bottom, camera.height_px)
    if left >= right or top >= bottom:
        return
    # Pillow counts pixel centres, we count pixel corners: half a pixel between the two.
    outline = [(x - left - 0.5, y - top - 0.5) for x, y in corners]
    stencil = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(stencil).polygon(outline, fill=255)
    inside = np.asarray(stencil) > 0
    # On a plane n.P = d the inverse depth is linear in the picture: (n.ray) / d.
    u = (np.arange(left, right) + 0.5 - camera.width / 2) / camera.focal
    v = (np.arange(top, bottom) + 0.5 - camera.height_px / 2) / camera.focal
    inverse = (plane[0] * u[None, :] + plane[1] * v[:, None] + plane[2]).astype(np.float32)
    window = (slice(top, bottom), slice(left, right))
    nearer = inside & (inverse > buffer.inverse_depth[window])
    buffer.inverse_depth[window][nearer] = inverse[nearer]
    buffer.face[window][nearer] = number
