"""What each prediction adds when predictions come in by confidence, most confident first.

A number above a confidence is that of the match of the predictions above it, so a curve over confidence reads as many
matches as there are confidences. They need not be made one by one. Under a strict order of all pairs, which prefers
higher overlap at both ends, a new prediction takes the ground truth it overlaps most among those it suits better than
their present prediction; that one looks for another, and so on. A ground truth only ever changes to a larger overlap,
hence at an overlap threshold

- a ground truth that is found stays found as more predictions come in, and
- a new prediction leads to one more ground truth found, or to none.

So one bit per prediction and threshold, "one more is found", says what every match above a confidence finds: those are
the gains. Most ground truths are within reach of predictions that reach no other one, of which the most confident gains.
The others are filled in turn, all groups (image, or image and label) at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE, group_sizes, group_starts, stable_order
from airflow_provider_nucleus.evaluation.pairs import group_keys, label_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.columns import Columns
    from airflow_provider_nucleus.evaluation.pairs import Edges

__all__ = ["Gains", "gains"]

_FEW = 48
"""Groups that are filled at the same time; fewer are filled one after the other, which is then quicker."""


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """Per gain: the prediction that came in, the ground truth that is found from then on, and a bit per threshold.

    A prediction may lead to different ground truths at different thresholds, and then has several entries.
    """

    prediction: NDArray[np.integer]
    ground_truth: NDArray[np.integer]
    bits: NDArray[np.uint16]

    def __len__(self) -> int:
        return int(self.prediction.size)


def gains(
    edges: Edges,
    ground_truth: Columns,
    predictions: Columns,
    *,
    thresholds: Sequence[float],
    place: NDArray[np.integer],
    across_labels: bool,
) -> Gains:
    """Return the gains of predictions that come in by *place*, at ascending overlap *thresholds*.

    *edges* are the pairs that may match and then count as found, those of one ground truth lying together and in the order
    of their rows; pairs below the lowest threshold change nothing. *place* numbers the predictions of an image (and label) by
    confidence, most confident first and no two alike; unless labels match *across_labels*, those of other labels do not
    matter to it.
    """
    reaching = np.flatnonzero(edges.overlap >= thresholds[0])
    truth, prediction = edges.ground_truth[reaching], edges.prediction[reaching]
    overlap = edges.overlap[reaching]
    level = np.searchsorted(np.asarray(thresholds), overlap, side="right")
    contested = _contested(truth, prediction, truths=len(ground_truth), predictions=len(predictions))
    alone = _first_to_reach(
        truth, prediction, place[prediction], level, levels=len(thresholds), contested=contested
    )
    if contested is None:
        return alone
    inside = np.flatnonzero(contested[truth])
    truth, prediction = truth[inside], prediction[inside]
    # The best pair of each prediction first: by overlap, then by the ordinal of the ground truth.
    order = np.lexsort((ground_truth.ordinal[truth], -overlap[inside], place[prediction]))
    span = 0 if across_labels else label_span(predictions)
    queue = _Queue(
        truth[order],
        prediction[order],
        overlap[inside][order],
        _bits(level[inside][order]),
        group=group_keys(predictions, prediction[order], span=span),
    )
    return _together([alone, *queue.fill()])


def _contested(
    truth: NDArray[np.integer], prediction: NDArray[np.integer], *, truths: int, predictions: int
) -> BoolArray | None:
    """Mark the ground truths within reach of a prediction that reaches others too; None if there is none."""
    several = np.flatnonzero(np.bincount(prediction, minlength=predictions)[prediction] > 1)
    if not several.size:
        return None
    contested = np.zeros(truths, dtype=np.bool_)
    contested[truth[several]] = True
    return contested


def _first_to_reach(
    truth: NDArray[np.integer],
    prediction: NDArray[np.integer],
    order: NDArray[np.integer],
    level: IndexArray,
    *,
    levels: int,
    contested: BoolArray | None,
) -> Gains:
    """Let, at each threshold, the most confident of the predictions that reach a ground truth gain it."""
    if contested is not None:
        rows = np.flatnonzero(~contested[truth])
        truth, prediction, order, level = truth[rows], prediction[rows], order[rows], level[rows]
    starts = group_starts(truth)
    if levels == 1:
        if not starts.size:
            return Gains(starts, starts, np.zeros(0, dtype=np.uint16))
        first = np.repeat(np.minimum.reduceat(order, starts), group_sizes(starts, truth.size))
        rows = np.flatnonzero(order == first)
        return Gains(prediction[rows], truth[rows], np.ones(rows.size, dtype=np.uint16))
    # By (ground truth, confidence); the highest level so far, of the same ground truth, is what is there already.
    rank = np.repeat(np.arange(starts.size), group_sizes(starts, truth.size))
    rows = stable_order(rank * (int(order.max(initial=0)) + 1) + order)
    rank, level = rank[rows], level[rows]
    height = np.maximum.accumulate(rank * (levels + 1) + level)
    before = np.zeros(rows.size, dtype=np.int64)
    np.maximum(height[:-1] - rank[1:] * (levels + 1), 0, out=before[1:])
    rising = np.flatnonzero(level > before)
    rows = rows[rising]
    bits = _bits(level[rising]) & ~_bits(before[rising])
    return Gains(prediction[rows], truth[rows], bits)


def _bits(level: IndexArray) -> NDArray[np.uint16]:
    """Return a bit for each of the lowest *level* thresholds."""
    return ((1 << level) - 1).astype(np.uint16)


def _together(parts: Sequence[Gains]) -> Gains:
    return Gains(
        np.concatenate([part.prediction for part in parts]),
        np.concatenate([part.ground_truth for part in parts]),
        np.concatenate([part.bits for part in parts]),
    )


class _Queue:
    """Predictions of which some reach several ground truths, let in one by one in each group.

    Pairs come by prediction, most confident first, and the best of each prediction first. A turn lets in one prediction of
    each *group*: no ground truth is within reach of two groups.
    """

    def __init__(
        self,
        truth: NDArray[np.integer],
        prediction: NDArray[np.integer],
        overlap: FloatArray,
        bits: NDArray[np.uint16],
        *,
        group: IndexArray,
    ) -> None:
        self.overlap, self.bits = overlap, bits
        starts = group_starts(prediction)
        self.begin: IndexArray = starts
        self.end: IndexArray = np.append(starts[1:], prediction.size)
        self.prediction = prediction[starts]
        """The prediction of each waiting one, most confident first: their numbers are their order of confidence."""
        self.owner: IndexArray = np.repeat(np.arange(starts.size), self.end - self.begin)
        self.known, self.slot = np.unique(truth, return_inverse=True)
        self.holder: IndexArray = np.full(self.known.size, NONE, dtype=np.int64)
        """Per ground truth the pair that holds it, -1 for none."""
        self.turns = list(self._turns(group[starts]))

    @staticmethod
    def _turns(group: IndexArray) -> Iterator[IndexArray]:
        """Yield who is first in the queue of each group, then who is second, and so on."""
        order = np.argsort(group, kind="stable")
        starts = group_starts(group[order])
        sizes = group_sizes(starts, order.size)
        turn = np.arange(order.size) - np.repeat(starts, sizes)
        by_turn = order[np.argsort(turn, kind="stable")]
        ends = np.cumsum(np.bincount(turn, minlength=1)).tolist()
        for begin, end in zip([0, *ends], ends, strict=False):
            yield by_turn[begin:end]

    def fill(self) -> list[Gains]:
        """Let everybody in and return what was gained."""
        found: list[Gains] = []
        # Every turn is as large as the next one, or larger.
        many = sum(turn.size >= _FEW for turn in self.turns)
        for turn in self.turns[:many]:
            found += self._let_in(turn)
        if len(self.turns) > many:
            found.append(self._let_in_singly(np.concatenate(self.turns[many:])))
        return found

    def _let_in(self, waiting: IndexArray) -> Iterator[Gains]:
        """Let one of each group in; whoever loses a ground truth to it looks for the next best."""
        cause, pair, end = waiting, self.begin[waiting], self.end[waiting]
        while pair.size:
            slot = self.slot[pair]
            held = self.holder[slot]
            better = self._better(pair, held)
            won = np.flatnonzero(better)
            losers = held[won]
            before = np.where(losers == NONE, np.uint16(0), self.bits[losers])
            gained = self.bits[pair[won]] & ~before
            rising = np.flatnonzero(gained)
            yield Gains(self.prediction[cause[won[rising]]], self.known[slot[won[rising]]], gained[rising])
            self.holder[slot[won]] = pair[won]
            # Who was refused goes on with the next pair, who was displaced with the one behind the pair it held.
            onward = np.where(better, held, pair) + 1
            end = np.where(better & (held != NONE), self.end[self.owner[held]], end)
            left = np.flatnonzero(~(better & (held == NONE)) & (onward < end))
            cause, pair, end = cause[left], onward[left], end[left]

    def _better(self, pair: IndexArray, held: IndexArray) -> BoolArray:
        """Tell where a pair comes before the one that holds its ground truth: by overlap, then by confidence."""
        ours, theirs = self.overlap[pair], self.overlap[held]
        better: BoolArray = (held == NONE) | (ours > theirs)
        better |= (ours == theirs) & (self.owner[pair] < self.owner[held])
        return better

    def _let_in_singly(self, waiting: IndexArray) -> Gains:
        holder, slots, overlap = self.holder.tolist(), self.slot.tolist(), self.overlap.tolist()
        owner, bits, begin, ends = (
            column.tolist() for column in (self.owner, self.bits, self.begin, self.end)
        )
        found: list[tuple[int, int, int]] = []
        for cause in waiting.tolist():
            pair, end = begin[cause], ends[cause]
            while pair < end:
                slot = slots[pair]
                held = holder[slot]
                if held != NONE and (overlap[held], -owner[held]) > (overlap[pair], -owner[pair]):
                    pair += 1
                    continue
                gained = bits[pair] & ~(0 if held == NONE else bits[held])
                if gained:
                    found.append((cause, slot, gained))
                holder[slot] = pair
                if held == NONE:
                    break
                pair, end = held + 1, ends[owner[held]]
        columns: IndexArray = np.array(found, dtype=np.int64).reshape(-1, 3).T
        return Gains(self.prediction[columns[0]], self.known[columns[1]], columns[2].astype(np.uint16))
