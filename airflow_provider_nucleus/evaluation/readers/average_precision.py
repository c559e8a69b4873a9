"""Average precision of many labels and thresholds at once, from predictions in order of confidence.

Between two true positives precision only falls, so the envelope (the highest precision at this recall or beyond) is
decided at true positives, and a recall level reads it at the true positive whose number first reaches the level.
Everything that is not a true positive at some threshold is only ever counted: one running sum for all thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from airflow_provider_nucleus.evaluation.arrays import group_sizes, group_starts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray, IntArray

__all__ = [
    "COCO_RECALLS",
    "EXACT_RECALLS",
    "ActiveRows",
    "Bits",
    "Envelopes",
    "RankedRows",
    "average_precisions",
    "counted_before",
    "envelopes",
    "label_begins",
    "threshold_place",
    "true_positives_needed",
    "unscored_labels",
]

Bits = NDArray[np.uint16]

COCO_RECALLS: FloatArray = np.linspace(0.0, 1.0, 101)
"""The recall levels of COCO; they differ in the last bit from `EXACT_RECALLS`, which decides at equality."""

EXACT_RECALLS: FloatArray = np.arange(101) / 100
"""The recall levels of tidecv, hundredths as exact as they can be."""


@dataclass(frozen=True, slots=True, eq=False)
class RankedRows:
    """Predictions sorted by (label, confidence descending), with one bit per overlap threshold.

    *hit* marks the thresholds at which the row is a true positive, *ignored* those at which it is not counted at
    all (None: never). A row that is neither is a false positive. *positives* counts the ground truths per label.
    *unscored* marks the labels whose predictions all lack a confidence, so that no curve can hold them (None: no label).
    """

    label: NDArray[np.integer]
    confidence: FloatArray
    hit: Bits
    ignored: Bits | None
    positives: IndexArray
    thresholds: tuple[float, ...]
    unscored: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return int(self.label.size)


@dataclass(frozen=True, slots=True, eq=False)
class Envelopes:
    """The curves of one threshold, for the labels that have a true positive, read at the recall levels.

    *precision* is [label, level], 0 where the level is not *reached*; *row* is the row that first reaches it.
    """

    labels: IndexArray
    precision: FloatArray
    reached: NDArray[np.bool_]
    row: IndexArray


def unscored_labels(
    unscored: NDArray[np.integer], scored: NDArray[np.integer], *, labels: int
) -> NDArray[np.bool_] | None:
    """Mark the labels that have predictions, none of which has a confidence, given the labels of both kinds; None if none."""
    if unscored.size == 0:
        return None
    found: NDArray[np.bool_] = np.bincount(unscored, minlength=labels) > 0
    found &= np.bincount(scored, minlength=labels) == 0
    return found if found.any() else None


def average_precisions(rows: RankedRows | ActiveRows, *, recalls: FloatArray = COCO_RECALLS) -> FloatArray:
    """Return the average precision per [threshold, label], 0 to 1; 0 for a label without a true positive.

    Whether a label without ground truth is "undefined" or "0" is for the caller to say.
    """
    result = np.zeros((len(rows.thresholds), len(rows.positives)), dtype=np.float64)
    for at, curve in enumerate(envelopes(rows, recalls=recalls)):
        result[at, curve.labels] = curve.precision.sum(axis=1) / len(recalls)
    return result


def envelopes(
    rows: RankedRows | ActiveRows,
    *,
    recalls: FloatArray = COCO_RECALLS,
    thresholds: tuple[int, ...] | None = None,
) -> Iterator[Envelopes]:
    """Yield the curves of every threshold, or of the ones at the given positions."""
    needed = true_positives_needed(rows.positives, recalls)
    active = rows if isinstance(rows, ActiveRows) else ActiveRows.of(rows)
    reader = _Thresholds(active)
    for bit in range(len(rows.thresholds)) if thresholds is None else thresholds:
        hits, seen = reader.at(np.uint16(1 << bit))
        labels = active.label[hits]
        starts = group_starts(labels)
        sizes = group_sizes(starts, labels.size)
        number = np.arange(1, labels.size + 1) - np.repeat(starts, sizes)
        precision = number / seen
        present = labels[starts].astype(np.int64)
        last = needed[present]
        reached = last <= sizes[:, None]
        places = (starts[:, None] + last - 1)[reached]
        # The points between two levels belong to the lower one; those after the last level, to that.
        peaks = np.zeros(last.shape)
        if places.size:
            peaks[reached] = np.maximum.reduceat(precision, places)
        row = np.full(last.shape, -1, dtype=np.int64)
        row[reached] = active.row[hits[places]]
        yield Envelopes(
            labels=present,
            precision=np.maximum.accumulate(peaks[:, ::-1], axis=1)[:, ::-1],
            reached=reached,
            row=row,
        )


def threshold_place(thresholds: tuple[float, ...], threshold: float) -> int:
    """Find a threshold among those evaluated; any other raises ValueError."""
    for place, evaluated in enumerate(thresholds):
        if abs(evaluated - threshold) <= 1e-9:
            return place
    raise ValueError(f"threshold {threshold} was not evaluated, only {thresholds}")


def true_positives_needed(positives: IndexArray, recalls: FloatArray) -> IndexArray:
    """Return per [label, level] how many true positives make recall reach the level, 1 at least."""
    total = np.maximum(positives, 1)[:, None].astype(np.float64)
    needed = np.ceil(recalls[None, :] * total)
    # The product rounds; recall is the quotient number / positives, and that is what is compared.
    needed -= (needed - 1) / total >= recalls
    needed += needed / total < recalls
    return np.maximum(needed, 1).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ActiveRows:
    """The ranked rows whose role depends on the threshold, which is all that AP needs of them, by (label, confidence).

    *row* is the place of each among all rows, *before* how many rows of its label that count at every threshold precede it, and
    are none of these. *hit* and *ignored* are as in `RankedRows`.
    """

    row: NDArray[np.integer]
    label: NDArray[np.integer]
    before: IntArray
    hit: Bits
    ignored: Bits | None
    positives: IndexArray
    thresholds: tuple[float, ...]
    unscored: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, rows: RankedRows) -> ActiveRows:
        """Choose them from ranked rows."""
        every = np.uint16((1 << len(rows.thresholds)) - 1)
        begin = label_begins(rows.label, labels=len(rows.positives))
        changing = rows.hit != 0
        ignored: Bits | None = None
        if rows.ignored is None:
            row = np.flatnonzero(changing)
            before = (row - begin[rows.label[row]]).astype(np.int32)
        else:
            changing |= (rows.ignored != 0) & (rows.ignored != every)
            row = np.flatnonzero(changing)
            before = counted_before(~changing & (rows.ignored == 0), row, begin[rows.label[row]])
            ignored = rows.ignored[row]
        return cls(
            row,
            rows.label[row],
            before,
            rows.hit[row],
            ignored,
            rows.positives,
            rows.thresholds,
            rows.unscored,
        )


def label_begins(label: NDArray[np.integer], *, labels: int) -> IndexArray:
    """Return where each label begins among rows that lie by label."""
    return np.searchsorted(label, np.arange(labels, dtype=label.dtype), side="left")


def counted_before(counted: BoolArray, row: NDArray[np.integer], first: NDArray[np.integer]) -> IntArray:
    """Return per *row* how many rows from *first* on, and before it, are *counted*."""
    below = np.zeros(counted.size + 1, dtype=np.int32)
    np.cumsum(counted, out=below[1:])
    found: IntArray = below[row] - below[first]
    return found


class _Thresholds:
    """Active rows, read at one threshold after the other."""

    def __init__(self, rows: ActiveRows) -> None:
        self._rows = rows
        self._starts = group_starts(rows.label)

    def at(self, mask: np.uint16) -> tuple[IndexArray, IntArray]:
        """Return the true positives at one threshold (positions among the active rows) and the rows counted up to each."""
        rows = self._rows
        hits = np.flatnonzero((rows.hit & mask) != 0)
        seen = rows.before[hits]
        if rows.ignored is None:
            # Every row counts: what precedes a row, changing or not, is its place within the label.
            return hits, seen + 1
        counts = (rows.ignored & mask) == 0
        kept = np.cumsum(counts, dtype=np.int32)
        before_label = np.zeros(len(rows.positives), dtype=np.int32)
        before_label[rows.label[self._starts]] = kept[self._starts] - counts[self._starts]
        return hits, seen + kept[hits] - before_label[rows.label[hits]]
