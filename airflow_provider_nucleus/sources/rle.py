"""Bounding box and area of a COCO run-length mask, compressed or not, without decoding the mask to pixels."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["area_of_rle", "box_of_rle"]


def box_of_rle(segmentation: Mapping[str, Any]) -> list[int]:
    """Return `[x, y, width, height]` in pixels of the mask's foreground; all zero when it is empty.

    Equal to `toBbox` of the COCO tools. Raises ValueError when the mask is malformed.
    """
    height, width, runs = _runs(segmentation)
    left, right, top, bottom = width, -1, height, -1
    ends = list(accumulate(runs))
    # Runs alternate background, foreground and go down the columns, so a run over a column border spans the full height.
    for begin, end in zip(ends[0::2], ends[1::2], strict=False):
        if begin == end:
            continue
        first, last = divmod(begin, height), divmod(end - 1, height)
        left, right = min(left, first[0]), max(right, last[0])
        if first[0] == last[0]:
            top, bottom = min(top, first[1]), max(bottom, last[1])
        else:
            top, bottom = 0, height - 1
    if right < 0:
        return [0, 0, 0, 0]
    return [left, top, right - left + 1, bottom - top + 1]


def area_of_rle(segmentation: Mapping[str, Any]) -> int:
    """Return the pixels of the mask's foreground. Raises ValueError when the mask is malformed."""
    _, _, runs = _runs(segmentation)
    return sum(runs[1::2])


def _runs(segmentation: Mapping[str, Any]) -> tuple[int, int, Sequence[int]]:
    """Return height, width and the run lengths, background first."""
    try:
        height, width = (int(side) for side in segmentation["size"])
        counts = segmentation["counts"]
    except (KeyError, TypeError, ValueError):
        raise ValueError("segmentation needs 'size' [height, width] and 'counts'") from None
    if isinstance(counts, str):
        runs: Sequence[int] = _decompress(counts)
    elif isinstance(counts, list) and all(type(run) is int and run >= 0 for run in counts):
        runs = counts
    else:
        raise ValueError("segmentation counts must be text or a list of run lengths")
    if height < 1 or sum(runs) != height * width:
        raise ValueError(f"segmentation runs cover {sum(runs)} pixels, the size says {height} x {width}")
    return height, width, runs


def _decompress(text: str) -> list[int]:
    """Decode the COCO text form: 5 bits a character, least significant first, differences to the run two before."""
    runs: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        while True:
            if at >= len(text):
                raise ValueError("segmentation counts end inside a run")
            digit = ord(text[at]) - 48
            if not 0 <= digit < 64:
                raise ValueError(f"segmentation counts hold {text[at]!r}, which is no run-length character")
            value |= (digit & 0x1F) << shift
            shift += 5
            at += 1
            if not digit & 0x20:
                break
        if digit & 0x10:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            raise ValueError("segmentation counts hold a negative run")
        runs.append(value)
    return runs
