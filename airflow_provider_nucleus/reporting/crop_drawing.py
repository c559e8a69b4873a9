"""Pieces of images with outlines: as a photograph (WebP), and as a mosaic of shapes that needs no image to be loaded.

Ground truth is solid, the candidate's prediction dashed, the baseline's dotted; a dark line below a bright one is seen on every ground.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from airflow_provider_nucleus.reporting.texts import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from airflow_provider_nucleus.reporting.extras import DrawnObject, ObjectChange

__all__ = ["CropDrawing", "draw_crop", "open_picture"]

Ring = list[tuple[float, float]]

_WIDTH: Final = 220
"""Longer side of a picture, in pixels."""
_MOSAIC: Final = 44
"""Cells of a mosaic along its longer side."""
_COLOURS: Final = 16
_MARGIN: Final = 0.6
"""Surroundings on every side of the object, as a share of its size."""
_LEAST_MARGIN: Final = 24
_MOST_PIXELS: Final = 200_000_000
_DASHES: Final = {"truth": "none", "candidate": "6 4", "baseline": "1.5 3.5"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CropDrawing:
    """The picture of one object, in both forms."""

    width: int
    height: int
    alternative: str
    photograph: bytes
    mosaic: Markup


def open_picture(content: bytes) -> Image.Image:
    """Return an image decoded; raises what the decoder does, and ValueError where it is too large."""
    from PIL import Image

    image = Image.open(io.BytesIO(content))
    if image.width * image.height > _MOST_PIXELS:
        raise ValueError(f"the image has {image.width} x {image.height} pixels, too many to be decoded here")
    return image.convert("RGB")


def draw_crop(change: ObjectChange, image: Image.Image) -> CropDrawing:
    """Return the region of the image around an object; ValueError where it cannot be drawn."""
    left, top, right, bottom = _frame(_bounds(change), image.width, image.height)
    scale = _WIDTH / max(right - left, bottom - top)
    size = (max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1))
    region = image.crop((left, top, right, bottom))
    outlines = _outlines(change, left, top, scale)
    alternative = _alternative(change)
    return CropDrawing(
        width=size[0],
        height=size[1],
        alternative=alternative,
        photograph=_photograph(region.resize(size), outlines),
        mosaic=_mosaic(region, size, outlines, alternative),
    )


def _bounds(change: ObjectChange) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of everything that is drawn."""
    points = [
        point
        for outline in (change.truth, change.candidate, change.baseline)
        for ring in _rings(outline)
        for point in ring
    ]
    if not points:
        raise ValueError("where the object is on the image is not known")
    across, down = [x for x, _ in points], [y for _, y in points]
    return min(across), min(down), max(across), max(down)


def _rings(outline: DrawnObject | None) -> list[Ring]:
    if outline is None:
        return []
    if outline.rings:
        return outline.rings
    if outline.box is None:
        return []
    x, y, width, height = outline.box
    return [[(x, y), (x + width, y), (x + width, y + height), (x, y + height)]]


def _frame(bounds: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int, int, int]:
    """Return the region of the image around *bounds*: with a margin, no wider than twice its height, and within the image."""
    left, top, right, bottom = bounds
    margin = max(_MARGIN * max(right - left, bottom - top), _LEAST_MARGIN)
    box = (
        max(int(left - margin), 0),
        max(int(top - margin), 0),
        min(int(right + margin) + 1, width),
        min(int(bottom + margin) + 1, height),
    )
    if box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError(f"the object lies outside of the image, which has {width} x {height} pixels")
    return box


def _outlines(change: ObjectChange, left: int, top: int, scale: float) -> list[tuple[str, list[Ring]]]:
    """Return what is drawn, in the pixels of the picture: side and rings, ground truth first."""
    return [
        (side, [[((x - left) * scale, (y - top) * scale) for x, y in ring] for ring in _rings(outline)])
        for side, outline in (
            ("truth", change.truth),
            ("baseline", change.baseline),
            ("candidate", change.candidate),
        )
        if outline is not None and _rings(outline)
    ]


def _alternative(change: ObjectChange) -> str:
    named = [
        ("ground truth, solid", change.truth),
        ("candidate, dashed", change.candidate),
        ("baseline, dotted", change.baseline),
    ]
    parts = [
        f"{name}: {shortened(outline.label or 'object')} at {_where(outline)}"
        if outline is not None
        else f"{name}: nothing"
        for name, outline in named
    ]
    return f"Region of {shortened(change.item)}; {'; '.join(parts)}"


def _where(outline: DrawnObject) -> str:
    points = [point for ring in _rings(outline) for point in ring]
    if not points:
        return "an unknown place"
    left, top = min(x for x, _ in points), min(y for _, y in points)
    right, bottom = max(x for x, _ in points), max(y for _, y in points)
    return f"x {left:.0f}, y {top:.0f}, {right - left:.0f} wide, {bottom - top:.0f} high"


def _photograph(picture: Image.Image, outlines: Sequence[tuple[str, list[Ring]]]) -> bytes:
    """Return the picture with its outlines as WebP. A dark line below a bright one is seen on every ground."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    for side, rings in outlines:
        for ring in rings:
            for colour, width in (("black", 4), ("white", 2)):
                for stroke in _strokes([*ring, ring[0]], _DASHES[side]):
                    draw.line(stroke, fill=colour, width=width)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=72, method=4)
    return stream.getvalue()


def _strokes(line: Sequence[tuple[float, float]], dashes: str) -> list[Ring]:
    """Return the visible stretches of a dashed line."""
    if dashes == "none":
        return [[start, end] for start, end in pairwise(line)]
    on, off = (float(part) for part in dashes.split())
    strokes = []
    for (x1, y1), (x2, y2) in pairwise(line):
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        place = 0.0
        while length and place < length:
            ends = [min(place, length) / length, min(place + on, length) / length]
            strokes.append([(x1 + share * (x2 - x1), y1 + share * (y2 - y1)) for share in ends])
            place += on + off
    return strokes


def _mosaic(
    region: Image.Image, size: tuple[int, int], outlines: Sequence[tuple[str, list[Ring]]], alternative: str
) -> Markup:
    """Return the picture as shapes: a mosaic of few colours, one path each, and the outlines over it."""
    from PIL import Image

    cells = max(region.width, region.height) / _MOSAIC
    small = region.resize((max(round(region.width / cells), 1), max(round(region.height / cells), 1)))
    reduced = small.quantize(colors=_COLOURS, dither=Image.Dither.NONE)
    palette, indices = reduced.getpalette() or [], reduced.tobytes()
    paths: dict[int, str] = {}
    ends: dict[int, tuple[int, int]] = {}
    for y in range(small.height):
        row = indices[y * small.width : (y + 1) * small.width]
        x = 0
        for colour, run in groupby(row):
            start, x = x, x + len(list(run))
            at = ends.get(colour, (0, 0))
            paths[colour] = f"{paths.get(colour, '')}m{start - at[0]} {y - at[1]}h{x - start}"
            ends[colour] = (x, y)
    strokes = Markup("").join(
        Markup('<path d="{}" stroke="#{}"/>').format(
            path.replace(" -", "-"), bytes(palette[3 * colour : 3 * colour + 3]).hex()
        )
        for colour, path in paths.items()
    )
    lines = Markup("").join(
        Markup(
            '<path d="{0}" fill="none" stroke="#000" stroke-width="3.5" stroke-dasharray="{1}"/><path d="{0}" fill="none" stroke="#fff" stroke-width="1.8" stroke-dasharray="{1}"/>'
        ).format(
            "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ring) + "Z" for ring in rings),
            _DASHES[side],
        )
        for side, rings in outlines
    )
    return Markup(
        '<svg role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}"><g transform="translate(0 {:.2f}) scale({:.3f} {:.3f})" fill="none" stroke-width="1.05">{}</g>{}</svg>'
    ).format(
        alternative,
        *size,
        *size,
        size[1] / small.height / 2,
        size[0] / small.width,
        size[1] / small.height,
        strokes,
        lines,
    )
