"""Any number on a subset of items: the match is read again, not done again.

Matching never crosses items, so the numbers of a slice equal those of evaluating its items alone. Only above a confidence
is it done again, for what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.matching.counts import true_positives
from airflow_provider_nucleus.evaluation.readers.image_counts import (
    GROUND_TRUTHS,
    PREDICTIONS,
    TRUE_POSITIVES,
    ImageCounts,
    image_counts,
    numbers_of,
)
from airflow_provider_nucleus.evaluation.readers.mean_precision import precisions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IntArray
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches
    from airflow_provider_nucleus.evaluation.metric import Metric
    from airflow_provider_nucleus.evaluation.readers.ranked import RankedCoco

__all__ = [
    "WHOLE",
    "CountsAtThreshold",
    "SliceNumbers",
    "coco_numbers",
    "rows_of_items",
    "slice_numbers",
    "total_counts",
]

WHOLE = "all"
"""The name under which the numbers of all items are given."""


@dataclass(frozen=True, slots=True)
class SliceNumbers:
    """The numbers of one slice: counts and quotients of the Nucleus match, and COCO's AP where it was evaluated."""

    items: int
    ground_truths: int
    predictions: int
    true_positives: int
    false_positives: int
    false_negatives: int
    metrics: dict[str, Metric]
    """precision, recall, f1, mean_iou at the overlap threshold; AP, AP50, AP75 when COCO rows were given."""


@dataclass(frozen=True, slots=True)
class CountsAtThreshold:
    """Counts at one overlap threshold over chosen rows, and how many of the predictions have a confidence."""

    true_positives: int
    false_positives: int
    false_negatives: int
    with_confidence: int


def total_counts(
    matches: Matches,
    threshold: float,
    *,
    predictions: BoolArray | None = None,
    ground_truth: BoolArray | None = None,
    hits: BoolArray | None = None,
) -> CountsAtThreshold:
    """Count the rows chosen by masks over predictions and ground truth.

    A true positive whose ground truth is masked out is not counted at all: it is no error. A ground truth whose
    prediction is masked out is missed: the masks choose rows of this match. `only` gives what the chosen predictions find
    without the others. *hits* are the true positives, where computed already.
    """
    kept = matches.predictions.counted
    if predictions is not None:
        kept = kept & predictions
    wanted = matches.ground_truth.counted
    if ground_truth is not None:
        wanted = wanted & ground_truth
    rows = np.flatnonzero(kept & (true_positives(matches, threshold) if hits is None else hits))
    found = int(np.count_nonzero(wanted[matches.match[rows]]))
    return CountsAtThreshold(
        true_positives=found,
        false_positives=int(np.count_nonzero(kept)) - rows.size,
        false_negatives=int(np.count_nonzero(wanted)) - found,
        with_confidence=int(np.count_nonzero(kept & ~np.isnan(matches.predictions.confidence))),
    )


def rows_of_items(items: BoolArray, image: IntArray) -> BoolArray:
    """Turn a mask over item codes into a mask over rows, given the rows' image column."""
    return np.asarray(items[image], dtype=np.bool_)


def slice_numbers(
    matches: Matches,
    slices: Mapping[str, BoolArray],
    *,
    threshold: float = 0.5,
    images: int,
    coco: RankedCoco | None = None,
    minimum_confidence: float | None = None,
) -> dict[str, SliceNumbers]:
    """Evaluate every slice, given as a mask over item codes, and all items together under `WHOLE`.

    Slices may overlap and may be empty. With a *minimum_confidence*, every number is that of the predictions left. Raises
    ValueError when a mask has the wrong length or a slice takes the reserved name.
    """
    if WHOLE in slices:
        raise ValueError(f"a slice cannot be called {WHOLE!r}: that name stands for all items")
    counts = image_counts(matches.above(minimum_confidence), threshold, images=images)
    coco = None if coco is None else coco.above(minimum_confidence)
    everything = np.ones(images, dtype=np.bool_)
    result = {}
    for name, items in {WHOLE: everything, **slices}.items():
        if items.shape != (images,):
            raise ValueError(f"slice {name!r} has a mask of shape {items.shape} for {images} items")
        result[name] = _numbers(counts, items, coco)
    return result


def _numbers(counts: ImageCounts, items: BoolArray, coco: RankedCoco | None) -> SliceNumbers:
    total = counts.total(items.astype(np.float64))
    hits, named, true = (int(total[column]) for column in (TRUE_POSITIVES, PREDICTIONS, GROUND_TRUTHS))
    return SliceNumbers(
        items=int(items.sum()),
        ground_truths=true,
        predictions=named,
        true_positives=hits,
        false_positives=named - hits,
        false_negatives=true - hits,
        metrics=numbers_of(total) | ({} if coco is None else coco_numbers(coco, items)),
    )


def coco_numbers(coco: RankedCoco, items: BoolArray | None = None) -> dict[str, Metric]:
    """Return COCO's AP, AP50 and AP75 on the chosen items (those whose threshold was evaluated)."""
    rows = coco.rows(
        predictions=None if items is None else rows_of_items(items, coco.prediction_image),
        ground_truth=None if items is None else rows_of_items(items, coco.ground_truth.image),
    )
    table = precisions(rows)
    named = {"AP": table.mean()}
    for threshold in (0.5, 0.75):
        if threshold in rows.thresholds:
            named[f"AP{round(threshold * 100)}"] = table.mean(threshold=threshold)
    return named
