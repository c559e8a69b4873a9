"""From matched rows to precision, recall and confidence at the 101 recall levels of COCO.

Per label the rows are sorted by confidence (equal ones by image and rank), ignored rows are passed over, precision
is tp / (tp + fp + eps), made non-increasing from the right, and read at the first row that reaches each recall
level. Precision is only ever read at true positives, so only those are computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import descending, group_starts, stable_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.coco_match import CocoOptions, CocoRows

RECALL_LEVELS: FloatArray = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, eq=False)
class CocoTables:
    """The curves behind every COCO number; NaN where a label has no ground truth in the size range.

    - *precision* and *confidence*: [threshold, recall level, label, size range], at the last detection cut-off;
      precision is 0 beyond the reached recall, where confidence is NaN;
    - *recall*: [threshold, label, size range, detection cut-off];
    - *positives*: [label, size range], the ground truths to be found.
    """

    options: CocoOptions
    precision: FloatArray
    confidence: FloatArray
    recall: FloatArray
    positives: IndexArray


def accumulate(rows: CocoRows, *, options: CocoOptions) -> CocoTables:
    """Compute the curves of all labels, thresholds and size ranges; *options* are those the rows were matched with."""
    thresholds, areas = len(options.thresholds), len(options.areas)
    labels = rows.positives.shape[0]
    # Laid out [size range, threshold, label, level], which is how they are written; handed out transposed.
    precision = np.full((areas, thresholds, labels, RECALL_LEVELS.size), np.nan)
    confidence = np.full_like(precision, np.nan)
    recall = np.full((areas, thresholds, len(options.max_detections), labels), np.nan)
    order = descending(rows.confidence)
    order = order[stable_order(rows.label[order])]
    every = np.uint16((1 << thresholds) - 1)
    for column in range(areas):
        needed = _first_reaching(rows.positives[:, column])
        to_find = rows.positives[:, column] > 0
        precision[column][:, to_find] = 0.0
        recall[column][:, :, to_find] = 0.0
        # Rows ignored at every threshold, such as predictions out of the size range, are as good as absent.
        kept = order[(rows.ignored[order, column] != every) & to_find[rows.label[order]]]
        ranked = _Ranked(
            label=rows.label[kept],
            confidence=rows.confidence[kept],
            rank=rows.rank[kept],
            hit=rows.hit[kept, column],
            ignored=rows.ignored[kept, column],
        )
        for bit in range(thresholds):
            places = ranked.hits(bit)
            if places.size == 0:
                continue
            curve = _curve(ranked, places, bit=bit, needed=needed)
            precision[column, bit, curve.labels] = curve.precision
            confidence[column, bit, curve.labels] = curve.confidence
            hit_label, hit_rank = ranked.label[places], ranked.rank[places]
            for cut, most in enumerate(options.max_detections):
                hits = np.bincount(hit_label[hit_rank < most], minlength=labels)
                recall[column, bit, cut, to_find] = hits[to_find] / rows.positives[to_find, column]
    return CocoTables(
        options=options,
        precision=precision.transpose(1, 3, 2, 0),
        confidence=confidence.transpose(1, 3, 2, 0),
        recall=recall.transpose(1, 3, 0, 2),
        positives=rows.positives,
    )


class _Ranked:
    """The rows of one size range in the order (label, confidence descending)."""

    def __init__(
        self,
        *,
        label: NDArray[np.int32],
        confidence: FloatArray,
        rank: NDArray[np.int32],
        hit: NDArray[np.uint16],
        ignored: NDArray[np.uint16],
    ) -> None:
        self.label = label
        self.confidence = confidence
        self.rank = rank
        self.some_hit = np.flatnonzero(hit)
        self.hit_bits = hit[self.some_hit]
        self.some_ignored = np.flatnonzero(ignored)
        self.ignored_bits = ignored[self.some_ignored]
        self.starts = group_starts(label)

    def hits(self, bit: int) -> IndexArray:
        """Positions of the true positives at one threshold."""
        places: IndexArray = self.some_hit[(self.hit_bits >> np.uint16(bit)) & np.uint16(1) != 0]
        return places

    def counted_before(self, rows: IndexArray, bit: int) -> IndexArray:
        """Count the rows before each given one that are not ignored at one threshold."""
        ignored = self.some_ignored[(self.ignored_bits >> np.uint16(bit)) & np.uint16(1) != 0]
        return rows - np.searchsorted(ignored, rows) if ignored.size else rows


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """Precision and confidence as [label, recall level]."""

    labels: IndexArray
    precision: FloatArray
    confidence: FloatArray


def _first_reaching(positives: IndexArray) -> IndexArray:
    """Return [label, recall level]: how many true positives are needed until recall >= level (at least 1)."""
    total = np.maximum(positives, 1)[:, None].astype(np.float64)
    needed = np.ceil(RECALL_LEVELS[None, :] * total)
    # The product is rounded; recall is compared as the quotient k / total, so put the count right by that.
    needed -= (needed - 1) / total >= RECALL_LEVELS
    needed += needed / total < RECALL_LEVELS
    return np.maximum(needed, 1).astype(np.int64)


def _curve(ranked: _Ranked, places: IndexArray, *, bit: int, needed: IndexArray) -> _Curve:
    """Read the envelope of one threshold and size range at the recall levels, for the labels with a true positive."""
    hit_label = ranked.label[places]
    starts = group_starts(hit_label)
    sizes = np.diff(np.append(starts, places.size))
    number = np.arange(1, places.size + 1) - np.repeat(starts, sizes)
    labels = hit_label[starts].astype(np.int64)
    first = ranked.starts[np.searchsorted(ranked.label[ranked.starts], labels)]
    seen = ranked.counted_before(places, bit) - np.repeat(ranked.counted_before(first, bit), sizes) + 1
    height = number / (seen + np.spacing(1))
    nth = needed[labels]
    reached = nth <= sizes[:, None]
    at = (starts[:, None] + nth - 1)[reached]
    # Between two levels the highest point counts; the last reached level of a label runs to its last true positive.
    peaks = np.zeros(nth.shape)
    peaks[reached] = np.maximum.reduceat(height, at)
    envelope = np.maximum.accumulate(peaks[:, ::-1], axis=1)[:, ::-1]
    at_level = np.full(nth.shape, np.nan)
    at_level[reached] = ranked.confidence[places[at]]
    # The first level, recall 0, is reached by the first row of all, which need not be a hit.
    at_level[:, 0] = ranked.confidence[first]
    return _Curve(labels=labels, precision=np.where(reached, envelope, 0.0), confidence=at_level)
