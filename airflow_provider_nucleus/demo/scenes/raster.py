"""A depth buffer over planar polygons: the face that each pixel shows, and its distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from airflow_provider_nucleus.demo.scenes.camera import NEAR, Camera

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.demo.scenes.geometry import Face

__all__ = ["GROUND", "SKY", "Buffer", "draw"]

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
    if not faces:
        return
    view = camera.to_view(np.concatenate([face.points for face in faces]))
    starts = np.cumsum([0, *(len(face.points) for face in faces)])
    normals = np.array([face.normal for face in faces]) @ camera.axes.T
    offsets = (normals * view[starts[:-1]]).sum(axis=1)
    nearest = np.minimum.reduceat(view[:, 2], starts[:-1])
    flat = view[:, :2] / np.maximum(view[:, 2:], NEAR)
    corners = camera.focal * flat + [camera.width / 2, camera.height_px / 2]
    low = np.maximum(np.floor(np.minimum.reduceat(corners, starts[:-1])), 0).astype(int)
    size = np.array([camera.width, camera.height_px])
    high = np.minimum(np.ceil(np.maximum.reduceat(corners, starts[:-1])), size).astype(int)
    shows = (nearest >= NEAR) & (offsets < -1e-9) & (low < high).all(axis=1)
    for i in np.flatnonzero(shows):
        outline = corners[starts[i] : starts[i + 1]] - low[i]
        box = (int(low[i, 0]), int(low[i, 1]), int(high[i, 0]), int(high[i, 1]))
        _fill(buffer, outline, box, normals[i] / offsets[i], camera=camera, number=first + int(i))


def _fill(
    buffer: Buffer,
    outline: NDArray[np.float64],
    box: tuple[int, int, int, int],
    plane: NDArray[np.float64],
    *,
    camera: Camera,
    number: int,
) -> None:
    """Draw one polygon, given relative to the top left corner of its *box* (left, top, right, bottom)."""
    left, top, right, bottom = box
    stencil = Image.new("1", (right - left, bottom - top))
    # Pillow counts pixel centres, we count pixel corners: half a pixel between the two.
    ImageDraw.Draw(stencil).polygon((outline - 0.5).ravel().tolist(), fill=1)
    inside = np.asarray(stencil)
    # On a plane n.P = d the inverse depth is linear in the picture: (n.ray) / d.
    u = (np.arange(left, right) + 0.5 - camera.width / 2) / camera.focal
    v = (np.arange(top, bottom) + 0.5 - camera.height_px / 2) / camera.focal
    inverse = ((plane[0] * u + plane[2])[None, :] + (plane[1] * v)[:, None]).astype(np.float32)
    window = (slice(top, bottom), slice(left, right))
    nearer = inside & (inverse > buffer.inverse_depth[window])
    np.copyto(buffer.inverse_depth[window], inverse, where=nearer)
    np.copyto(buffer.face[window], number, where=nearer)
