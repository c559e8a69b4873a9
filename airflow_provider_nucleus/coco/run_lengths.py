"""COCO run-length masks, compressed or not: what they must be, and their bounding box and area without decoding them to pixels."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.coco.errors import CocoError, excerpt
from airflow_provider_nucleus.coco.fields import size_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["area_of_rle", "box_of_rle", "runs_of"]

_COUNTS = "segmentation.counts"


def box_of_rle(segmentation: Mapping[str, Any]) -> list[int]:
    """Return `[x, y, width, height]` in pixels of the mask's foreground; all zero when it is empty.

    Equal to `toBbox` of the COCO tools. Raises CocoError when the mask is malformed.
    """
    height, width, runs = runs_of(segmentation)
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
    """Return the pixels of the mask's foreground. Raises CocoError when the mask is malformed."""
    _, _, runs = runs_of(segmentation)
    return sum(runs[1::2])


def runs_of(
    segmentation: Mapping[str, Any], image: tuple[int | None, int | None] = (None, None)
) -> tuple[int, int, Sequence[int]]:
    """Return height, width and the run lengths, background first.

    *image* is the height and width of the image, as far as they are known: what the mask has where it does not say its size, and must be
    where it does.
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    known = image if image[0] and image[1] else None
    if size is None and known is not None:
        size = list(known)
    if size is None:
        raise CocoError("segmentation.size", "is missing: [height, width] of the mask")
    height, width = size_of(size)
    if known is not None and known != (height, width):
        raise CocoError(
            "segmentation.size",
            f"is {[height, width]} (height, width), its image has {list(known)}: a mask covers its whole image",
        )
    if isinstance(counts, str):
        runs: Sequence[int] = _decompress(counts)
    elif isinstance(counts, list) and all(type(run) is int and run >= 0 for run in counts):
        runs = counts
    else:
        raise CocoError(_COUNTS, f"must be text or a list of run lengths, got {excerpt(counts)}")
    if sum(runs) != height * width:
        raise CocoError(_COUNTS, f"its runs cover {sum(runs)} pixels, the size says {height} x {width}")
    return height, width, runs


def _decompress(text: str) -> list[int]:
    """Decode the COCO text form: 5 bits a character, least significant first, differences to the run two before."""
    runs: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        while True:
            if at >= len(text):
                raise CocoError(_COUNTS, "end inside a run: the text is cut off")
            digit = ord(text[at]) - 48
            if not 0 <= digit < 64:
                raise CocoError(_COUNTS, f"hold {text[at]!r}, which is no run-length character")
            value |= (digit & 0x1F) << shift
            shift += 5
            at += 1
            if not digit & 0x20:
                break
            if shift > 60:
                raise CocoError(_COUNTS, "hold a run longer than any image")
        if digit & 0x10:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            raise CocoError(_COUNTS, "hold a negative run")
        runs.append(value)
    return runs
