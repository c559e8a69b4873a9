"""A pinhole camera above the ground: where a point lands in the picture, and what a pixel looks at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NEAR", "Array", "Camera"]

Array = NDArray[np.floating[Any]]
"""Numbers of either precision: pictures are float32, geometry is float64."""

NEAR = 0.5
"""Points closer than this many metres in front of the camera are not drawn."""


@dataclass(frozen=True)
class Camera:
    """A camera at (0, 0, *height*) metres, turned by *yaw* (clockwise) and tilted down by *pitch* radians.

    *width* and *height_px* are the picture in pixels, *focal* the focal length in pixels of that picture. Picture
    coordinates are continuous: x to the right, y down, (0, 0) is the outer corner of the top left pixel.
    """

    width: int
    height_px: int
    focal: float
    height: float
    pitch: float
    yaw: float = 0.0

    def scaled(self, factor: int) -> Camera:
        """Return the same view with *factor* times as many pixels on each side."""
        return Camera(
            self.width * factor,
            self.height_px * factor,
            self.focal * factor,
            self.height,
            self.pitch,
            self.yaw,
        )

    @cached_property
    def axes(self) -> Array:
        """Rows: right, down, forward of the camera in world coordinates (unit vectors)."""
        cos, sin = np.cos(self.pitch), np.sin(self.pitch)
        east, north = np.sin(self.yaw), np.cos(self.yaw)
        right = np.array([north, -east, 0.0])
        forward = np.array([east * cos, north * cos, -sin])
        return np.stack([right, np.cross(forward, right), forward])

    @property
    def position(self) -> Array:
        """The centre of projection in metres."""
        return np.array([0.0, 0.0, self.height])

    def to_view(self, points: Array) -> Array:
        """Return world points as (right, down, forward) metres from the camera."""
        return (points - self.position) @ self.axes.T

    def project(self, points: Array) -> tuple[Array, Array]:
        """Return picture coordinates (n, 2) and the distance along the view axis (n) of world points."""
        view = self.to_view(np.atleast_2d(points))
        depth = np.maximum(view[:, 2], 1e-6)
        centre = np.array([self.width / 2, self.height_px / 2])
        return centre + self.focal * view[:, :2] / depth[:, None], view[:, 2]

    @cached_property
    def rays(self) -> Array:
        """Per pixel, the world vector that advances one metre along the view axis: (height, width, 3)."""
        u = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal
        v = (np.arange(self.height_px) + 0.5 - self.height_px / 2) / self.focal
        right, down, forward = self.axes
        rays: Array = u[None, :, None] * right + v[:, None, None] * down + forward
        return np.asarray(rays, dtype=np.float32)

    @cached_property
    def ground_inverse_depth(self) -> Array:
        """Per pixel, 1 / distance along the view axis of the ground; 0 from the horizon upwards."""
        down = -self.rays[:, :, 2] / np.float32(self.height)
        return np.asarray(np.maximum(down, 0), dtype=np.float32)

    @property
    def horizon(self) -> float:
        """The picture row, in pixels, at which the flat ground would vanish."""
        return self.height_px / 2 - self.focal * float(np.tan(self.pitch))
