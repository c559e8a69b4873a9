"""Confusion matrix of a Nucleus match, with a background row and column.

A cell counts pairs that overlap by the threshold or more: matched ones, and the leftovers that the match paired for
display (a prediction of another label on a ground truth that was not found). What has no partner stands against the
background: a prediction in the background row, a ground truth in the background column. So every row adds up to the
ground truths of its label and every column to the predictions of its label. Displayed pairs are never true positives:
those are the pairs whose labels are equal or listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE, frozen
from airflow_provider_nucleus.evaluation.matching.counts import true_positives

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches

__all__ = ["BACKGROUND", "Confusion", "confusion"]

BACKGROUND = -1
"""The label of the missing side of a pair."""

_DENSE_CELLS = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """The cells that are not empty, by (truth, prediction) label code; the background comes last."""

    threshold: float
    labels: int
    truth: IndexArray
    predicted: IndexArray
    count: IndexArray

    def dense(self) -> IndexArray:
        """Return [truth, prediction] with the background as last row and column."""
        matrix = np.zeros((self.labels + 1, self.labels + 1), dtype=np.int64)
        matrix[self.truth, self.predicted] = self.count  # -1 is the last one
        return matrix


def confusion(
    matches: Matches,
    threshold: float,
    *,
    labels: int,
    predictions: BoolArray | None = None,
    ground_truth: BoolArray | None = None,
    hits: BoolArray | None = None,
) -> Confusion:
    """Count pairs at an overlap threshold in [0, 1], over the rows chosen by the masks; *labels* is the code count.

    A pair with one end masked out leaves the other end against the background, except that a true positive whose
    ground truth is masked out is not counted at all (it is no error). *hits* are the true positives, where computed already.
    """
    truths, found = matches.ground_truth, matches.predictions
    hits = true_positives(matches, threshold) if hits is None else hits
    wanted = truths.counted if ground_truth is None else truths.counted & ground_truth
    # Few predictions overlap anything by the threshold: all work on pairs is done on their rows alone.
    matched = np.flatnonzero(matches.overlap >= threshold)
    matched = matched[matches.match[matched] != NONE]
    beside = np.flatnonzero(matches.displayed_overlap >= threshold)
    beside = beside[(matches.match[beside] == NONE) & (matches.displayed[beside] != NONE)]
    rows = np.concatenate((matched, beside))
    partner = np.concatenate((matches.match[matched], matches.displayed[beside]))
    counted_truth = wanted[partner]
    kept = found.counted if predictions is None else found.counted & predictions
    counted = kept[rows]
    missed = wanted.copy()
    missed[partner[counted & counted_truth]] = False

    span = labels + 1
    paired = counted & counted_truth
    pairs = truths.label[partner[paired]].astype(np.int64) * span + found.label[rows[paired]]
    # A hit on what is not wanted is left out; whatever else is kept and has no partner stands against the background.
    elsewhere = rows[counted & (counted_truth | hits[rows])]
    alone = np.bincount(np.compress(kept, found.label), minlength=labels)
    alone -= np.bincount(found.label[elsewhere], minlength=labels)
    keys = np.concatenate((pairs, truths.label[missed].astype(np.int64) * span + labels))
    cells, counts = _count(keys, span * span)
    background = np.flatnonzero(alone)
    cells = np.concatenate((cells, labels * span + background))
    counts = np.concatenate((counts, alone[background]))
    truth, predicted = cells // span, cells % span
    return Confusion(
        threshold=threshold,
        labels=labels,
        truth=frozen(np.where(truth == labels, BACKGROUND, truth)),
        predicted=frozen(np.where(predicted == labels, BACKGROUND, predicted)),
        count=frozen(counts),
    )


def _count(keys: IndexArray, cells: int) -> tuple[IndexArray, IndexArray]:
    """Count equal keys: by a table of all cells while that is small, else by sorting."""
    if cells <= _DENSE_CELLS:
        table = np.bincount(keys, minlength=cells)
        present = np.flatnonzero(table)
        return present, table[present].astype(np.int64)
    present, counts = np.unique(keys, return_counts=True)
    return present, counts.astype(np.int64)
