"""Boxes of other layouts as ours: x, y of the top left corner, width and height, in pixels.

Whole columns are converted where every row is plainly good; else row by row, and each bad row gets its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from math import isfinite
from typing import Any, Literal

from airflow_provider_nucleus.schema.checks import check_coordinate

__all__ = ["BOX_FORMATS", "BOX_PARTS", "BoxColumnsConverter", "BoxFormat"]

BoxFormat = Literal["xywh", "xyxy", "cxcywh"]
BOX_FORMATS: tuple[BoxFormat, ...] = ("xywh", "xyxy", "cxcywh")

BOX_PARTS: dict[BoxFormat, tuple[str, str, str, str]] = {
    "xywh": ("x", "y", "width", "height"),
    "xyxy": ("x1", "y1", "x2", "y2"),
    "cxcywh": ("cx", "cy", "width", "height"),
}
"""Names of the four numbers, in the order in which lists have them."""

_NUMBERS = frozenset({int, float})
_LOW, _HIGH = -0.5, 1.5
"""Between these a value can be a share of an image's side: detectors reach a little over its edges."""

Column = Sequence[Any]
Four = tuple[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class BoxColumnsConverter:
    """Converter of four columns of one format."""

    form: BoxFormat
    normalized: bool

    def convert(
        self, parts: Sequence[Column], widths: Column, heights: Column
    ) -> tuple[list[list[Any]], dict[int, str]]:
        """Return x, y, width and height as columns, and the reasons of bad rows by their position.

        `widths` and `heights` are those of the images, used for normalised boxes only.
        """
        if (fast := self._columns(parts, widths, heights)) is not None:
            return fast, {}
        made: list[list[Any]] = [[], [], [], []]
        bad: dict[int, str] = {}
        for at, cells in enumerate(zip(*parts, widths, heights, strict=True)):
            try:
                box: Four = self._box(cells[:4], cells[4], cells[5])
            except ValueError as error:
                bad[at] = str(error)
                box = (None, None, None, None)
            for column, value in zip(made, box, strict=True):
                column.append(value)
        return made, bad

    def _columns(self, parts: Sequence[Column], widths: Column, heights: Column) -> list[list[Any]] | None:
        a, b, c, d = parts
        if not all(_plain(column) for column in parts):
            return None
        if self.normalized:
            if not (_plain(widths) and _plain(heights) and min(widths) > 0 and min(heights) > 0):
                return None
            if min(map(min, parts)) < _LOW or max(map(max, parts)) > _HIGH:
                return None
            a, c = _times(a, widths), _times(c, widths)
            b, d = _times(b, heights), _times(d, heights)
        if self.form == "xyxy":
            c, d = _minus(c, a), _minus(d, b)
        if min(c) < 0 or min(d) < 0:
            return None
        if self.form == "cxcywh":
            a = [middle - side / 2 for middle, side in zip(a, c, strict=True)]
            b = [middle - side / 2 for middle, side in zip(b, d, strict=True)]
        return [list(a), list(b), list(c), list(d)]

    def _box(self, cells: Sequence[Any], width: Any, height: Any) -> Four:
        names = BOX_PARTS[self.form]
        a, b, c, d = starmap(_number, zip(cells, names, strict=True))
        if self.normalized:
            for name, value in zip(names, (a, b, c, d), strict=True):
                if not _LOW <= value <= _HIGH:
                    raise ValueError(
                        f"box: {name} is {value}, and normalized=True says that it is a share of the image's side, 0 to 1; "
                        "boxes in pixels need no normalized"
                    )
            sides = [_side(width, "image_width"), _side(height, "image_height")]
            a, b, c, d = a * sides[0], b * sides[1], c * sides[0], d * sides[1]
        if self.form == "xyxy":
            for first, last, low, high in ((names[0], names[2], a, c), (names[1], names[3], b, d)):
                if high < low:
                    raise ValueError(
                        f"box: {last} {high} is less than {first} {low}, so these are no corners (box_format='xyxy'); "
                        "with width and height it is 'xywh', with a centre 'cxcywh'"
                    )
            return a, b, c - a, d - b
        for name, value in ((names[2], c), (names[3], d)):
            if value < 0:
                raise ValueError(f"box: {name} is {value}, and no box is smaller than nothing")
        return (a - c / 2, b - d / 2, c, d) if self.form == "cxcywh" else (a, b, c, d)


def _plain(column: Column) -> bool:
    if not (_NUMBERS.issuperset(map(type, column)) and column):
        return False
    try:
        return isfinite(sum(column))
    except OverflowError:  # a whole number beyond every double
        return False


def _times(column: Column, sides: Column) -> list[Any]:
    return [value * side for value, side in zip(column, sides, strict=True)]


def _minus(column: Column, other: Column) -> list[Any]:
    return [value - less for value, less in zip(column, other, strict=True)]


def _number(value: Any, name: str) -> Any:
    try:
        return check_coordinate(value)
    except ValueError as error:
        raise ValueError(f"box: {name} {error}") from None


def _side(value: Any, name: str) -> Any:
    try:
        side = check_coordinate(value)
    except ValueError as error:
        raise ValueError(
            f"{name} {error}: a normalised box needs the size of its image, from a column "
            f"(fields={{'{name}': ...}}) or for all as image_size=(width, height)"
        ) from None
    if side <= 0:
        raise ValueError(f"{name} is {side}, and an image has at least one pixel")
    return side
