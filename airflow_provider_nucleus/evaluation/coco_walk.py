"""The walk of COCO matching: pairs in the order (confidence rank, ignored last, overlap descending, position descending).

At each threshold the kernel of :mod:`.greedy` walks the pairs that reach it. Size ranges only change which ground truths
are ignored, and with that the order of the few predictions that overlap several of different sizes: the walk is shared
by all size ranges, and only the (image, label) groups of those predictions are walked again. The same holds for pairs
that are left out later, or come in where there were too many: only groups in which that changes anything are walked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import group_sizes, group_starts
from airflow_provider_nucleus.evaluation.greedy import resolve
from airflow_provider_nucleus.evaluation.pairs import Edges, group_keys, label_span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray
    from airflow_provider_nucleus.evaluation.columns import Columns

    Bits = NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class CocoWalk:
    """Pairs in walking order, and per pair one bit for each threshold at which the walk takes it.

    Pairs that were not offered to the walk are there too, taken at no threshold.
    """

    edges: Edges
    taken: Bits
    thresholds: tuple[float, ...]


def passing(threshold: float) -> float:
    """Return the overlap that passes a threshold, as pycocotools compares it."""
    return min(threshold, 1 - 1e-10)


def walk_edges(
    edges: Edges,
    ground_truth: Columns,
    predictions: Columns,
    *,
    thresholds: tuple[float, ...],
    offered: BoolArray | None = None,
) -> CocoWalk:
    """Walk all pairs; those of one prediction must lie together, in order of confidence within image and label.

    *offered* marks the predictions that take part (None: all of them); the pairs of the others are kept for later.
    """
    order = _Choices(edges).order(~ground_truth.counted)
    ordered = edges if order is None else edges.take(order)
    walked = np.arange(len(edges), dtype=np.int64)
    if offered is not None:
        walked = np.flatnonzero(offered[ordered.prediction])
    taken = _walk(ordered, walked, ground_truth, predictions, thresholds=thresholds)
    return CocoWalk(ordered, taken, thresholds)


def without(
    walk: CocoWalk,
    dropped: BoolArray,
    ground_truth: Columns,
    predictions: Columns,
    *,
    entering: BoolArray | None = None,
) -> CocoWalk:
    """Return the walk of the pairs that are not *dropped* (one flag per pair of *walk*).

    *entering* marks those of them that *walk* was not offered.
    """
    changed = dropped & (walk.taken != 0)
    if entering is not None:
        changed |= entering
    taken = walk.taken
    if changed.any():
        again = _groups_of(walk.edges, predictions, changed)
        redo = np.flatnonzero(again & ~dropped)
        anew = _walk(walk.edges, redo, ground_truth, predictions, thresholds=walk.thresholds)
        taken = np.where(again, anew, taken)
    kept = np.flatnonzero(~dropped)
    return CocoWalk(walk.edges.take(kept), taken[kept], walk.thresholds)


def outcomes(
    walk: CocoWalk, ground_truth: Columns, predictions: Columns, *, flags: list[BoolArray]
) -> tuple[Bits, Bits]:
    """Return per [prediction, flag column] the thresholds with a hit and those with a match to ignored ground truth.

    Each of *flags* marks the ground truths that are ignored; those that are not counted are in every one of them.
    """
    edges = walk.edges
    hit = np.zeros((len(predictions), len(flags)), dtype=np.uint16, order="F")
    ignored = np.zeros_like(hit)
    starts = group_starts(edges.prediction)
    if starts.size == 0:
        return hit, ignored
    rows = edges.prediction[starts]
    choices = _Choices(edges)
    for column, flag in enumerate(flags):
        taken = walk.taken
        order = choices.order(flag)
        if order is not None:
            again = _groups_of(edges, predictions, order != np.arange(order.size))
            # Pairs of a prediction only move among themselves, so the marked ones stay together.
            anew = _walk(edges, order[again], ground_truth, predictions, thresholds=walk.thresholds)
            taken = np.where(again, anew, taken)
        lost = flag[edges.ground_truth]
        hit[rows, column] = np.bitwise_or.reduceat(np.where(lost, np.uint16(0), taken), starts)
        ignored[rows, column] = np.bitwise_or.reduceat(np.where(lost, taken, np.uint16(0)), starts)
    return hit, ignored


def _walk(
    edges: Edges,
    order: IndexArray,
    ground_truth: Columns,
    predictions: Columns,
    *,
    thresholds: tuple[float, ...],
) -> Bits:
    """Walk the pairs at *order*, in that order, at every threshold; one entry per pair of *edges*."""
    taken = np.zeros(len(edges), dtype=np.uint16)
    reusable = ground_truth.crowd if ground_truth.crowd.any() else None
    left = order
    for bit, threshold in enumerate(thresholds):
        # Thresholds ascend: what does not reach one reaches none of the next.
        left = left[edges.overlap[left] >= passing(threshold)]
        found = resolve(
            edges.ground_truth[left],
            edges.prediction[left],
            ground_truths=len(ground_truth),
            predictions=len(predictions),
            reusable=reusable,
        )
        taken[left[found]] |= np.uint16(1 << bit)
    return taken


class _Choices:
    """The pairs of predictions that have several: only their order depends on what is ignored."""

    def __init__(self, edges: Edges) -> None:
        starts = group_starts(edges.prediction)
        sizes = group_sizes(starts, edges.prediction.size)
        self._count = len(edges)
        self._place = np.flatnonzero(np.repeat(sizes > 1, sizes))
        self._run = edges.prediction[self._place]
        self._run = (
            np.cumsum(np.append([0], self._run[1:] != self._run[:-1])) if self._place.size else self._run
        )
        self._truth = edges.ground_truth[self._place]
        self._overlap = edges.overlap[self._place]

    def order(self, ignored: BoolArray) -> IndexArray | None:
        """Return the walking order: of each prediction ignored ground truth last, best overlap first, the later one on ties.

        None means that the pairs lie in it already.
        """
        moved = self._place[np.lexsort((-self._truth, -self._overlap, ignored[self._truth], self._run))]
        if np.array_equal(moved, self._place):
            return None
        order = np.arange(self._count, dtype=np.int64)
        order[self._place] = moved
        return order


def _groups_of(edges: Edges, predictions: Columns, marked: BoolArray) -> BoolArray:
    """Mark all pairs of every (image, label) that has a marked one."""
    keys = group_keys(predictions, edges.prediction, span=label_span(predictions))
    starts = group_starts(keys)
    touched = np.logical_or.reduceat(marked, starts)
    spread: BoolArray = np.repeat(touched, group_sizes(starts, keys.size))
    return spread
