"""From matched rows to precision, recall and confidence at the 101 recall levels of COCO.

Per label the rows are sorted by confidence (equal ones by image and rank), ignored rows are passed over, precision
is tp / (tp + fp + eps), made non-increasing from the right, and read at the first row that reaches each recall
level. Precision is only ever read at true positives, so only those are computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import descending, group_starts

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
    precision = np.full((thresholds, RECALL_LEVELS.size, labels, areas), np.nan)
    confidence = np.full_like(precision, np.nan)
    recall = np.full((thresholds, labels, areas, len(options.max_detections)), np.nan)
    order = descending(rows.confidence)
    order = order[np.argsort(_narrow(rows.label[order]), kind="stable")]
    label = rows.label[order]
    score = rows.confidence[order]
    rank = rows.rank[order]
    row_starts = group_starts(label)
    for column in range(areas):
        found_at = _first_reaching(rows.positives[:, column])
        hit = rows.hit[order, column]
        ignored = rows.ignored[order, column]
        always = int(np.bitwise_or.reduce(ignored)) if ignored.size else 0
        to_find = rows.positives[:, column] > 0
        precision[:, :, to_find, column] = 0.0
        recall[:, to_find, column, :] = 0.0
        for bit in range(thresholds):
            mask = np.uint16(1 << bit)
            places = np.flatnonzero(hit & mask)
            places = places[to_find[label[places]]]
            if places.size == 0:
                continue
            seen = _counted_so_far(places, ignored & mask if always & mask else None, row_starts)
            curve = _curve(places, seen, label=label, found_at=found_at, score=score)
            precision[bit, :, :, column][:, curve.labels] = curve.precision
            confidence[bit, :, :, column][:, curve.labels] = curve.confidence
            for cut, most in enumerate(options.max_detections):
                hits = np.bincount(label[places[rank[places] < most]], minlength=labels)
                recall[bit, to_find, column, cut] = hits[to_find] / rows.positives[to_find, column]
    return CocoTables(
        options=options, precision=precision, confidence=confidence, recall=recall, positives=rows.positives
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    labels: IndexArray
    precision: FloatArray
    confidence: FloatArray


def _narrow(label: NDArray[np.int32]) -> NDArray[np.integer]:
    """Return label codes in 16 bits when they fit: NumPy sorts those by radix, in linear time."""
    return label.astype(np.uint16) if label.size and int(label.max()) < 1 << 16 else label


def _first_reaching(positives: IndexArray) -> IndexArray:
    """Return [label, recall level]: how many true positives are needed until recall >= level (at least 1)."""
    total = np.maximum(positives, 1)[:, None].astype(np.float64)
    needed = np.ceil(RECALL_LEVELS[None, :] * total)
    # The product is rounded; recall is compared as the quotient k / total, so put the count right by that.
    needed -= (needed - 1) / total >= RECALL_LEVELS
    needed += needed / total < RECALL_LEVELS
    return np.maximum(needed, 1).astype(np.int64)


def _counted_so_far(
    places: IndexArray, ignored: NDArray[np.uint16] | None, row_starts: IndexArray
) -> IndexArray:
    """Count, for each place, the rows of its label up to and including it that are not ignored."""
    run = np.searchsorted(row_starts, places, side="right") - 1
    start = row_starts[run]
    seen = places - start + 1
    if ignored is not None:
        before = np.concatenate(([0], np.cumsum(ignored != 0)))
        seen -= before[places + 1] - before[start]
    return seen


def _curve(
    places: IndexArray,
    seen: IndexArray,
    *,
    label: NDArray[np.int32],
    found_at: IndexArray,
    score: FloatArray,
) -> _Curve:
    """Read the envelope of one threshold and size range at the recall levels, for the labels with a true positive."""
    hit_label = label[places]
    starts = group_starts(hit_label)
    sizes = np.diff(np.append(starts, places.size))
    number = np.arange(1, places.size + 1) - np.repeat(starts, sizes)
    height = number / (seen + np.spacing(1))
    labels = hit_label[starts].astype(np.int64)
    needed = found_at[labels]
    reached = needed <= sizes[:, None]
    at = starts[:, None] + needed - 1
    # Between two levels the highest point counts; the last reached level of a label runs to its last true positive.
    peaks = np.zeros(needed.shape)
    peaks[reached] = np.maximum.reduceat(height, at[reached])
    envelope = np.maximum.accumulate(peaks[:, ::-1], axis=1)[:, ::-1]
    at_level = np.full(needed.shape, np.nan)
    at_level[reached] = score[places[at[reached]]]
    return _Curve(labels=labels, precision=np.where(reached, envelope, 0.0).T, confidence=at_level.T)
