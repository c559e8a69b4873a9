"""Candidate pairs kept with a match, so that predictions can be left out later and the rest matched exactly.

When predictions go, ground truth without a partner is offered to its next best prediction, which may leave another one without,
and so on (deferred acceptance). Under the strict order of all pairs a prediction then only ever improves. So the pairs behind its
own never matter again, and what is left to keep is short: per ground truth the prediction it is matched to, and behind it,
best first, those that overlap it more than their partner. The same holds for the leftovers that are shown beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE, descending, frozen, stable_order
from airflow_provider_nucleus.evaluation.matching.nucleus import associable, only_counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray, IntArray
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches
    from airflow_provider_nucleus.evaluation.matching.pairs import Edges

__all__ = ["Candidates", "StoredPairs", "match_only", "stored_pairs"]

_MANY = 6
"""When more than one in so many ground truths has no partner, entries of predictions that are gone are taken out first."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Per ground truth the predictions that can come to it, best first; that of the stored match is the first, if it has one.

    *count* says how many each ground truth has; *prediction* and *overlap* have those of one ground truth behind those of the
    one before it.
    """

    count: IntArray
    prediction: IntArray
    overlap: FloatArray

    def ground_truth(self) -> IntArray:
        """Return the ground truth of every entry."""
        return np.repeat(np.arange(self.count.size, dtype=np.int32), self.count)

    def only(self, predictions: BoolArray, truths: BoolArray | None) -> Candidates:
        """Return the entries of the predictions marked, of the ground truth marked (None: all)."""
        kept = predictions[self.prediction]
        if truths is not None:
            kept &= np.repeat(truths, self.count)
        before = np.zeros(kept.size + 1, dtype=np.int32)
        np.cumsum(kept, out=before[1:])
        upto = before[np.cumsum(self.count, dtype=np.int64)]
        rows = np.flatnonzero(kept)
        return Candidates(
            count=np.diff(upto, prepend=np.int32(0)),
            prediction=self.prediction[rows],
            overlap=self.overlap[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class StoredPairs:
    """The candidates for being matched, and those for being shown beside ground truth that was not found."""

    matched: Candidates
    displayed: Candidates


def stored_pairs(matches: Matches) -> StoredPairs:
    """Choose the pairs to keep of a match that has all of them; raises ValueError when it has not."""
    edges = matches.edges
    if edges is None:
        raise ValueError("this match was read without its pairs")
    truths = matches.ground_truth
    correct = matches.rule.is_correct(
        truths.label[edges.ground_truth], matches.predictions.label[edges.prediction]
    )
    may_match = associable(edges, correct, matches.rule)

    def candidates(rows: IndexArray, partner: IntArray, overlap: FloatArray) -> Candidates:
        """Keep the pairs that come no later than the prediction's own."""
        found = edges.take(rows)
        own, current = overlap[found.prediction], partner[found.prediction]
        kept = (found.overlap > own) | (found.ground_truth == current)
        equal = np.flatnonzero((found.overlap == own) & ~kept)
        kept[equal] = _earlier(truths.ordinal, found.ground_truth[equal], current[equal])
        return _by_ground_truth(found.take(np.flatnonzero(kept)), truths=len(truths))

    left = matches.match[edges.prediction] == NONE
    return StoredPairs(
        candidates(np.flatnonzero(may_match), matches.match, matches.overlap),
        candidates(np.flatnonzero(~may_match & left), matches.displayed, matches.displayed_overlap),
    )


def _earlier(ordinal: IntArray, truth: NDArray[np.integer], other: IntArray) -> BoolArray:
    """Return which ground truth of an image comes first at equal overlaps: by ordinal, then by row."""
    first, second = ordinal[truth], ordinal[other]
    earlier: BoolArray = (first < second) | ((first == second) & (truth < other))
    return earlier


def _by_ground_truth(edges: Edges, *, truths: int) -> Candidates:
    """Sort pairs by (ground truth, overlap descending), equal ones in the order they come: by confidence."""
    order = descending(edges.overlap)
    order = order[stable_order(edges.ground_truth[order])]
    return Candidates(
        count=np.bincount(edges.ground_truth, minlength=truths).astype(np.int32),
        prediction=edges.prediction[order].astype(np.int32),
        overlap=edges.overlap[order],
    )


def match_only(matches: Matches, pairs: StoredPairs, predictions: BoolArray) -> Matches:
    """Return the match of the predictions marked, as `only` does from all pairs."""
    kept = matches.predictions.counted & predictions
    ordinal = matches.ground_truth.ordinal
    match = _Reassignment(matches.match, matches.overlap, matches.found_by, ordinal=ordinal)
    match.run(pairs.matched, allowed=kept)
    displayed = _Reassignment(
        matches.displayed, matches.displayed_overlap, matches.displayed_with, ordinal=ordinal
    )
    unfound = (match.found_by == NONE) & matches.ground_truth.counted
    displayed.run(pairs.displayed, allowed=kept & (match.partner == NONE), free=unfound)
    correct = match.partner != NONE
    if matches.rule.class_agnostic:
        rows = np.flatnonzero(correct)
        correct[rows] = matches.rule.is_correct(
            matches.ground_truth.label[match.partner[rows]], matches.predictions.label[rows]
        )
    return replace(
        matches,
        predictions=only_counted(matches.predictions, predictions),
        match=frozen(match.partner),
        overlap=frozen(match.overlap),
        correct=frozen(correct),
        found_by=frozen(match.found_by),
        displayed=frozen(displayed.partner),
        displayed_overlap=frozen(displayed.overlap),
        displayed_with=frozen(displayed.found_by),
    )


class _Reassignment:
    """Partners of predictions and of ground truth, brought from a match to that of fewer predictions."""

    def __init__(
        self, partner: IntArray, overlap: FloatArray, found_by: IntArray, *, ordinal: IntArray
    ) -> None:
        self.partner, self.overlap, self.found_by = partner.copy(), overlap.copy(), found_by.copy()
        self._ordinal = ordinal
        self._slot = np.empty(partner.size, dtype=np.int32)

    def run(self, candidates: Candidates, *, allowed: BoolArray, free: BoolArray | None = None) -> None:
        """Remove the predictions that are not allowed; ground truth without a partner is offered to its next best.

        *free* marks ground truth that may be matched although it had no partner before; what loses its partner is free too.
        """
        held = self.found_by != NONE
        lost = np.flatnonzero(held & ~np.append(allowed, [True])[self.found_by])
        self._drop(~allowed)
        self.found_by[lost] = NONE
        proposing = lost if free is None else np.concatenate([lost, np.flatnonzero(free & ~held)])
        if proposing.size * _MANY > held.size:
            candidates = candidates.only(allowed, free)
        # What was held stands at the first entry, its own: the next one is behind it.
        end = np.cumsum(candidates.count, dtype=np.int64)
        at = end - candidates.count
        while True:
            proposing = proposing[at[proposing] < end[proposing]]
            if not proposing.size:
                return
            entry = at[proposing]
            prediction, overlap = candidates.prediction[entry], candidates.overlap[entry]
            wanted = allowed[prediction] & self._better(prediction, overlap, proposing)
            rejected, valid = proposing[~wanted], np.flatnonzero(wanted)
            # One of the proposals to the same prediction is accepted; the others are repeated, and compared with it.
            last = self._last(prediction[valid])
            accepted, repeated = valid[last], proposing[valid[~last]]
            left = self.partner[prediction[accepted]]
            left = left[left != NONE]
            self.found_by[left] = NONE
            self.found_by[proposing[accepted]] = prediction[accepted]
            self.partner[prediction[accepted]] = proposing[accepted]
            self.overlap[prediction[accepted]] = overlap[accepted]
            onward = np.concatenate([rejected, left])
            at[onward] += 1
            proposing = np.concatenate([onward, repeated])

    def _drop(self, gone: BoolArray) -> None:
        rows = np.flatnonzero(gone & (self.partner != NONE))
        self.partner[rows] = NONE
        self.overlap[rows] = 0.0

    def _better(self, prediction: IntArray, overlap: FloatArray, truth: IndexArray) -> BoolArray:
        """Return where another ground truth is a better match of a prediction than its partner."""
        present = self.overlap[prediction]
        result = overlap > present
        equal = np.flatnonzero(overlap == present)
        result[equal] = _earlier(self._ordinal, truth[equal], self.partner[prediction[equal]])
        return result

    def _last(self, prediction: IntArray) -> BoolArray:
        """Mark one place of every prediction."""
        place = np.arange(prediction.size, dtype=np.int32)
        self._slot[prediction] = place
        last: BoolArray = self._slot[prediction] == place
        return last
