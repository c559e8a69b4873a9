"""Gains of each prediction when predictions come in by confidence, most confident first.

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
from airflow_provider_nucleus.evaluation.matching.pairs import group_keys, label_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.matching.pairs import Edges
    from airflow_provider_nucleus.evaluation.sides.columns import Columns

__all__ = ["CurvePairs", "Gains", "Pairs", "curve_pairs", "gains"]

_FEW = 48
"""Groups that are filled at the same time; fewer are filled one after the other, which is then quicker."""


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """Per gain: the place of the prediction that came in, the ground truth that is found from then on, a bit per threshold.

    A prediction may lead to different ground truths at different thresholds, and then has several entries.
    """

    place: NDArray[np.integer]
    ground_truth: NDArray[np.integer]
    bits: NDArray[np.uint16]

    def __len__(self) -> int:
        return int(self.place.size)

    def moved(self, order: IndexArray) -> Gains:
        """Return the same gains after predictions were put into another order, given as places in this one."""
        place = np.empty(order.size, dtype=np.int64)
        place[order] = np.arange(order.size)
        return Gains(place[self.place], self.ground_truth, self.bits)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of a ground truth and a prediction, which is given by its row and by its place in the order of confidence."""

    ground_truth: NDArray[np.integer]
    row: NDArray[np.integer]
    place: NDArray[np.integer]
    overlap: FloatArray

    def take(self, positions: IndexArray) -> Pairs:
        """Choose pairs by position."""
        return Pairs(
            self.ground_truth[positions], self.row[positions], self.place[positions], self.overlap[positions]
        )

    def reaching(self, threshold: float, predictions: BoolArray | None) -> IndexArray:
        """Return the positions of the pairs that reach a threshold, of the predictions marked (None: all)."""
        reaching: BoolArray = self.overlap >= threshold
        if predictions is not None:
            reaching &= predictions[self.row]
        return np.flatnonzero(reaching)


@dataclass(frozen=True, slots=True, eq=False)
class CurvePairs:
    """The pairs from an overlap *least* on that may match and then count as found, made ready for any choice of them.

    *alone* has those of ground truth whose predictions reach nothing else, by (ground truth, place); *contested* the
    others, by place and the best of a prediction first, and *group* which of those can be in each other's way.
    """

    least: float
    alone: Pairs
    contested: Pairs
    group: IndexArray


def curve_pairs(
    edges: Edges,
    ground_truth: Columns,
    predictions: Columns,
    *,
    ranked: NDArray[np.integer],
    least: float,
    across_labels: bool,
) -> CurvePairs:
    """Prepare the pairs of the predictions whose rows are *ranked*, most confident first.

    Unless labels match *across_labels*, the order has to be right within each label only.
    """
    place = np.full(len(predictions), NONE, dtype=np.int32)
    place[ranked] = np.arange(ranked.size, dtype=np.int32)
    rows = np.flatnonzero((edges.overlap >= least) & (place[edges.prediction] != NONE))
    pairs = Pairs(
        edges.ground_truth[rows], edges.prediction[rows], place[edges.prediction[rows]], edges.overlap[rows]
    )
    several = np.bincount(pairs.place, minlength=ranked.size)[pairs.place] > 1
    shared = np.zeros(len(ground_truth), dtype=np.bool_)
    shared[pairs.ground_truth[several]] = True
    inside = shared[pairs.ground_truth]
    alone = pairs.take(np.flatnonzero(~inside))
    by_place = stable_order(alone.place)
    contested = pairs.take(np.flatnonzero(inside))
    # Best first: by overlap, then by the ordinal of the ground truth, then by its row.
    best = np.lexsort((
        contested.ground_truth, ground_truth.ordinal[contested.ground_truth], -contested.overlap, contested.place,
    ))  # fmt: skip
    contested = contested.take(best)
    return CurvePairs(
        least=least,
        alone=alone.take(by_place[stable_order(alone.ground_truth[by_place])]),
        contested=contested,
        group=group_keys(predictions, contested.row, span=0 if across_labels else label_span(predictions)),
    )


def gains(pairs: CurvePairs, *, thresholds: Sequence[float], predictions: BoolArray | None = None) -> Gains:
    """Return the gains at ascending overlap *thresholds* of the predictions marked (None: all), coming in by place.

    Raises ValueError for a threshold below what the pairs were made for.
    """
    if thresholds[0] < pairs.least:
        raise ValueError(
            f"these pairs overlap by {pairs.least} or more, which does not do for {thresholds[0]}"
        )
    rows = pairs.alone.reaching(thresholds[0], predictions)
    if len(thresholds) == 1:
        # The first pair of each ground truth is that of its most confident prediction.
        first = rows[group_starts(pairs.alone.ground_truth[rows])]
        found = [
            Gains(
                pairs.alone.place[first],
                pairs.alone.ground_truth[first],
                np.ones(first.size, dtype=np.uint16),
            )
        ]
    else:
        found = [_rising(pairs.alone.take(rows), thresholds)]
    rows = pairs.contested.reaching(thresholds[0], predictions)
    if rows.size:
        found += _Queue(pairs.contested.take(rows), thresholds, group=pairs.group[rows]).fill()
    return Gains(
        np.concatenate([part.place for part in found]),
        np.concatenate([part.ground_truth for part in found]),
        np.concatenate([part.bits for part in found]),
    )


def _rising(pairs: Pairs, thresholds: Sequence[float]) -> Gains:
    """Let, at each threshold, the most confident of the predictions that reach a ground truth gain it."""
    starts = group_starts(pairs.ground_truth)
    level = _level(pairs.overlap, thresholds)
    rank = np.repeat(np.arange(starts.size), group_sizes(starts, level.size))
    # The highest level so far, of the same ground truth, is what is there already.
    span = len(thresholds) + 1
    height = np.maximum.accumulate(rank * span + level)
    before = np.zeros(level.size, dtype=np.int64)
    np.maximum(height[:-1] - rank[1:] * span, 0, out=before[1:])
    rows = np.flatnonzero(level > before)
    return Gains(pairs.place[rows], pairs.ground_truth[rows], _bits(level[rows]) & ~_bits(before[rows]))


def _level(overlap: FloatArray, thresholds: Sequence[float]) -> IndexArray:
    """Return how many of the thresholds an overlap reaches."""
    return np.searchsorted(np.asarray(thresholds), overlap, side="right")


def _bits(level: IndexArray) -> NDArray[np.uint16]:
    """Return a bit for each of the lowest *level* thresholds."""
    return ((1 << level) - 1).astype(np.uint16)


class _Queue:
    """Predictions of which some reach several ground truths, admitted one by one in each group.

    Pairs come by prediction, most confident first, and the best of each prediction first. A turn admits one prediction of
    each *group*: no ground truth is within reach of two groups.
    """

    def __init__(self, pairs: Pairs, thresholds: Sequence[float], *, group: IndexArray) -> None:
        self.overlap, self.bits = pairs.overlap, _bits(_level(pairs.overlap, thresholds))
        starts = group_starts(pairs.place)
        self.begin: IndexArray = starts
        self.end: IndexArray = np.append(starts[1:], pairs.place.size)
        self.place = pairs.place[starts]
        """Where each waiting prediction is among all; they wait in that order, most confident first."""
        self.owner: IndexArray = np.repeat(np.arange(starts.size), self.end - self.begin)
        self.ground_truth, self.slot = np.unique(pairs.ground_truth, return_inverse=True)
        self.matched_pair: IndexArray = np.full(self.ground_truth.size, NONE, dtype=np.int64)
        """Per ground truth the pair it is matched in, -1 for none."""
        self.turns = list(self._turns(group[starts]))

    @staticmethod
    def _turns(group: IndexArray) -> Iterator[IndexArray]:
        """Yield the first prediction of each group, then the second ones, and so on."""
        order = np.argsort(group, kind="stable")
        starts = group_starts(group[order])
        sizes = group_sizes(starts, order.size)
        turn = np.arange(order.size) - np.repeat(starts, sizes)
        by_turn = order[np.argsort(turn, kind="stable")]
        ends = np.cumsum(np.bincount(turn, minlength=1)).tolist()
        for begin, end in zip([0, *ends], ends, strict=False):
            yield by_turn[begin:end]

    def fill(self) -> list[Gains]:
        """Admit all and return what was gained."""
        found: list[Gains] = []
        # Every turn is as large as the next one, or larger.
        many = sum(turn.size >= _FEW for turn in self.turns)
        for turn in self.turns[:many]:
            found += self._admit(turn)
        if len(self.turns) > many:
            found.append(self._admit_singly(np.concatenate(self.turns[many:])))
        return found

    def _admit(self, waiting: IndexArray) -> Iterator[Gains]:
        """Admit one of each group; one that loses its ground truth goes on to its next best."""
        cause, pair, end = waiting, self.begin[waiting], self.end[waiting]
        while pair.size:
            slot = self.slot[pair]
            held = self.matched_pair[slot]
            better = self._better(pair, held)
            taken = np.flatnonzero(better)
            displaced = held[taken]
            before = np.where(displaced == NONE, np.uint16(0), self.bits[displaced])
            gained = self.bits[pair[taken]] & ~before
            rising = np.flatnonzero(gained)
            yield Gains(
                self.place[cause[taken[rising]]], self.ground_truth[slot[taken[rising]]], gained[rising]
            )
            self.matched_pair[slot[taken]] = pair[taken]
            # A rejected one goes on with its next pair, a displaced one with the pair behind the one it held.
            onward = np.where(better, held, pair) + 1
            end = np.where(better & (held != NONE), self.end[self.owner[held]], end)
            left = np.flatnonzero(~(better & (held == NONE)) & (onward < end))
            cause, pair, end = cause[left], onward[left], end[left]

    def _better(self, pair: IndexArray, held: IndexArray) -> BoolArray:
        """Return where a pair comes before the one its ground truth is matched in: by overlap, then by confidence."""
        overlap, current = self.overlap[pair], self.overlap[held]
        better: BoolArray = (held == NONE) | (overlap > current)
        better |= (overlap == current) & (self.owner[pair] < self.owner[held])
        return better

    def _admit_singly(self, waiting: IndexArray) -> Gains:
        matched_pair, slots, overlap = self.matched_pair.tolist(), self.slot.tolist(), self.overlap.tolist()
        owner, bits, begin, ends = (
            column.tolist() for column in (self.owner, self.bits, self.begin, self.end)
        )
        found: list[tuple[int, int, int]] = []
        for cause in waiting.tolist():
            pair, end = begin[cause], ends[cause]
            while pair < end:
                slot = slots[pair]
                held = matched_pair[slot]
                if held != NONE and (overlap[held], -owner[held]) > (overlap[pair], -owner[pair]):
                    pair += 1
                    continue
                gained = bits[pair] & ~(0 if held == NONE else bits[held])
                if gained:
                    found.append((cause, slot, gained))
                matched_pair[slot] = pair
                if held == NONE:
                    break
                pair, end = held + 1, ends[owner[held]]
        columns: IndexArray = np.array(found, dtype=np.int64).reshape(-1, 3).T
        return Gains(self.place[columns[0]], self.ground_truth[columns[1]], columns[2].astype(np.uint16))
