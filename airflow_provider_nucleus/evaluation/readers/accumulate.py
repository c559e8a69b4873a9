"""From matched rows to precision, recall and confidence at the 101 recall levels of COCO.

Per label the rows are sorted by confidence (equal ones by image and rank), ignored rows are passed over, precision
is tp / (tp + fp + eps), made non-increasing from the right, and read at the first row that reaches each recall
level. Precision is only ever read at true positives, so only those are computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import descending, group_sizes, group_starts, stable_order
from airflow_provider_nucleus.evaluation.readers.average_precision import COCO_RECALLS, true_positives_needed

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.matching.coco import CocoOptions, CocoRows

__all__ = ["ROWS_AT_ONCE", "CocoTables", "accumulate"]


@dataclass(frozen=True, slots=True, eq=False)
class CocoTables:
    """The curves behind every COCO number; NaN where a label has no ground truth in the size range, or is *unscored*.

    - *precision* and *confidence*: [threshold, recall level, label, size range], at the last detection cut-off;
      precision is 0 beyond the reached recall, where confidence is NaN;
    - *recall*: [threshold, label, size range, detection cut-off];
    - *positives*: [label, size range], the ground truths to be found;
    - *unscored*: [label], whether the label has predictions, none of which has a confidence.
    """

    options: CocoOptions
    precision: FloatArray
    confidence: FloatArray
    recall: FloatArray
    positives: IndexArray
    unscored: BoolArray


ROWS_AT_ONCE = 500_000
"""Rows that are sorted together; beyond that labels are worked off in batches, which fit the cache and bound memory."""


def accumulate(rows: CocoRows, *, options: CocoOptions) -> CocoTables:
    """Compute the curves of all labels, thresholds and size ranges; *options* are those the rows were matched with."""
    labels = rows.positives.shape[0]
    scored = np.bincount(rows.label, minlength=labels) > 0
    tables = _CurveTables(options, rows.positives, unscored=(rows.unscored > 0) & ~scored)
    if len(rows) <= ROWS_AT_ONCE:
        tables.fill(rows, np.arange(len(rows)))
    else:
        by_label = np.argsort(rows.label, kind="stable")
        ends = np.cumsum(np.bincount(rows.label, minlength=labels))
        begin = 0
        while begin < len(rows):
            # Whole labels, so many that their rows stay in bounds.
            last = int(np.searchsorted(ends, begin + ROWS_AT_ONCE, side="right")) - 1
            end = int(ends[last]) if last >= 0 and ends[last] > begin else int(ends[np.argmax(ends > begin)])
            tables.fill(rows, by_label[begin:end])
            begin = end
    return tables.finished()


class _CurveTables:
    """The tables while they are filled, laid out the way they are written and handed out transposed."""

    def __init__(self, options: CocoOptions, positives: IndexArray, *, unscored: BoolArray) -> None:
        labels, areas = positives.shape
        thresholds = len(options.thresholds)
        self.options = options
        self.positives = positives
        self.unscored = unscored
        self.precision = np.full((areas, thresholds, labels, COCO_RECALLS.size), np.nan)
        self.confidence = np.full_like(self.precision, np.nan)
        self.recall = np.full((areas, thresholds, len(options.max_detections), labels), np.nan)
        self.needed = [true_positives_needed(positives[:, column], COCO_RECALLS) for column in range(areas)]
        for column in range(areas):
            to_find = (positives[:, column] > 0) & ~unscored
            self.precision[column][:, to_find] = 0.0
            self.recall[column][:, :, to_find] = 0.0

    def fill(self, rows: CocoRows, chosen: IndexArray) -> None:
        """Enter all rows of some labels; *chosen* holds them in the order (image, rank) within each label."""
        order = chosen[descending(rows.confidence[chosen])]
        order = order[stable_order(rows.label[order])]
        every = np.uint16((1 << len(self.options.thresholds)) - 1)
        for column in range(len(self.options.areas)):
            # Rows ignored at every threshold, such as predictions out of the size range, are as good as absent.
            to_find = self.positives[:, column] > 0
            kept = order[(rows.ignored[order, column] != every) & to_find[rows.label[order]]]
            self._fill_range(column, _Ranked(rows, kept, column=column))

    def _fill_range(self, column: int, ranked: _Ranked) -> None:
        positives = self.positives[:, column]
        for bit in range(len(self.options.thresholds)):
            places = ranked.hits(bit)
            if places.size == 0:
                continue
            curve = _curve(ranked, places, bit=bit, needed=self.needed[column])
            self.precision[column, bit, curve.labels] = curve.precision
            self.confidence[column, bit, curve.labels] = curve.confidence
            hit_label, hit_rank = ranked.label[places], ranked.rank[places]
            for cut, most in enumerate(self.options.max_detections):
                found = np.bincount(hit_label[hit_rank < most], minlength=positives.size)[curve.labels]
                self.recall[column, bit, cut, curve.labels] = found / positives[curve.labels]

    def finished(self) -> CocoTables:
        """Return the tables in the documented order of axes."""
        return CocoTables(
            options=self.options,
            precision=self.precision.transpose(1, 3, 2, 0),
            confidence=self.confidence.transpose(1, 3, 2, 0),
            recall=self.recall.transpose(1, 3, 0, 2),
            positives=self.positives,
            unscored=self.unscored,
        )


class _Ranked:
    """The rows of one size range in the order (label, confidence descending)."""

    def __init__(self, rows: CocoRows, kept: IndexArray, *, column: int) -> None:
        self.label = rows.label[kept]
        self.confidence = rows.confidence[kept]
        self.rank = rows.rank[kept]
        hit, ignored = rows.hit[kept, column], rows.ignored[kept, column]
        self.some_hit = np.flatnonzero(hit)
        self.hit_bits = hit[self.some_hit]
        self.some_ignored = np.flatnonzero(ignored)
        self.ignored_bits = ignored[self.some_ignored]
        self.starts = group_starts(self.label)

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


def _curve(ranked: _Ranked, places: IndexArray, *, bit: int, needed: IndexArray) -> _Curve:
    """Read the envelope of one threshold and size range at the recall levels, for the labels with a true positive."""
    hit_label = ranked.label[places]
    starts = group_starts(hit_label)
    sizes = group_sizes(starts, places.size)
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
