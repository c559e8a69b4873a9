"""The one greedy kernel: edges in a given order, of which each is taken whose two ends are still free.

The order is the caller's business (Nucleus: highest overlap first; COCO: most confident prediction first). The
work is done in rounds over all images at once: an edge that is the first one left for its prediction and
the first one left for its ground truth would be taken one by one whatever happens elsewhere, so all
such edges are taken together, the edges they block are dropped, and the rest goes into the next round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray

__all__ = ["MAX_ROUNDS", "resolve"]

MAX_ROUNDS = 24
"""Real data needs four to eight rounds; a long chain of ever smaller overlaps needs one each, so the rest is taken one by one."""


def resolve(
    ground_truth: NDArray[np.integer],
    prediction: NDArray[np.integer],
    *,
    ground_truths: int,
    predictions: int,
    reusable: BoolArray | None = None,
) -> IndexArray:
    """Return the positions of the edges taken by the greedy kernel, ascending.

    *ground_truth* and *prediction* name the two ends of each edge (row numbers below *ground_truths* and
    *predictions*), in the order of taking. A ground truth marked *reusable* (a crowd) is never used up.
    """
    taken = np.zeros(prediction.size, dtype=np.bool_)
    first_of_truth = np.empty(ground_truths, dtype=np.int64)
    first_of_prediction = np.empty(predictions, dtype=np.int64)
    truth_used = np.zeros(ground_truths, dtype=np.bool_)
    prediction_used = np.zeros(predictions, dtype=np.bool_)
    left = np.arange(prediction.size, dtype=np.int64)
    truth, predicted = ground_truth, prediction
    for _ in range(MAX_ROUNDS):
        if left.size == 0:
            break
        place = np.arange(left.size, dtype=np.int64)
        # Written backwards, the last write to a slot is the first edge of that row.
        first_of_prediction[predicted[::-1]] = place[::-1]
        first_of_truth[truth[::-1]] = place[::-1]
        free = first_of_truth[truth] == place
        if reusable is not None:
            free |= reusable[truth]
        free &= first_of_prediction[predicted] == place
        accepted = np.flatnonzero(free)
        taken[left[accepted]] = True
        prediction_used[predicted[accepted]] = True
        used_up = truth[accepted]
        if reusable is not None:
            used_up = used_up[~reusable[used_up]]
        truth_used[used_up] = True
        keep = np.flatnonzero(~(prediction_used[predicted] | truth_used[truth]))
        left, truth, predicted = left[keep], truth[keep], predicted[keep]
    if left.size:
        taken[_take_in_order(left, truth, predicted, reusable=reusable)] = True
    return np.flatnonzero(taken)


def _take_in_order(
    left: IndexArray,
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    *,
    reusable: BoolArray | None,
) -> IndexArray:
    """Take one by one what the rounds left, all of whose ends are free."""
    truth_used: set[int] = set()
    prediction_used: set[int] = set()
    taken: list[int] = []
    for position, truth_row, prediction_row in zip(left.tolist(), truth.tolist(), predicted.tolist()):
        if prediction_row in prediction_used or truth_row in truth_used:
            continue
        taken.append(position)
        prediction_used.add(prediction_row)
        if reusable is None or not reusable[truth_row]:
            truth_used.add(truth_row)
    return np.array(taken, dtype=np.int64)
