"""Objects of a yard: cars, vans, forklifts and crates as bodies of flat faces.

Bodies stand on the ground at the origin and look along +x. Sizes are metres, close to real ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_nucleus.demo.scenes.geometry import (
    BLACK,
    Colour,
    Face,
    block,
    extrusion,
    frustum,
    patch,
    srgb,
    wheel,
)

__all__ = [
    "CAR_PAINTS",
    "CRATE_WOODS",
    "FORKLIFT_PAINTS",
    "VAN_PAINTS",
    "Body",
    "car",
    "crate",
    "forklift",
    "van",
]

CAR_PAINTS = (
    srgb(178, 30, 34),
    srgb(34, 74, 148),
    srgb(226, 228, 230),
    srgb(150, 156, 162),
    srgb(44, 48, 54),
    srgb(28, 104, 76),
    srgb(206, 138, 34),
)
VAN_PAINTS = (srgb(232, 232, 226), srgb(214, 186, 44), srgb(60, 112, 172), srgb(196, 200, 204))
FORKLIFT_PAINTS = (srgb(236, 150, 16), srgb(228, 188, 22))
CRATE_WOODS = (srgb(170, 124, 74), srgb(150, 104, 60), srgb(188, 146, 92))

_GLASS = srgb(38, 50, 62)
_SHINE = srgb(104, 128, 146)
_TRIM = srgb(30, 31, 34)
_LAMP = srgb(236, 236, 228)
_TAIL = srgb(150, 16, 18)


@dataclass(frozen=True)
class Body:
    """A drawable object: its faces, its footprint (length, width) and its headlights (x, y, z; empty = none)."""

    label: str
    faces: tuple[Face, ...]
    length: float
    width: float
    headlights: tuple[tuple[float, float, float], ...] = ()


def car(paint: Colour, *, lights: float) -> Body:
    """Return a hatchback of 4.3 x 1.8 x 1.5 m; *lights* is the glow of its lamps (0 = off)."""
    hull = [(-2.1, 0.34), (2.08, 0.32), (2.16, 0.58), (2.05, 0.78), (1.1, 0.95), (-2.0, 1.0), (-2.14, 0.66)]
    faces = extrusion(hull, width=1.78, albedo=paint)
    faces += block((-2.05, 2.0), (-0.8, 0.8), (0.16, 0.36), albedo=_TRIM)
    base, roof = (-2.0, -0.86, 1.15, 0.86), (-1.55, -0.64, 0.2, 0.64)
    low, high = 0.93, 1.5
    faces += frustum(base, roof, low=low, high=high, albedo=paint)
    faces += _cabin_glass(base, roof, low, high)
    for x in (-1.32, 1.3):
        for y in (-0.82, 0.82):
            faces += wheel(x, y, radius=0.33, width=0.22)
    faces += _lamps(2.13, -2.13, half=0.66, front_z=0.66, rear_z=0.8, lights=lights)
    return Body("car", tuple(faces), 4.3, 1.8, ((2.2, -0.62, 0.66), (2.2, 0.62, 0.66)) if lights else ())


def van(paint: Colour, *, lights: float) -> Body:
    """Return a delivery van of 5.4 x 2.0 x 2.3 m."""
    hull = [
        (-2.65, 0.42),
        (2.6, 0.4),
        (2.7, 0.72),
        (2.62, 1.0),
        (1.95, 1.2),
        (1.3, 2.14),
        (1.0, 2.3),
        (-2.62, 2.32),
    ]
    half = 1.0
    faces = extrusion(hull, width=2 * half, albedo=paint)
    faces += block((-2.5, 2.5), (-0.9, 0.9), (0.2, 0.44), albedo=_TRIM)
    screen = [(1.95, -half, 1.2), (1.95, half, 1.2), (1.3, half, 2.14), (1.3, -half, 2.14)]
    faces.append(patch(screen, albedo=_GLASS, inset=(0.07, 0.93, 0.08, 0.94)))
    faces.append(patch(screen, albedo=_SHINE, inset=(0.12, 0.5, 0.6, 0.9)))
    for side in (-1, 1):
        door = [
            (0.5, side * half, 1.25),
            (1.8, side * half, 1.25),
            (1.25, side * half, 2.05),
            (0.5, side * half, 2.05),
        ]
        corners = door if side < 0 else [door[1], door[0], door[3], door[2]]
        faces.append(patch(corners, albedo=_GLASS))
        line = [
            (-2.6, side * half, 0.78),
            (2.6, side * half, 0.78),
            (2.6, side * half, 0.9),
            (-2.6, side * half, 0.9),
        ]
        corners = line if side < 0 else [line[1], line[0], line[3], line[2]]
        faces.append(patch(corners, albedo=_TRIM))
    back = [(-2.63, half, 0.5), (-2.63, -half, 0.5), (-2.62, -half, 2.3), (-2.62, half, 2.3)]
    faces.append(patch(back, albedo=_GLASS, inset=(0.1, 0.46, 0.5, 0.86)))
    faces.append(patch(back, albedo=_GLASS, inset=(0.54, 0.9, 0.5, 0.86)))
    for x in (-1.65, 1.7):
        for y in (-0.9, 0.9):
            faces += wheel(x, y, radius=0.36, width=0.24)
    faces += _lamps(2.69, -2.66, half=0.78, front_z=0.8, rear_z=0.98, lights=lights)
    return Body("van", tuple(faces), 5.4, 2.0, ((2.75, -0.74, 0.8), (2.75, 0.74, 0.8)) if lights else ())


def forklift(paint: Colour, *, lights: float) -> Body:
    """Return a forklift of 3.3 m with its forks, 1.2 m wide and 2.2 m high, with a driver."""
    faces = block((-1.25, 0.75), (-0.56, 0.56), (0.22, 0.92), albedo=paint)
    faces += frustum((-1.5, -0.56, -0.85, 0.56), (-1.3, -0.5, -0.85, 0.5), low=0.28, high=1.12, albedo=_TRIM)
    faces += block((-0.8, 0.0), (-0.4, 0.4), (0.92, 1.05), albedo=_TRIM)
    for x in (-0.95, 0.6):
        for y in (-0.5, 0.5):
            faces += block((x - 0.05, x + 0.05), (y - 0.05, y + 0.05), (0.9, 2.08), albedo=_TRIM)
    faces += block((-1.05, 0.75), (-0.58, 0.58), (2.08, 2.18), albedo=paint)
    for y in (-0.36, 0.36):
        faces += block((0.82, 0.95), (y - 0.07, y + 0.07), (0.08, 2.2), albedo=srgb(62, 64, 70))
        faces += block((0.95, 1.95), (y - 0.08, y + 0.08), (0.08, 0.15), albedo=srgb(74, 76, 82))
    faces += block((0.84, 0.93), (-0.4, 0.4), (1.9, 2.05), albedo=srgb(62, 64, 70))
    faces += block((0.92, 0.99), (-0.5, 0.5), (0.15, 0.75), albedo=srgb(62, 64, 70))
    faces += block((-0.62, -0.28), (-0.25, 0.25), (1.05, 1.62), albedo=srgb(196, 90, 20))
    faces += block((-0.56, -0.32), (-0.13, 0.13), (1.62, 1.9), albedo=srgb(236, 220, 60))
    for x in (-0.95, 0.5):
        for y in (-0.5, 0.5):
            faces += wheel(x, y, radius=0.3, width=0.24)
    glow = _scaled(srgb(255, 170, 40), lights * 0.6)
    faces += block((-0.2, -0.06), (-0.07, 0.07), (2.18, 2.3), albedo=srgb(230, 130, 20), glow=glow)
    return Body("forklift", tuple(faces), 3.4, 1.2)


def crate(wood: Colour, *, base: float = 0.0, size: float = 1.2) -> Body:
    """Return a planked wooden crate on a pallet; *base* is the height in metres on which it stands."""
    half, dark = size / 2, _scaled(wood, 0.5)
    low, high = base + 0.14, base + size
    faces = block((-half, half), (-half, half), (low, high), albedo=wood)
    for y in (-half + 0.06, 0.0, half - 0.06):
        faces += block((-half, half), (y - 0.06, y + 0.06), (base, low), albedo=dark)
    corners = [(-half, -half), (half, -half), (half, half), (-half, half)]
    light = _scaled(wood, 1.25)
    for i in range(4):
        (ax, ay), (bx, by) = corners[i], corners[(i + 1) % 4]
        side = [(ax, ay, low), (bx, by, low), (bx, by, high), (ax, ay, high)]
        faces += [patch(side, albedo=dark, inset=(0.0, 1.0, v, v + 0.025)) for v in (0.3, 0.5, 0.7)]
        faces += [patch(side, albedo=light, inset=inset) for inset in _FRAME]
    top = [(-half, -half, high), (half, -half, high), (half, half, high), (-half, half, high)]
    faces += [patch(top, albedo=dark, inset=(u, u + 0.025, 0.0, 1.0)) for u in (0.24, 0.49, 0.74)]
    return Body("crate", tuple(faces), size, size)


_FRAME = ((0.0, 1.0, 0.0, 0.12), (0.0, 1.0, 0.88, 1.0), (0.0, 0.1, 0.0, 1.0), (0.9, 1.0, 0.0, 1.0))


def _cabin_glass(
    base: tuple[float, float, float, float], roof: tuple[float, float, float, float], low: float, high: float
) -> list[Face]:
    """Return windscreen, rear and side windows of a cabin that is a frustum."""
    bx0, by0, bx1, by1 = base
    tx0, ty0, tx1, ty1 = roof
    ring = [(bx0, by0, low), (bx1, by0, low), (bx1, by1, low), (bx0, by1, low)]
    cap = [(tx0, ty0, high), (tx1, ty0, high), (tx1, ty1, high), (tx0, ty1, high)]
    faces: list[Face] = []
    for i in range(4):
        j = (i + 1) % 4
        side = [ring[i], ring[j], cap[j], cap[i]]
        if i % 2:
            faces.extend((
                patch(side, albedo=_GLASS, inset=(0.08, 0.92, 0.1, 0.9)),
                patch(side, albedo=_SHINE, inset=(0.14, 0.45, 0.55, 0.88)),
            ))
        else:
            faces.extend((
                patch(side, albedo=_GLASS, inset=(0.1, 0.47, 0.14, 0.88)),
                patch(side, albedo=_GLASS, inset=(0.52, 0.86, 0.14, 0.88)),
                patch(side, albedo=_SHINE, inset=(0.56, 0.7, 0.6, 0.86)),
            ))
    return faces


def _lamps(
    front: float, rear: float, *, half: float, front_z: float, rear_z: float, lights: float
) -> list[Face]:
    """Return two head lamps and two tail lamps as small blocks at the corners."""
    faces = []
    white = _scaled((1.0, 0.95, 0.82), lights) if lights else BLACK
    red = _scaled((1.0, 0.05, 0.04), lights * 0.35) if lights else BLACK
    for y in (-half, half):
        span = (y - 0.17, y + 0.17)
        faces += block(
            (front - 0.1, front + 0.02), span, (front_z - 0.08, front_z + 0.08), albedo=_LAMP, glow=white
        )
        faces += block((rear - 0.02, rear + 0.1), span, (rear_z - 0.1, rear_z + 0.1), albedo=_TAIL, glow=red)
    return faces


def _scaled(colour: Colour, factor: float) -> Colour:
    return (min(colour[0] * factor, 4.0), min(colour[1] * factor, 4.0), min(colour[2] * factor, 4.0))
