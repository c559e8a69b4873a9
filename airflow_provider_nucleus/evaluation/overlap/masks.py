"""Index masks: images whose pixels hold the number of the segment they belong to.

One histogram over (ground-truth index, predicted index) holds the overlaps of all segments of an image at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray

__all__ = ["BLOCK", "FINE_LIMIT", "IndexOverlap", "Segments", "index_overlap", "segment_pairs"]

BLOCK = 1 << 16

FINE_LIMIT = 1 << 22
"""Largest histogram that is counted directly; sparser index spaces are counted by sorting."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Segments known by their number of pixels only; their overlaps come from `segment_pairs`."""

    pixels: FloatArray

    def __len__(self) -> int:
        return int(self.pixels.size)

    @property
    def area(self) -> FloatArray:
        """Pixels of each segment."""
        return self.pixels

    def take(self, rows: NDArray[np.integer] | slice) -> Self:
        """Return the chosen segments, in the order of *rows*."""
        return type(self)(self.pixels[rows])

    def problem(self) -> tuple[int, str] | None:
        """Return the first segment with a pixel count that is negative or not finite."""
        wrong = ~(np.isfinite(self.pixels) & (self.pixels >= 0))
        return (
            (int(np.argmax(wrong)), "a segment's pixel count is not a number >= 0") if wrong.any() else None
        )


@dataclass(frozen=True, slots=True, eq=False)
class IndexOverlap:
    """The index pairs that occur in one image, and how many pixels have each."""

    ground_truth: IndexArray
    prediction: IndexArray
    pixels: IndexArray


def index_overlap(ground_truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> IndexOverlap:
    """Count every (ground-truth index, predicted index) of two masks of the same image.

    Raises ValueError when the masks differ in size or hold negative numbers.
    """
    if ground_truth.shape != prediction.shape:
        raise ValueError(
            f"masks of {ground_truth.shape} and {prediction.shape} pixels are not of the same image"
        )
    if ground_truth.size == 0:
        none = np.zeros(0, dtype=np.int64)
        return IndexOverlap(none, none, none)
    left, right = ground_truth.reshape(-1), prediction.reshape(-1)
    if (left.dtype.kind != "u" and int(left.min()) < 0) or (right.dtype.kind != "u" and int(right.min()) < 0):
        raise ValueError("a mask holds a negative index")
    rows, span = int(left.max()) + 1, int(right.max()) + 1
    keys, lengths = _runs(left, right, rows=rows, span=span)
    if rows * span <= FINE_LIMIT:
        counts = np.bincount(keys, weights=lengths, minlength=rows * span)
        found = np.flatnonzero(counts)
        pixels = counts[found].astype(np.int64)
    else:
        found, inverse = np.unique(keys, return_inverse=True)
        pixels = np.bincount(inverse, weights=lengths).astype(np.int64)
    return IndexOverlap(ground_truth=found // span, prediction=found % span, pixels=pixels)


def _runs(
    left: NDArray[np.integer], right: NDArray[np.integer], *, rows: int, span: int
) -> tuple[IndexArray, FloatArray]:
    """Return the joint index of every run of equal pixels, and its length.

    Masks are made of patches, so counting runs beats counting pixels. Pixels are looked at in blocks whose few
    temporaries stay in the processor's cache.
    """
    # The narrowest type that holds every pair: most of the time goes into moving pixels.
    kind = np.min_scalar_type(rows * span)
    joint, changed = np.empty(BLOCK, dtype=kind), np.ones(BLOCK, dtype=np.bool_)
    keys: list[NDArray[np.integer]] = []
    lengths: list[NDArray[np.integer]] = []
    for begin in range(0, left.size, BLOCK):
        count = min(BLOCK, left.size - begin)
        block = joint[:count]
        np.multiply(left[begin : begin + count], span, out=block, dtype=kind, casting="unsafe")
        np.add(block, right[begin : begin + count], out=block, dtype=kind, casting="unsafe")
        np.not_equal(block[1:], block[:-1], out=changed[1:count])
        starts = np.flatnonzero(changed[:count])
        keys.append(block[starts])
        lengths.append(np.diff(starts, append=count))
    return np.concatenate(keys).astype(np.int64), np.concatenate(lengths).astype(np.float64)


def segment_pairs(
    overlaps: Iterable[tuple[IndexOverlap, IndexArray, IndexArray]],
) -> tuple[IndexArray, IndexArray, FloatArray]:
    """Turn the overlaps of images into (ground-truth row, prediction row, IoU) of all segments that share a pixel.

    Each image brings two tables from index to row number, -1 for indices that are no segment (they still count as
    pixels outside of the other side's segments). Indices beyond a table are no segments either.
    """
    truth_rows: list[IndexArray] = []
    prediction_rows: list[IndexArray] = []
    values: list[FloatArray] = []
    for overlap, truth_table, prediction_table in overlaps:
        truth = _row_of(overlap.ground_truth, truth_table)
        prediction = _row_of(overlap.prediction, prediction_table)
        truth_pixels = np.bincount(overlap.ground_truth, weights=overlap.pixels)[overlap.ground_truth]
        prediction_pixels = np.bincount(overlap.prediction, weights=overlap.pixels)[overlap.prediction]
        pairs = np.flatnonzero((truth != NONE) & (prediction != NONE))
        iou = overlap.pixels / (truth_pixels + prediction_pixels - overlap.pixels)
        truth_rows.append(truth[pairs])
        prediction_rows.append(prediction[pairs])
        values.append(iou[pairs])
    none = np.zeros(0, dtype=np.int64)
    return (
        np.concatenate([none, *truth_rows]),
        np.concatenate([none, *prediction_rows]),
        np.concatenate([np.zeros(0), *values]),
    )


def _row_of(index: IndexArray, table: IndexArray) -> IndexArray:
    row = np.full(index.size, NONE, dtype=np.int64)
    inside = index < table.size
    row[inside] = table[index[inside]]
    return row
