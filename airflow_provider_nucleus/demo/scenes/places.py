"""The two places the cameras look at: a loading dock and a parking yard, with everything that never moves."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, radians

from airflow_provider_nucleus.demo.scenes.camera import Camera
from airflow_provider_nucleus.demo.scenes.geometry import Colour, Face, block, frustum, patch, srgb

__all__ = ["HEIGHT", "WHITE_PAINT", "WIDTH", "YELLOW_PAINT", "Place", "Stripe", "Zone", "places"]

WIDTH, HEIGHT = 640, 400
"""Size of every picture in pixels."""

WHITE_PAINT = srgb(206, 206, 200)
YELLOW_PAINT = srgb(214, 172, 52)


@dataclass(frozen=True)
class Zone:
    """A zone in which objects of some kinds may stand: centres inside (x0, y0, x1, y1) metres, turned by one of *headings*.

    *wobble* is the standard deviation of the heading in radians. A zone is used in proportion to *weight*.
    """

    area: tuple[float, float, float, float]
    labels: tuple[str, ...]
    headings: tuple[float, ...]
    wobble: float
    weight: float


@dataclass(frozen=True)
class Stripe:
    """Paint on the ground: a polygon of (x, y) metres."""

    corners: tuple[tuple[float, float], ...]
    colour: Colour


@dataclass(frozen=True)
class Place:
    """A camera and all that stands still in front of it; *lamps* are positions in metres of light sources."""

    name: str
    camera: Camera
    faces: tuple[Face, ...]
    stripes: tuple[Stripe, ...]
    zones: tuple[Zone, ...]
    lamps: tuple[tuple[float, float, float], ...]
    apron: float
    """Beyond this distance (metres) the ground is concrete, before it asphalt."""


def places() -> tuple[Place, ...]:
    """Return the dock and the yard."""
    return (_dock(), _yard())


def _dock() -> Place:
    wall, doors = 40.0, (-18.0, -12.0, -6.0, 0.0, 6.0, 12.0, 18.0)
    faces = block((-42, 42), (wall, wall + 20), (0, 8.2), albedo=srgb(150, 158, 164))
    faces += block((-42, 42), (wall - 0.12, wall), (7.5, 8.3), albedo=srgb(44, 82, 120))
    faces += block((-42, 42), (wall - 0.1, wall), (0, 0.9), albedo=srgb(96, 98, 100))
    for number, x in enumerate(doors):
        faces += _dock_door(x, wall, shut=number % 3 != 1)
    for x in (-21.0, 21.0):
        faces += _lamp_post(x, 30.0, reach=-1.2 if x > 0 else 1.2)
    for x in (-3.0, 9.0):
        faces += block((x - 0.35, x + 0.35), (wall - 0.9, wall), (6.4, 6.6), albedo=srgb(70, 72, 76))
    stripes = [_line((-30, wall - 7.5), (30, wall - 7.5), 0.22, YELLOW_PAINT)]
    for x in doors:
        stripes += [_line((x + s, wall - 7.5), (x + s, wall - 0.6), 0.16, WHITE_PAINT) for s in (-1.9, 1.9)]
    stripes += [_line((x, 24.0), (x + 2.2, 24.0), 0.18, WHITE_PAINT) for x in range(-24, 26, 5)]
    stripes += [_line((-26, 20.4), (26, 20.4), 0.16, WHITE_PAINT)]
    stripes += [_line((x, 14.2), (x + 0.6, 20.3), 0.14, WHITE_PAINT) for x in range(-12, 13, 3)]
    zones = (
        Zone((-18, wall - 4.4, 18, wall - 3.6), ("van", "van", "forklift"), (-pi / 2, pi / 2), 0.04, 2.2),
        Zone((-15, 26.0, 15, 29.0), ("car", "van", "forklift"), (0.0, pi), 0.08, 2.0),
        Zone((-10, 22.0, 10, 23.4), ("car", "car", "van"), (0.0, pi), 0.05, 1.4),
        Zone((-6.5, 16.0, 6.5, 18.6), ("car", "car", "forklift"), (pi / 2 + 0.1, -pi / 2 + 0.1), 0.08, 2.2),
        Zone((-7.0, 13.5, 7.0, 17.0), ("crate", "crate", "forklift"), (0.2, 1.4, 2.6, 4.0), 0.4, 1.6),
        Zone((12.0, 25.0, 17.0, 32.0), ("crate", "forklift"), (0.0, pi / 2, pi), 0.3, 1.6),
    )
    camera = Camera(WIDTH, HEIGHT, focal=545.0, height=7.6, pitch=radians(15.5))
    lamps = ((-19.8, 30.0, 7.8), (19.8, 30.0, 7.8), (-3.0, wall - 1.2, 6.3), (9.0, wall - 1.2, 6.3))
    return Place("dock-east", camera, tuple(faces), tuple(stripes), zones, lamps, apron=wall - 7.5)


def _yard() -> Place:
    fence = 47.0
    faces: list[Face] = []
    paints = (
        srgb(150, 54, 40),
        srgb(40, 88, 110),
        srgb(84, 106, 76),
        srgb(176, 132, 56),
        srgb(104, 108, 114),
    )
    for number, x in enumerate((-27.0, -20.5, -14.0, 3.0, 9.5, 16.0)):
        faces += _container(x, 42.0, 0.0, paints[number % 5])
        if number in {0, 1, 4}:
            faces += _container(x + 0.3, 42.3, 2.6, paints[(number + 2) % 5])
    for x in range(-44, 45, 4):
        faces += block((x - 0.05, x + 0.05), (fence, fence + 0.1), (0, 2.6), albedo=srgb(120, 124, 126))
    faces += block((-44, 44), (fence, fence + 0.04), (2.3, 2.4), albedo=srgb(120, 124, 126))
    faces += block((-44, 44), (fence, fence + 0.04), (1.1, 1.18), albedo=srgb(120, 124, 126))
    for x, tall in (
        (-36, 6.4),
        (-28, 8.2),
        (-22, 7.0),
        (-15, 9.0),
        (-6, 7.6),
        (0, 8.8),
        (7, 6.8),
        (15, 8.4),
        (24, 7.2),
    ):
        faces += _tree(float(x), 60.0 + (x % 5), tall)
    faces += block((20, 40), (36, 44), (0, 4.6), albedo=srgb(178, 172, 158))
    faces += block((19.6, 40), (35.6, 44.4), (4.6, 5.0), albedo=srgb(98, 82, 72))
    for x in (22.0, 25.0):
        faces += block((x, x + 1.6), (35.95, 36), (1.4, 2.8), albedo=srgb(60, 74, 88), glow=(0.22, 0.18, 0.1))
    for x in (-13.0, 11.5):
        faces += _lamp_post(x, 31.0, reach=1.2 if x < 0 else -1.2)
    stripes = [_line((-24, 30.6), (12, 30.6), 0.16, WHITE_PAINT)]
    stripes += [_line((x, 30.6), (x, 36.2), 0.14, WHITE_PAINT) for x in range(-24, 13, 3)]
    stripes += [_line((x, 13.2), (x - 0.9, 18.6), 0.14, WHITE_PAINT) for x in range(-9, 13, 3)]
    stripes += [_line((-14, 18.7), (14, 18.7), 0.14, WHITE_PAINT)]
    stripes += [_line((x, 25.4), (x + 2.4, 25.4), 0.18, WHITE_PAINT) for x in range(-24, 26, 6)]
    arrow = ((-1.6, 23.0), (0.4, 23.0), (0.4, 22.7), (1.4, 23.15), (0.4, 23.6), (0.4, 23.3), (-1.6, 23.3))
    stripes += [Stripe(arrow, WHITE_PAINT)]
    zones = (
        Zone((-19, 33.0, 10, 33.8), ("car", "car", "van"), (pi / 2, -pi / 2), 0.05, 2.6),
        Zone((-13, 26.5, 13, 28.5), ("car", "van"), (0.0,), 0.04, 1.4),
        Zone((-10, 21.8, 10, 23.6), ("car", "forklift", "van"), (pi,), 0.05, 1.5),
        Zone(
            (-6.5, 14.6, 6.5, 17.2),
            ("car", "car", "car", "forklift"),
            (pi / 2 + 0.16, -pi / 2 + 0.16),
            0.06,
            2.4,
        ),
        Zone((11.0, 22.0, 16.0, 31.0), ("crate", "crate", "forklift"), (0.3, 1.2, 2.4), 0.4, 1.8),
        Zone((-7.0, 12.5, -2.0, 19.5), ("crate", "forklift"), (0.5, 1.0, 3.4), 0.4, 1.0),
    )
    camera = Camera(WIDTH, HEIGHT, focal=520.0, height=6.6, pitch=radians(14.0), yaw=radians(-3.0))
    lamps = ((-11.8, 31.0, 7.8), (10.3, 31.0, 7.8))
    return Place("yard-north", camera, tuple(faces), tuple(stripes), zones, lamps, apron=1e9)


def _dock_door(x: float, wall: float, *, shut: bool) -> list[Face]:
    frame = block((x - 1.75, x + 1.75), (wall - 0.25, wall), (0.9, 4.6), albedo=srgb(46, 48, 52))
    opening = [(x - 1.4, wall - 0.26, 1.15), (x + 1.4, wall - 0.26, 1.15)]
    opening += [(x + 1.4, wall - 0.26, 4.3), (x - 1.4, wall - 0.26, 4.3)]
    if shut:
        faces = [patch(opening, albedo=srgb(196, 200, 200))]
        faces += [
            patch(_ahead(opening, 0.01), albedo=srgb(150, 156, 158), inset=(0, 1, v, v + 0.03)) for v in _RIBS
        ]
    else:
        faces = [patch(opening, albedo=srgb(28, 28, 30), glow=(0.16, 0.13, 0.08))]
        faces.append(patch(_ahead(opening, 0.01), albedo=srgb(190, 194, 196), inset=(0.0, 1.0, 0.78, 1.0)))
    for side in (-1.15, 1.15):
        pad = (x + side - 0.16, x + side + 0.16)
        frame += block(pad, (wall - 0.4, wall - 0.2), (0.55, 1.05), albedo=srgb(24, 24, 24))
    faces.append(
        patch(
            [
                (x - 0.5, wall - 0.02, 4.9),
                (x + 0.5, wall - 0.02, 4.9),
                (x + 0.5, wall - 0.02, 5.7),
                (x - 0.5, wall - 0.02, 5.7),
            ],
            albedo=YELLOW_PAINT,
        )
    )
    return frame + faces


_RIBS = (0.18, 0.36, 0.54, 0.72, 0.9)


def _ahead(corners: list[tuple[float, float, float]], by: float) -> list[tuple[float, float, float]]:
    return [(x, y - by, z) for x, y, z in corners]


def _container(x: float, y: float, z: float, paint: Colour) -> list[Face]:
    faces = block((x, x + 6.1), (y, y + 2.44), (z, z + 2.6), albedo=paint)
    dark = (paint[0] * 0.62, paint[1] * 0.62, paint[2] * 0.62)
    front = [(x, y, z), (x + 6.1, y, z), (x + 6.1, y, z + 2.6), (x, y, z + 2.6)]
    faces += [patch(front, albedo=dark, inset=(u / 24, u / 24 + 0.018, 0.06, 0.94)) for u in range(1, 24)]
    return faces


def _tree(x: float, y: float, tall: float) -> list[Face]:
    green = srgb(58, 82, 50)
    faces = block((x - 0.3, x + 0.3), (y - 0.3, y + 0.3), (0, tall * 0.4), albedo=srgb(80, 64, 48))
    for low, high, wide in ((0.25, 0.6, 3.0), (0.45, 0.82, 2.3), (0.7, 1.0, 1.4)):
        base = (x - wide, y - wide, x + wide, y + wide)
        tip = (x - wide * 0.25, y - wide * 0.25, x + wide * 0.25, y + wide * 0.25)
        faces += frustum(base, tip, low=low * tall, high=high * tall, albedo=green)
    return faces


def _lamp_post(x: float, y: float, *, reach: float) -> list[Face]:
    grey = srgb(92, 96, 100)
    faces = block((x - 0.09, x + 0.09), (y - 0.09, y + 0.09), (0, 8), albedo=grey)
    faces += block((min(x, x + reach), max(x, x + reach)), (y - 0.06, y + 0.06), (7.92, 8.04), albedo=grey)
    head = x + reach
    return faces + block(
        (head - 0.4, head + 0.4), (y - 0.16, y + 0.16), (7.8, 7.92), albedo=srgb(220, 220, 210)
    )


def _line(start: tuple[float, float], end: tuple[float, float], width: float, colour: Colour) -> Stripe:
    (ax, ay), (bx, by) = start, end
    length = max(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5, 1e-9)
    nx, ny = -(by - ay) / length * width / 2, (bx - ax) / length * width / 2
    return Stripe(((ax + nx, ay + ny), (bx + nx, by + ny), (bx - nx, by - ny), (ax - nx, ay - ny)), colour)
