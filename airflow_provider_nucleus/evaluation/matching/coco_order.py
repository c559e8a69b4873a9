"""The order of COCO matching: pairs by (confidence rank, ignored last, overlap descending, position descending).

At each threshold the kernel of `greedy` takes the pairs that reach it. Size ranges only change which ground truths
are ignored, and with that the order of the few predictions that overlap several of different sizes: the order is shared
by all size ranges, and only the (image, label) groups of those predictions are matched again. The same holds for pairs
that are left out later, or come in where there were too many: only groups in which that changes anything are matched again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import group_starts
from airflow_provider_nucleus.evaluation.matching.greedy import resolve
from airflow_provider_nucleus.evaluation.matching.pairs import Edges, group_keys, label_span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray, IntArray
    from airflow_provider_nucleus.evaluation.sides.columns import Columns

    Bits = NDArray[np.uint16]

__all__ = ["CocoOrder", "PairOutcomes", "match_in_order", "outcomes", "pair_groups", "passing", "without"]


@dataclass(frozen=True, slots=True, eq=False)
class CocoOrder:
    """Pairs in the order of COCO's matching, and per pair one bit for each threshold at which it is matched.

    Pairs that were not offered to the matching are there too, taken at no threshold. *group* numbers the image and label of
    each pair, ascending: what is left out or turned round in one group changes nothing in any other.
    """

    edges: Edges
    group: IntArray
    taken: Bits
    thresholds: tuple[float, ...]


def passing(threshold: float) -> float:
    """Return the overlap that passes a threshold, as pycocotools compares it."""
    return min(threshold, 1 - 1e-10)


def match_in_order(
    edges: Edges,
    ground_truth: Columns,
    predictions: Columns,
    *,
    thresholds: tuple[float, ...],
    offered: BoolArray | None = None,
) -> CocoOrder:
    """Match all pairs in order; those of one prediction must lie together, in order of confidence within image and label.

    *offered* marks the predictions that take part (None: all of them); the pairs of the others are kept for later.
    """
    order = _Choices(edges).order(~ground_truth.counted)
    ordered = edges if order is None else edges.take(order)
    offered_pairs = np.arange(len(edges), dtype=np.int64)
    if offered is not None:
        offered_pairs = np.flatnonzero(offered[ordered.prediction])
    taken = _take_in_order(ordered, offered_pairs, ground_truth, thresholds=thresholds)
    return CocoOrder(ordered, pair_groups(ordered, predictions), taken, thresholds)


def pair_groups(edges: Edges, predictions: Columns) -> IntArray:
    """Return the *group* of a `CocoOrder`."""
    keys = group_keys(predictions, edges.prediction, span=label_span(predictions))
    return _numbered(keys)


def without(
    coco_order: CocoOrder,
    dropped: BoolArray,
    ground_truth: Columns,
    *,
    entering: BoolArray | None = None,
) -> CocoOrder:
    """Return the order of the pairs that are not *dropped* (one flag per pair of *coco_order*).

    *entering* marks those of them that *coco_order* was not offered.
    """
    changed = dropped & (coco_order.taken != 0)
    if entering is not None:
        changed |= entering
    taken = coco_order.taken
    if changed.any():
        again = _groups_with(coco_order.group, np.flatnonzero(changed))
        redo = np.flatnonzero(again & ~dropped)
        anew = _take_in_order(coco_order.edges, redo, ground_truth, thresholds=coco_order.thresholds)
        taken = np.where(again, anew, taken)
    kept = np.flatnonzero(~dropped)
    return CocoOrder(coco_order.edges.take(kept), coco_order.group[kept], taken[kept], coco_order.thresholds)


@dataclass(frozen=True, slots=True, eq=False)
class PairOutcomes:
    """Outcomes of the predictions that have pairs; all others matched nothing.

    *prediction* is the row of each; *hit* and *ignored* hold one bit per threshold, [prediction, flag column].
    """

    prediction: NDArray[np.integer]
    hit: Bits
    ignored: Bits


def outcomes(coco_order: CocoOrder, ground_truth: Columns, *, flags: list[BoolArray]) -> PairOutcomes:
    """Return the thresholds with a hit and those with a match to ignored ground truth.

    Each of *flags* marks the ground truths that are ignored; those that are not counted are in every one of them.
    """
    edges = coco_order.edges
    choices = _Choices(edges)
    hit = np.zeros((choices.starts.size, len(flags)), dtype=np.uint16, order="F")
    ignored = np.zeros_like(hit)
    if choices.starts.size:
        for column, flag in enumerate(flags):
            taken = coco_order.taken
            order = choices.order(flag)
            if order is not None:
                again = _groups_with(coco_order.group, choices.moved(order))
                # Pairs of a prediction only move among themselves, so the marked ones stay together.
                anew = _take_in_order(edges, order[again], ground_truth, thresholds=coco_order.thresholds)
                taken = np.where(again, anew, taken)
            lost = np.multiply(taken, flag[edges.ground_truth], dtype=np.uint16)
            # A bit is in one of the two: where both ends of a pair are.
            hit[:, column] = choices.united(taken ^ lost)
            ignored[:, column] = choices.united(lost)
    return PairOutcomes(edges.prediction[choices.starts], hit, ignored)


def _take_in_order(
    edges: Edges, order: IndexArray, ground_truth: Columns, *, thresholds: tuple[float, ...]
) -> Bits:
    """Match the pairs at *order*, in that order, at every threshold; one entry per pair of *edges*."""
    taken = np.zeros(len(edges), dtype=np.uint16)
    reusable = ground_truth.crowd if ground_truth.crowd.any() else None
    left, truth, overlap = order, edges.ground_truth[order], edges.overlap[order]
    # The pairs of a prediction lie together: small numbers instead of rows keep the kernel's tables in the cache.
    number = _numbered(edges.prediction[order])
    predictions = int(number[-1]) + 1 if number.size else 0
    for bit, threshold in enumerate(thresholds):
        # Thresholds ascend: what does not reach one reaches none of the next.
        reaching = np.flatnonzero(overlap >= passing(threshold))
        left, truth, overlap, number = left[reaching], truth[reaching], overlap[reaching], number[reaching]
        found = resolve(
            truth, number, ground_truths=len(ground_truth), predictions=predictions, reusable=reusable
        )
        taken[left[found]] |= np.uint16(1 << bit)
    return taken


class _Choices:
    """The pairs of predictions that have several: only their order depends on what is ignored."""

    def __init__(self, edges: Edges) -> None:
        self._count = len(edges)
        same = edges.prediction[1:] == edges.prediction[:-1]
        several = np.zeros(self._count, dtype=np.bool_)
        several[1:] |= same
        several[:-1] |= same
        self._place = np.flatnonzero(several)
        self._run = _numbered(edges.prediction[self._place])
        self.starts = group_starts(edges.prediction)
        """Where the pairs of each prediction begin."""
        self._begins = group_starts(self._run)
        self._several = np.searchsorted(self.starts, self._place[self._begins])
        self._truth = edges.ground_truth[self._place]
        self._overlap = edges.overlap[self._place]

    def order(self, ignored: BoolArray) -> IndexArray | None:
        """Return the order of matching: of each prediction ignored ground truth last, best overlap first, the later one on ties.

        None means that the pairs lie in it already.
        """
        moved = self._place[np.lexsort((-self._truth, -self._overlap, ignored[self._truth], self._run))]
        if np.array_equal(moved, self._place):
            return None
        order = np.arange(self._count, dtype=np.int64)
        order[self._place] = moved
        return order

    def united(self, bits: Bits) -> Bits:
        """Return the bits of all pairs of each prediction."""
        result = bits[self.starts]
        if self._place.size:
            result[self._several] = np.bitwise_or.reduceat(bits[self._place], self._begins)
        return result

    def moved(self, order: IndexArray) -> IndexArray:
        """Return where *order*, one of `order`, differs from the order in which the pairs lie."""
        changed: IndexArray = self._place[order[self._place] != self._place]
        return changed


def _groups_with(group: IntArray, at: IndexArray) -> BoolArray:
    """Mark all pairs of every group that has one of the pairs *at*."""
    touched = np.zeros(int(group[-1]) + 1 if group.size else 0, dtype=np.bool_)
    touched[group[at]] = True
    spread: BoolArray = touched[group]
    return spread


def _numbered(keys: NDArray[np.integer]) -> IntArray:
    """Give every run of equal keys a number, from 0."""
    number = np.zeros(keys.size, dtype=np.int32)
    np.cumsum(keys[1:] != keys[:-1], out=number[1:])
    return number
