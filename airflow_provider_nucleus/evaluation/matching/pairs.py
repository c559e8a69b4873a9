"""Candidate pairs: every ground truth with every prediction of the same group, overlaps computed at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import (
    NONE,
    FloatArray,
    IndexArray,
    IntArray,
    group_sizes,
    group_starts,
    ranges,
    segment_best,
)
from airflow_provider_nucleus.evaluation.overlap.dispatch import overlap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.sides.columns import Columns

__all__ = ["CHUNK_PAIRS", "Edges", "concatenate", "group_keys", "label_span", "overlapping_pairs"]

CHUNK_PAIRS = 1 << 17
"""Pairs per vectorised step: their temporaries stay in the processor's cache and memory stays flat."""


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Pairs that overlap: row of the ground truth, row of the prediction, overlap above 0.

    Edges of one prediction lie together, in the order in which the ground truth was offered.
    """

    ground_truth: NDArray[np.integer]
    prediction: NDArray[np.integer]
    overlap: FloatArray

    def __len__(self) -> int:
        return int(self.overlap.size)

    def take(self, positions: NDArray[np.generic]) -> Edges:
        """Choose edges by position or by mask."""
        return Edges(
            ground_truth=self.ground_truth[positions],
            prediction=self.prediction[positions],
            overlap=self.overlap[positions],
        )

    def best_of_predictions(self) -> Edges:
        """Keep, for each prediction, the edge of the largest overlap (the first ground truth on ties)."""
        return self.take(segment_best(self.overlap, self.prediction)[1])

    def by_prediction(self, count: int) -> tuple[IntArray, FloatArray]:
        """Spread at most one edge per prediction over a column of ground truths (-1: none) and one of overlaps."""
        partner = np.full(count, NONE, dtype=np.int32)
        values = np.zeros(count, dtype=np.float64)
        partner[self.prediction] = self.ground_truth
        values[self.prediction] = self.overlap
        return partner, values


def overlapping_pairs(
    ground_truth: Columns,
    predictions: Columns,
    *,
    ground_truth_rows: IndexArray,
    prediction_rows: IndexArray,
    same_label: bool,
    minimum: float = 0.0,
    crowds: bool = False,
) -> Edges:
    """Find all pairs of one image (and one label, with *same_label*) that overlap by more than *minimum*.

    The row arrays say which rows take part and in which order inside their group; both must be sorted by image
    (by image, then label, with *same_label*). With *crowds* the overlap with a crowd is taken over the prediction.
    """
    span = label_span(ground_truth, predictions) if same_label else 0
    truth_keys = group_keys(ground_truth, ground_truth_rows, span=span)
    prediction_keys = group_keys(predictions, prediction_rows, span=span)
    found: list[Edges] = []
    crowd = ground_truth.crowd if crowds and ground_truth.crowd.any() else None
    for left, right in _chunks(truth_keys, prediction_keys):
        truth = ground_truth_rows[left]
        predicted = prediction_rows[right]
        values = overlap(
            ground_truth.geometry,
            predictions.geometry,
            rows=truth,
            other_rows=predicted,
            over_second=None if crowd is None else crowd[truth],
        )
        hits = np.flatnonzero(values > minimum)
        found.append(Edges(ground_truth=truth[hits], prediction=predicted[hits], overlap=values[hits]))
    return concatenate(found)


def concatenate(parts: list[Edges]) -> Edges:
    """Put the edges of several steps behind one another."""
    if len(parts) == 1:
        return parts[0]
    none = np.zeros(0, dtype=np.int64)
    return Edges(
        ground_truth=np.concatenate([part.ground_truth for part in parts] or [none]),
        prediction=np.concatenate([part.prediction for part in parts] or [none]),
        overlap=np.concatenate([part.overlap for part in parts] or [np.zeros(0)]),
    )


def group_keys(side: Columns, rows: NDArray[np.integer], *, span: int = 0) -> IndexArray:
    """Return the image of each row, or with *span* > 0 (a bound of the label codes) image and label, as one number."""
    keys: IndexArray = side.image[rows].astype(np.int64)
    if span:
        keys *= span
        keys += side.label[rows]
    return keys


def label_span(*sides: Columns) -> int:
    """Return the smallest bound of all label codes, at least 1."""
    return 1 + max(int(side.label.max(initial=0)) for side in sides)


def _chunks(truth_keys: IndexArray, prediction_keys: IndexArray) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yield (position in truth_keys, position in prediction_keys) of pairs with equal keys, a chunk at a time."""
    starts = group_starts(prediction_keys)
    groups = prediction_keys[starts]
    sizes = group_sizes(starts, prediction_keys.size)
    first = np.searchsorted(truth_keys, groups, side="left")
    partners = np.searchsorted(truth_keys, groups, side="right") - first
    first_partner = np.repeat(first, sizes)
    per_prediction = np.repeat(partners, sizes)
    ends = np.cumsum(per_prediction)
    begin = 0
    while begin < prediction_keys.size:
        done = int(ends[begin - 1]) if begin else 0
        end = max(int(np.searchsorted(ends, done + CHUNK_PAIRS, side="right")), begin + 1)
        counts = per_prediction[begin:end]
        if counts.any():
            right = np.repeat(np.arange(begin, end, dtype=np.int64), counts)
            yield ranges(first_partner[begin:end], counts), right
        begin = end
