"""Instance masks as run lengths, the way COCO stores them, and their exact pixel overlap.

A mask is a list of runs down the columns of the image, alternating background and object, background first.
All masks of one side lie behind one another in one array, which makes them one very long mask: the pixels of an
object up to any position are then one lookup, and the intersection of two masks is the sum, over the object runs of
the one, of the pixels the other has in that stretch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import group_sizes, ranges
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes, box_overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray

__all__ = [
    "PAIRS_AT_ONCE",
    "ConcatenatedMasks",
    "Runs",
    "concatenate_runs",
    "decode_strings",
    "from_counts",
    "mask_overlap",
]

PAIRS_AT_ONCE = 1 << 14


@dataclass(frozen=True, eq=False)
class Runs:
    """Masks of one side: *lengths* of all runs, of which mask k owns those from `starts[k]` to `starts[k + 1]`.

    *height* and *width* are those of the image. The runs of a mask add up to height times width.
    """

    lengths: IndexArray
    starts: IndexArray
    height: IndexArray
    width: IndexArray

    def __len__(self) -> int:
        return int(self.height.size)

    @cached_property
    def counts(self) -> IndexArray:
        """Number of runs of each mask."""
        return np.diff(self.starts)

    @cached_property
    def area(self) -> FloatArray:
        """Object pixels of each mask."""
        return _per_mask(np.where(_is_object(self), self.lengths, 0), self.starts).astype(np.float64)

    def take(self, rows: NDArray[np.integer] | slice) -> Self:
        """Return the chosen masks, in the order of *rows*."""
        chosen = np.arange(len(self))[rows]
        counts = self.counts[chosen]
        return type(self)(
            lengths=self.lengths[ranges(self.starts[:-1][chosen], counts)],
            starts=np.concatenate(([0], np.cumsum(counts))),
            height=self.height[chosen],
            width=self.width[chosen],
        )

    def problem(self) -> tuple[int, str] | None:
        """Return the first mask with a negative run, or whose runs do not fill its image."""
        total = _per_mask(self.lengths, self.starts)
        negative = _per_mask((self.lengths < 0).astype(np.int64), self.starts) > 0
        wrong = (total != self.height * self.width) | negative
        if not wrong.any():
            return None
        row = int(np.argmax(wrong))
        return (
            row,
            f"mask runs add up to {total[row]} pixels, the image has {self.height[row]} x {self.width[row]}",
        )

    @cached_property
    def line(self) -> ConcatenatedMasks:
        """The masks as one long mask, for looking up how much of a stretch they cover."""
        return ConcatenatedMasks(self)

    @cached_property
    def bounding_boxes(self) -> Boxes:
        """Smallest boxes around the object pixels; all zero for an empty mask. As pycocotools computes them."""
        pairs = self.counts // 2
        box = np.zeros((len(self), 4))
        some = np.flatnonzero(pairs)
        if some.size:
            owner = np.repeat(some, 2 * pairs[some])
            place = ranges(self.starts[some], 2 * pairs[some])
            ends = np.cumsum(self.lengths)
            before = np.concatenate(([0], ends))[self.starts[owner]]
            odd = (place - self.starts[owner]) % 2
            at = ends[place] - before - odd
            height = self.height[owner]
            y = at % height
            x = at // height
            first = np.concatenate(([0], np.cumsum(2 * pairs[some])))[:-1]
            low_x, high_x = np.minimum.reduceat(x, first), np.maximum.reduceat(x, first)
            low_y, high_y = np.minimum.reduceat(y, first), np.maximum.reduceat(y, first)
            # A run over a column's end touches the top and the bottom row.
            wraps = np.add.reduceat(np.where(odd == 1, x > np.concatenate(([0], x[:-1])), False), first) > 0
            low_y[wraps] = 0
            high_y[wraps] = self.height[some][wraps] - 1
            box[some] = np.stack([low_x, low_y, high_x - low_x + 1, high_y - low_y + 1], axis=1)
        return Boxes.from_xywh(box)


def mask_overlap(
    first: Runs,
    second: Runs,
    *,
    rows: NDArray[np.integer],
    other_rows: NDArray[np.integer],
    over_second: BoolArray | None = None,
) -> FloatArray:
    """Pixel intersection over union of `first[rows[k]]` and `second[other_rows[k]]`, for every k.

    Where *over_second* is set the intersection is divided by the area of the second mask alone. Masks of images of
    different sizes raise ValueError.
    """
    differ = (first.height[rows] != second.height[other_rows]) | (
        first.width[rows] != second.width[other_rows]
    )
    if differ.any():
        at = int(np.argmax(differ))
        raise ValueError(
            f"mask {int(rows[at])} of {first.height[rows[at]]} x {first.width[rows[at]]} pixels cannot be compared with"
            f" mask {int(other_rows[at])} of {second.height[other_rows[at]]} x {second.width[other_rows[at]]}"
        )
    result = np.zeros(rows.size)
    boxes = box_overlap(first.bounding_boxes, second.bounding_boxes, rows=rows, other_rows=other_rows)
    near = np.flatnonzero(boxes > 0)
    area, other_area = first.area, second.area
    line = second.line
    for begin in range(0, near.size, PAIRS_AT_ONCE):
        pairs = near[begin : begin + PAIRS_AT_ONCE]
        left, right = rows[pairs], other_rows[pairs]
        common = _intersection(first, line, left, right)
        union = area[left] + other_area[right] - common
        if over_second is not None:
            union = np.where(over_second[pairs], other_area[right], union)
        np.divide(common, union, out=common, where=common > 0)
        result[pairs] = common
    return result


class ConcatenatedMasks:
    """All masks of one side as one long mask, with the object pixels before any position."""

    def __init__(self, masks: Runs) -> None:
        self.ends = np.cumsum(masks.lengths)
        self.object = _is_object(masks)
        covered = np.cumsum(np.where(self.object, masks.lengths, 0))
        self.covered_before = np.concatenate(([0], covered))
        self.ends_before = np.concatenate(([0], self.ends))
        self.begin = self.ends_before[masks.starts[:-1]]

    def covered(self, position: IndexArray) -> IndexArray:
        """Count the object pixels before each position of the line."""
        run = np.searchsorted(self.ends, position, side="right")
        inside = np.zeros(position.size, dtype=np.int64)
        within = run < self.object.size
        inside[within] = np.where(
            self.object[run[within]], position[within] - self.ends_before[run[within]], 0
        )
        return self.covered_before[run] + inside


def _intersection(
    first: Runs, line: ConcatenatedMasks, rows: NDArray[np.integer], other_rows: NDArray[np.integer]
) -> FloatArray:
    pairs = first.counts[rows] // 2
    owner = np.repeat(np.arange(rows.size), pairs)
    ends = np.concatenate(([0], np.cumsum(first.lengths)))
    # Object runs are the odd ones of their mask.
    nth = ranges(np.zeros(rows.size, dtype=np.int64), pairs)
    run = first.starts[rows[owner]] + 1 + 2 * nth
    shift = line.begin[other_rows[owner]] - ends[first.starts[rows[owner]]]
    pixels = line.covered(ends[run + 1] + shift) - line.covered(ends[run] + shift)
    return np.bincount(owner, weights=pixels, minlength=rows.size).astype(np.float64)


def _is_object(masks: Runs) -> BoolArray:
    place = np.arange(masks.lengths.size) - np.repeat(masks.starts[:-1], masks.counts)
    return np.asarray(place % 2 == 1, dtype=np.bool_)


def _per_mask(values: IndexArray, starts: IndexArray) -> IndexArray:
    total = np.concatenate(([0], np.cumsum(values)))
    return np.asarray(total[starts[1:]] - total[starts[:-1]], dtype=np.int64)


def decode_strings(strings: Sequence[bytes], *, sizes: NDArray[Any]) -> Runs:
    """Decode COCO's compressed run lengths; *sizes* holds height and width per mask.

    Each run is written in base 32, lowest digit first, 48 added to every character and 32 to all but the last; from
    the fourth run on it is the difference to the run before the last. Raises ValueError on a string that breaks off.
    """
    given = np.array([len(string) for string in strings], dtype=np.int64)
    code = np.frombuffer(b"".join(strings), dtype=np.uint8).astype(np.int64) - 48
    if code.size and (code.min() < 0 or code.max() > 63):
        raise ValueError("a compressed mask holds a character outside of COCO's alphabet")
    ends = np.cumsum(given)
    last = (code & 0x20) == 0
    filled = ends[given > 0] - 1
    if not last[filled].all():
        raise ValueError(
            f"compressed mask {int(np.flatnonzero(given > 0)[np.argmin(last[filled])])} breaks off"
        )
    stop = np.flatnonzero(last)
    start = np.concatenate(([0], stop[:-1] + 1)) if stop.size else stop
    digits = stop - start + 1
    if digits.size and int(digits.max()) > 12:
        raise ValueError("a compressed mask holds a run longer than any image")
    power = np.arange(code.size) - np.repeat(start, digits)
    value = np.add.reduceat((code & 0x1F) << (5 * power), start) if start.size else start
    negative = (code[stop] & 0x10) != 0
    value[negative] -= np.int64(1) << (5 * digits[negative])
    owner = np.searchsorted(ends, stop, side="right")
    counts = np.bincount(owner, minlength=len(strings))
    starts = np.concatenate(([0], np.cumsum(counts)))
    lengths = _undo_differences(value, starts)
    return Runs(
        lengths=lengths,
        starts=starts,
        height=sizes[:, 0].astype(np.int64),
        width=sizes[:, 1].astype(np.int64),
    )


def _undo_differences(value: IndexArray, starts: IndexArray) -> IndexArray:
    """Sum up every second run, separately for even and odd ones; the first run of a mask stands for itself."""
    counts = np.diff(starts)
    nth = np.arange(value.size) - np.repeat(starts[:-1], counts)
    lengths = value.copy()
    for parity, head in ((0, 2), (1, 1)):
        chain = np.flatnonzero((nth % 2 == parity) & (nth >= head))
        if chain.size == 0:
            continue
        total = np.cumsum(value[chain])
        first = np.flatnonzero(nth[chain] == head)
        sizes = group_sizes(first, chain.size)
        lengths[chain] = total - np.repeat(total[first] - value[chain[first]], sizes)
    return lengths


def from_counts(counts: Sequence[Sequence[int]], *, sizes: NDArray[Any]) -> Runs:
    """Pack uncompressed run lengths; *sizes* holds height and width per mask."""
    starts = np.concatenate(([0], np.cumsum([len(runs) for runs in counts]))).astype(np.int64)
    lengths = np.fromiter((run for runs in counts for run in runs), dtype=np.int64, count=int(starts[-1]))
    return Runs(
        lengths=lengths,
        starts=starts,
        height=sizes[:, 0].astype(np.int64),
        width=sizes[:, 1].astype(np.int64),
    )


def concatenate_runs(parts: Sequence[Runs]) -> Runs:
    """Put the masks of several parts behind one another."""
    shift = np.cumsum([0, *(part.lengths.size for part in parts)])
    none = np.zeros(0, dtype=np.int64)
    return Runs(
        lengths=np.concatenate([none, *(part.lengths for part in parts)]),
        starts=np.concatenate([*(part.starts[:-1] + s for part, s in zip(parts, shift)), shift[-1:]]),
        height=np.concatenate([none, *(part.height for part in parts)]),
        width=np.concatenate([none, *(part.width for part in parts)]),
    )
