"""Confusion matrix of a Nucleus match, with a background row and column.

A cell counts pairs that overlap by the threshold or more: matched ones, and the leftovers that the match paired for
display (a prediction of another label on a ground truth nobody found). What has no partner stands against the
background: a prediction in the background row, a ground truth in the background column. So every row adds up to the
ground truths of its label and every column to the predictions of its label. Displayed pairs are never true positives:
those are the pairs whose labels are equal or listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE, frozen
from airflow_provider_nucleus.evaluation.counts import true_positives

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray
    from airflow_provider_nucleus.evaluation.matching import Matches

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
) -> Confusion:
    """Count pairs at an overlap threshold in [0, 1], over the rows chosen by the masks; *labels* is the code count.

    A pair with one end masked out leaves the other end against the background, except that a true positive whose
    ground truth is masked out is not counted at all (it is no error).
    """
    truths, found = matches.ground_truth, matches.predictions
    hits = true_positives(matches, threshold)
    wanted = truths.counted if ground_truth is None else truths.counted & ground_truth
    partner = np.where(matches.overlap >= threshold, matches.match, np.int32(NONE))
    unmatched = matches.match == NONE
    partner = np.where(unmatched & (matches.shown_overlap >= threshold), matches.shown, partner)
    # The last entry of each table answers for -1.
    known = np.append(wanted, np.False_)[partner]
    kept = found.counted & ~(hits & ~known)
    if predictions is not None:
        kept &= predictions
    missed = wanted.copy()
    missed[partner[kept & known]] = False

    span = labels + 1
    label_of: IndexArray = np.concatenate((truths.label, [labels])).astype(np.int64)
    truth_label = label_of[np.where(known, partner, np.int32(NONE))]
    pairs: IndexArray = truth_label * span + found.label
    keys = np.concatenate((pairs[kept], truths.label[missed].astype(np.int64) * span + labels))
    cells, counts = _count(keys, span * span)
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
