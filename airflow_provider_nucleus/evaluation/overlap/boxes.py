"""Axis-aligned boxes in pixels: (x, y) is the top-left corner, nothing is inclusive (no "+1")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray

__all__ = ["Boxes", "box_overlap"]


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Boxes as four float64 columns. A box of zero width or height is legal and overlaps nothing."""

    x: FloatArray
    y: FloatArray
    width: FloatArray
    height: FloatArray

    @classmethod
    def from_xywh(cls, boxes: ArrayLike) -> Self:
        """Split an (n, 4) array of x, y, width, height rows into columns."""
        array = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        x, y, width, height = (np.ascontiguousarray(array[:, column]) for column in range(4))
        return cls(x=x, y=y, width=width, height=height)

    def __len__(self) -> int:
        return int(self.x.size)

    @property
    def area(self) -> FloatArray:
        """Width times height, in square pixels."""
        return self.width * self.height

    def take(self, rows: NDArray[np.integer] | slice) -> Self:
        """Return the chosen boxes, in the order of *rows*."""
        return type(self)(x=self.x[rows], y=self.y[rows], width=self.width[rows], height=self.height[rows])

    def problem(self) -> tuple[int, str] | None:
        """Return the first box with a coordinate that is not finite or a negative size."""
        wrong: BoolArray = np.zeros(len(self), dtype=np.bool_)
        for column in (self.x, self.y, self.width, self.height):
            wrong |= ~np.isfinite(column)
        wrong |= (self.width < 0) | (self.height < 0)
        if not wrong.any():
            return None
        row = int(np.argmax(wrong))
        values = ", ".join(f"{float(c[row]):g}" for c in (self.x, self.y, self.width, self.height))
        return row, f"box x, y, width, height = {values} is not finite with sizes >= 0"


def box_overlap(
    first: Boxes,
    second: Boxes,
    *,
    rows: NDArray[np.integer],
    other_rows: NDArray[np.integer],
    over_second: BoolArray | None = None,
) -> FloatArray:
    """Intersection over union of `first[rows[k]]` and `second[other_rows[k]]`, for every k.

    Where *over_second* is set the intersection is divided by the area of the second box alone, COCO's rule for
    crowd regions. The order of the operations is that of pycocotools, so that the last bit agrees; rounding may
    leave a value a hair above 1.
    """
    width = first.width[rows]
    x = first.x[rows]
    other_width = second.width[other_rows]
    other_x = second.x[other_rows]
    across = np.minimum(other_width + other_x, width + x)
    across -= np.maximum(other_x, x)
    height = first.height[rows]
    y = first.y[rows]
    other_height = second.height[other_rows]
    other_y = second.y[other_rows]
    down = np.minimum(other_height + other_y, height + y)
    down -= np.maximum(other_y, y)
    apart = (across <= 0) | (down <= 0)
    across *= down
    across[apart] = 0.0
    other_area = other_width * other_height
    union = other_area + width * height
    union -= across
    if over_second is not None:
        np.copyto(union, other_area, where=over_second)
    # A sliver so thin that its area underflows to zero counts as no overlap instead of 0/0.
    result = np.zeros(across.size, dtype=np.float64)
    np.divide(across, union, out=result, where=(across > 0) & (union > 0))
    return result
