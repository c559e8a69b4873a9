"""COCO matching: per image and label, the most confident prediction chooses first, at every threshold anew.

A prediction takes the best free ground truth at or above the threshold; one that is not ignored wins over one that
is, and of equally good ones the later wins. A crowd can be taken any number of times. A prediction matched to an
ignored ground truth is ignored, and so is an unmatched one whose own area lies outside the size range. How the pairs
are taken is in `coco_order`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from airflow_provider_nucleus.evaluation.arrays import descending, group_sizes, group_starts, stable_order
from airflow_provider_nucleus.evaluation.matching.coco_order import match_in_order, outcomes, passing
from airflow_provider_nucleus.evaluation.matching.pairs import (
    Edges,
    group_keys,
    label_span,
    overlapping_pairs,
)
from airflow_provider_nucleus.evaluation.sides.areas import COCO_AREAS, KEYPOINT_AREAS, AreaRange
from airflow_provider_nucleus.evaluation_options import (
    DEFAULT_MAX_DETECTIONS,
    DEFAULT_MAX_DETECTIONS_OF_KEYPOINTS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.matching.coco_order import CocoOrder, PairOutcomes
    from airflow_provider_nucleus.evaluation.sides.columns import Columns

__all__ = [
    "BOX_OPTIONS",
    "COCO_THRESHOLDS",
    "KEYPOINT_OPTIONS",
    "MAX_THRESHOLDS",
    "Bits",
    "CocoOptions",
    "CocoRows",
    "coco_edges",
    "coco_outcomes",
    "compact",
    "match_coco",
    "match_coco_edges",
    "merge_rows",
    "most_confident",
    "pair_outcomes",
    "ranked_predictions",
    "truth_in_groups",
]

Bits = NDArray[np.uint16]

COCO_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""linspace, not arange: arange(.5, 1, .05)[9] is .9500000000000004."""

MAX_THRESHOLDS = 16


@dataclass(frozen=True, slots=True)
class CocoOptions:
    """Options of COCO's matching: overlap thresholds, size ranges (the first one is the main one), detections per image.

    *max_detections* are cut-offs per (image, label) by confidence, ascending; the last one is the one AP uses.
    """

    thresholds: tuple[float, ...] = COCO_THRESHOLDS
    areas: tuple[AreaRange, ...] = COCO_AREAS
    max_detections: tuple[int, ...] = (1, 10, DEFAULT_MAX_DETECTIONS)

    def __post_init__(self) -> None:
        if not 1 <= len(self.thresholds) <= MAX_THRESHOLDS:
            raise ValueError(
                f"{len(self.thresholds)} thresholds given, between 1 and {MAX_THRESHOLDS} are possible"
            )
        if any(not 0.0 < threshold <= 1.0 for threshold in self.thresholds):
            raise ValueError(f"thresholds {self.thresholds} must lie in (0, 1]")
        if list(self.thresholds) != sorted(set(self.thresholds)):
            raise ValueError(f"thresholds {self.thresholds} must ascend")
        if not self.max_detections or list(self.max_detections) != sorted(set(self.max_detections)):
            raise ValueError(f"max_detections {self.max_detections} must ascend")
        if self.max_detections[0] < 1:
            raise ValueError(f"max_detections {self.max_detections} must be positive")
        if not self.areas:
            raise ValueError("at least one size range is needed")

    def limited(self, most: int | None) -> CocoOptions:
        """Return the same with *most* as the last cut-off, which AP uses; itself for None."""
        if most is None:
            return self
        below = (cut for cut in self.max_detections[:-1] if cut < most)
        return replace(self, max_detections=(*below, most))


BOX_OPTIONS = CocoOptions()
KEYPOINT_OPTIONS = CocoOptions(areas=KEYPOINT_AREAS, max_detections=(DEFAULT_MAX_DETECTIONS_OF_KEYPOINTS,))


@dataclass(frozen=True, slots=True, eq=False)
class CocoRows:
    """The matched predictions: all that curves need, and mergeable by concatenation.

    One entry per kept prediction, in the order (image, label, confidence descending): its *label*, *confidence*, its
    *rank* by confidence within (image, label), and per size range (second axis) one bit per threshold:
    *hit* (true positive) and *ignored*. *positives* counts the ground truths to be found, per label and size range.
    *unscored* counts the predictions that were left out because they have no confidence, per label.
    """

    label: NDArray[np.integer]
    confidence: FloatArray
    rank: NDArray[np.integer]
    hit: Bits
    ignored: Bits
    positives: IndexArray
    unscored: IndexArray

    @property
    def excluded(self) -> int:
        """Number of predictions left out."""
        return int(self.unscored.sum())

    def __len__(self) -> int:
        return int(self.label.size)


def match_coco(
    ground_truth: Columns, predictions: Columns, *, labels: int, options: CocoOptions = BOX_OPTIONS
) -> CocoRows:
    """Match all images of both sides at every threshold and size range; *labels* is the number of label codes."""
    ranked = ranked_predictions(predictions, limit=options.max_detections[-1])
    edges = coco_edges(ground_truth, predictions, rows=ranked[0], options=options)
    return _matched(ground_truth, predictions, edges, ranked, labels=labels, options=options)


def match_coco_edges(
    ground_truth: Columns,
    predictions: Columns,
    edges: Edges,
    *,
    labels: int,
    options: CocoOptions = BOX_OPTIONS,
) -> CocoRows:
    """Match pairs whose overlap is known: those of `coco_edges`, or of more predictions than the limit admits.

    Pairs of predictions beyond the limit or without confidence are passed over.
    """
    ranked = ranked_predictions(predictions, limit=options.max_detections[-1])
    admitted = np.zeros(len(predictions), dtype=np.bool_)
    admitted[ranked[0]] = True
    if not admitted[edges.prediction].all():
        edges = edges.take(admitted[edges.prediction])
    return _matched(ground_truth, predictions, edges, ranked, labels=labels, options=options)


def _matched(
    ground_truth: Columns,
    predictions: Columns,
    edges: Edges,
    ranked: tuple[IndexArray, IndexArray],
    *,
    labels: int,
    options: CocoOptions,
) -> CocoRows:
    """Match the pairs of *ranked* predictions, which are what `ranked_predictions` returned."""
    rows, ranks = ranked
    coco_order = match_in_order(edges, ground_truth, predictions, thresholds=options.thresholds)
    hit, ignored = coco_outcomes(coco_order, ground_truth, predictions, options=options)
    flags = [_ignoring(ground_truth, area) for area in options.areas]
    positives = [np.bincount(ground_truth.label[~ignore], minlength=labels) for ignore in flags]
    return CocoRows(
        label=predictions.label[rows],
        confidence=predictions.confidence[rows],
        rank=ranks.astype(np.int32),
        hit=hit[rows],
        ignored=ignored[rows],
        positives=np.stack(positives, axis=1).astype(np.int64),
        unscored=np.bincount(predictions.label[np.isnan(predictions.confidence)], minlength=labels),
    )


def coco_edges(
    ground_truth: Columns, predictions: Columns, *, rows: IndexArray, options: CocoOptions = BOX_OPTIONS
) -> Edges:
    """Find the pairs of equal image and label that reach the lowest threshold.

    *rows* are the predictions that take part, from `ranked_predictions`.
    """
    return overlapping_pairs(
        ground_truth,
        predictions,
        ground_truth_rows=truth_in_groups(ground_truth),
        prediction_rows=rows,
        same_label=True,
        minimum=float(np.nextafter(passing(options.thresholds[0]), 0.0)),
        crowds=True,
    )


def coco_outcomes(
    coco_order: CocoOrder, ground_truth: Columns, predictions: Columns, *, options: CocoOptions = BOX_OPTIONS
) -> tuple[Bits, Bits]:
    """Read the matched pairs of `coco_edges` (or of some of them) for every size range.

    Returns *hit* and *ignored* per [prediction row, size range], one bit per threshold.
    """
    found = pair_outcomes(coco_order, ground_truth, options=options)
    hit = np.zeros((len(predictions), len(options.areas)), dtype=np.uint16, order="F")
    ignored = np.zeros_like(hit)
    hit[found.prediction], ignored[found.prediction] = found.hit, found.ignored
    every = np.uint16((1 << len(options.thresholds)) - 1)
    for column, area in enumerate(options.areas):
        # An unmatched prediction that is itself out of range is neither right nor wrong.
        outside = np.flatnonzero(area.outside(predictions.area))
        ignored[outside, column] |= every & ~hit[outside, column]
    return hit, ignored


def pair_outcomes(
    coco_order: CocoOrder, ground_truth: Columns, *, options: CocoOptions = BOX_OPTIONS
) -> PairOutcomes:
    """Read the matched pairs for every size range, of the predictions that have pairs and before their own areas are looked at."""
    flags = [_ignoring(ground_truth, area) for area in options.areas]
    return outcomes(coco_order, ground_truth, flags=flags)


def _ignoring(ground_truth: Columns, area: AreaRange) -> BoolArray:
    """Mark the ground truths in which nothing is counted in a size range."""
    ignoring: BoolArray = ~ground_truth.counted | area.outside(ground_truth.area)
    return ignoring


def compact(rows: CocoRows, *, options: CocoOptions) -> CocoRows:
    """Return the rows in the narrowest types that hold them: 27 bytes a prediction instead of 32."""
    labels = rows.positives.shape[0]
    return replace(
        rows,
        label=rows.label.astype(np.min_scalar_type(max(labels - 1, 0))),
        rank=rows.rank.astype(np.min_scalar_type(options.max_detections[-1] - 1)),
    )


def most_confident(rows: CocoRows, *, limit: int) -> CocoRows:
    """Return the first *limit* rows of every image and label; exact, because they chose before the others."""
    if not len(rows) or int(rows.rank.max()) < limit:
        return rows
    kept = np.flatnonzero(rows.rank < limit)
    return replace(
        rows,
        label=rows.label[kept],
        confidence=rows.confidence[kept],
        rank=rows.rank[kept],
        hit=rows.hit[kept],
        ignored=rows.ignored[kept],
    )


def merge_rows(parts: Iterable[CocoRows]) -> CocoRows:
    """Put the rows of partitions behind one another; the partitions must come in the order of their images."""
    given = list(parts)
    if not given:
        raise ValueError("there is no partition to merge")
    return CocoRows(
        label=np.concatenate([part.label for part in given]),
        confidence=np.concatenate([part.confidence for part in given]),
        rank=np.concatenate([part.rank for part in given]),
        hit=np.concatenate([part.hit for part in given]),
        ignored=np.concatenate([part.ignored for part in given]),
        positives=np.sum([part.positives for part in given], axis=0),
        unscored=np.sum([part.unscored for part in given], axis=0),
    )


def ranked_predictions(predictions: Columns, *, limit: int) -> tuple[IndexArray, IndexArray]:
    """Order predictions by (image, label, confidence descending, row) and keep *limit* per image and label.

    Returns the rows and the rank of each within its group from 0. Predictions without confidence are left out.
    """
    rows = np.flatnonzero(~np.isnan(predictions.confidence) & predictions.counted)
    rows = rows[descending(predictions.confidence[rows])]
    keys = group_keys(predictions, rows, span=label_span(predictions))
    order = stable_order(keys)
    rows, keys = rows[order], keys[order]
    starts = group_starts(keys)
    sizes = group_sizes(starts, keys.size)
    ranks = np.arange(keys.size) - np.repeat(starts, sizes)
    kept = np.flatnonzero(ranks < limit)
    return rows[kept], ranks[kept]


def truth_in_groups(ground_truth: Columns) -> IndexArray:
    """Order the ground truth by (image, label, row)."""
    rows = np.arange(len(ground_truth), dtype=np.int64)
    return stable_order(group_keys(ground_truth, rows, span=label_span(ground_truth)))
