"""Flat-faced bodies: the only shapes the renderer draws.

World coordinates are metres: x to the right, y away from the camera, z up, the ground is z = 0.
A body is a list of faces; faces are planar, wound counter-clockwise when seen from outside, and may be concave.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "BLACK",
    "Colour",
    "Face",
    "Points",
    "block",
    "extrusion",
    "frustum",
    "patch",
    "placed",
    "srgb",
    "wheel",
]

Points = NDArray[np.float64]
Colour = tuple[float, float, float]

BLACK: Colour = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Face:
    """One planar polygon: corners in metres, reflectance and own light as linear RGB (0-1 and 0-any)."""

    points: Points
    albedo: Colour
    glow: Colour = BLACK

    @cached_property
    def normal(self) -> Points:
        """The unit vector pointing out of the body."""
        corners = self.points.tolist()
        nx = ny = nz = 0.0
        x, y, z = corners[-1]
        # Newell's formula: right for concave faces too. Plain floats, because arrays of four are slower.
        for u, v, w in corners:
            nx += (y - v) * (z + w)
            ny += (z - w) * (x + u)
            nz += (x - u) * (y + v)
            x, y, z = u, v, w
        length = (nx * nx + ny * ny + nz * nz) ** 0.5 or 1.0
        return np.array([nx / length, ny / length, nz / length])


def srgb(red: int, green: int, blue: int) -> Colour:
    """Return the linear colour of an sRGB triple of 0-255, so that colours can be written as they appear."""
    return ((red / 255) ** 2.2, (green / 255) ** 2.2, (blue / 255) ** 2.2)


def frustum(
    bottom: tuple[float, float, float, float],
    top: tuple[float, float, float, float],
    *,
    low: float,
    high: float,
    albedo: Colour,
    glow: Colour = BLACK,
) -> list[Face]:
    """Return a block between two horizontal rectangles (x0, y0, x1, y1) at heights *low* and *high*."""
    a, b = _ring(bottom, low), _ring(top, high)
    faces = [Face(np.array([b[i] for i in range(4)]), albedo, glow), Face(np.array(a[::-1]), albedo, glow)]
    for i in range(4):
        j = (i + 1) % 4
        faces.append(Face(np.array([a[i], a[j], b[j], b[i]]), albedo, glow))
    return faces


def block(
    x: tuple[float, float],
    y: tuple[float, float],
    z: tuple[float, float],
    *,
    albedo: Colour,
    glow: Colour = BLACK,
) -> list[Face]:
    """Return an axis-parallel box."""
    rectangle = (x[0], y[0], x[1], y[1])
    return frustum(rectangle, rectangle, low=z[0], high=z[1], albedo=albedo, glow=glow)


def extrusion(profile: Sequence[tuple[float, float]], *, width: float, albedo: Colour) -> list[Face]:
    """Return a side view (x, z), wound counter-clockwise as seen from -y, pulled to *width* metres along y."""
    half = width / 2
    near = np.array([(x, -half, z) for x, z in profile])
    far = np.array([(x, half, z) for x, z in profile])
    faces = [Face(near, albedo), Face(far[::-1].copy(), albedo)]
    count = len(profile)
    for i in range(count):
        j = (i + 1) % count
        faces.append(Face(np.array([near[i], far[i], far[j], near[j]]), albedo))
    return faces


def wheel(x: float, y: float, *, radius: float, width: float, sides: int = 12) -> list[Face]:
    """Return a tyre with a grey hub, standing on the ground with its axle along y."""
    angles = np.arange(sides) * 2 * np.pi / sides
    ring = np.stack([x + radius * np.cos(angles), radius + radius * np.sin(angles)], axis=1)
    rubber, steel = srgb(34, 34, 36), srgb(150, 152, 156)
    faces = []
    for side in (-1, 1):
        plane = y + side * width / 2
        disc = np.array([(px, plane, pz) for px, pz in ring])
        hub = (disc - [x, plane, radius]) * 0.55 + [x, plane + side * 0.01, radius]
        faces += [Face(disc if side < 0 else disc[::-1].copy(), rubber)]
        faces += [Face(hub if side < 0 else hub[::-1].copy(), steel)]
    for i in range(sides):
        j = (i + 1) % sides
        (ax, az), (bx, bz) = ring[i], ring[j]
        half = width / 2
        tread = [(ax, y - half, az), (ax, y + half, az), (bx, y + half, bz), (bx, y - half, bz)]
        faces.append(Face(np.array(tread), rubber))
    return faces


def patch(
    corners: Sequence[tuple[float, float, float]],
    *,
    albedo: Colour,
    inset: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0),
    glow: Colour = BLACK,
) -> Face:
    """Return part of a quadrilateral, a centimetre proud of it: a window, a lamp, a stripe.

    *inset* is (u0, u1, v0, v1) in 0-1 along the first and the last edge of *corners*.
    """
    a, b, c, d = (np.array(corner, dtype=np.float64) for corner in corners)
    u0, u1, v0, v1 = inset

    def at(u: float, v: float) -> Points:
        return (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v

    points = np.stack([at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)])
    return Face(points + Face(points, albedo).normal * 0.012, albedo, glow)


def placed(faces: Iterable[Face], *, x: float, y: float, heading: float, z: float = 0.0) -> list[Face]:
    """Return the faces turned about z by *heading* radians (counter-clockwise from above) and moved."""
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return [Face(face.points @ turn.T + [x, y, z], face.albedo, face.glow) for face in faces]


def _ring(rectangle: tuple[float, float, float, float], z: float) -> list[tuple[float, float, float]]:
    x0, y0, x1, y1 = rectangle
    return [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]
