"""Paired bootstrap over items: what a number, or its change, would have been on other draws of the same items.

The draws are the engine's (`evaluation.readers.bootstrap.draw`), over the items in the order of their names, whatever order they were
uploaded in. Of items in this order and with the same seed, the intervals are those of `compare()` and of the server's comparison. Both sides are read on the same draws. A label is resampled on the items that
have it, so that eighty labels cost little more than one.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_nucleus.evaluation.readers.bootstrap import draw
from airflow_provider_nucleus.gating.item_counts import COLUMNS, COUNTS, GroupCounts, ItemCounts, terms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.evaluation.arrays import FloatArray
    from airflow_provider_nucleus.gating.measurement import Measurement

__all__ = ["GroupKey", "PairedDraws", "mean_change", "normal_tail", "percentiles"]

_BLOCK: Final = 64
"""Draws at a time: bounds the memory at 64 weights per item, as in the engine."""

_KEPT: Final = 20_000_000
"""Weights, of two bytes each, that are kept between rules; a draw may hold an item 65,535 times, which none of so few does."""

GroupKey = tuple[str, str, str]
"""`("overall", "", "")`, `("label", label, "")`, `("slice", key, value)`."""


class PairedDraws:
    """Draws of the items of a candidate, and of a baseline on the same items; without one, the candidate is read alone."""

    def __init__(
        self, candidate: Measurement, baseline: Measurement | None, *, replicates: int, seed: int
    ) -> None:
        assert candidate.matches is not None
        # An upload's items come in any order, and the draws are by place: sorted, the same data give the same interval again.
        first = ItemCounts(candidate, items=sorted(candidate.matches.items))
        self._sides = [first] if baseline is None else [first, ItemCounts(baseline, items=first.items)]
        self._first = first
        self._replicates = replicates
        self._seed = seed
        self._drawn: dict[int, np.ndarray[Any, np.dtype[Any]]] = {}
        self._tables: dict[GroupKey, FloatArray] = {}
        self._sums: dict[GroupKey, FloatArray] = {}
        self.items = len(first.items)
        everything = [side.overall().table for side in self._sides]
        self.alike = bool(np.array_equal(everything[0], everything[-1]))
        """Whether both sides have the same counts on every item."""
        self.method = (
            f"paired bootstrap over {self.items:,} items"
            if baseline
            else f"bootstrap over {self.items:,} items"
        )

    def prepare(self, keys: Iterable[GroupKey]) -> None:
        """Resample groups together: drawing the items costs more than adding them up."""
        groups = {key: found for key in keys if key not in self._sums and (found := self._group(key))}
        totals = {key: np.zeros((self._replicates, len(self._sides) * COLUMNS)) for key in groups}
        for begin in range(0, self._replicates if groups and self.items else 0, _BLOCK):
            end = min(begin + _BLOCK, self._replicates)
            weights = self._weights(begin, end)
            for key, group in groups.items():
                drawn = weights if group.place.size == self.items else weights[:, group.place]
                totals[key][begin:end] = drawn @ group.table
        for key, group in groups.items():
            shape = len(self._sides), COLUMNS
            self._tables[key] = group.table.reshape(-1, *shape)
            self._sums[key] = totals[key].reshape(-1, *shape)

    def _weights(self, begin: int, end: int) -> FloatArray:
        """Return how often each item was drawn; kept for the next rule where they are small."""
        drawn = self._drawn.get(begin)
        if drawn is None:
            drawn = np.stack([
                draw(self.items, seed=self._seed, replicate=replicate) for replicate in range(begin, end)
            ])
            if self.items * self._replicates <= _KEPT:
                self._drawn[begin] = drawn.astype(np.uint16)
        return drawn.astype(np.float64)

    def knows(self, key: GroupKey) -> bool:
        """Return whether the rows of the match say what a group is."""
        if key not in self._sums:
            self.prepare([key])
        return key in self._sums

    def value(self, metric: str, key: GroupKey, *, side: int = 0) -> float | None:
        """Return the number itself, from the rows; None where it is not defined."""
        numerator, denominator = terms(metric, self._tables[key][:, side].sum(axis=0))
        return float(numerator / denominator) if denominator > 0 else None

    def items_behind(self, metric: str, key: GroupKey) -> int:
        """Return how many items have anything that the number is about."""
        _, denominator = terms(metric, self._tables[key])
        return int(np.count_nonzero((denominator > 0).any(axis=1)))

    def values(self, metric: str, key: GroupKey, *, side: int = 0) -> FloatArray:
        """Return the number in every draw, NaN where it is not defined."""
        numerator, denominator = terms(metric, self._sums[key][:, side])
        result = np.full(denominator.shape, np.nan)
        np.divide(numerator, denominator, out=result, where=denominator > 0)
        return result

    def changes(self, metric: str, key: GroupKey, *, relative: bool) -> FloatArray:
        """Return candidate less baseline in every draw, as a share of the baseline where *relative*; NaN where not defined."""
        value, baseline = self.values(metric, key), self.values(metric, key, side=1)
        gap = value - baseline
        if not relative:
            return gap
        result = np.full(gap.shape, np.nan)
        np.divide(gap, np.abs(baseline), out=result, where=np.abs(baseline) > 0)
        return result

    def sees(
        self,
        metric: str,
        key: GroupKey,
        *,
        at: float,
        drop: float,
        margin: float,
        relative: bool,
        level: float,
    ) -> bool:
        """Return whether a rate rests on enough objects to tell its change, *margin* inside a bound, from a *drop*.

        An interval is narrow where by luck none of the few objects changed: of 20 with a drop of 0.05, in every third batch. So the
        change must also be clear of the bound by the spread that the items show with one more object won and one more lost, and by the
        least that models have which differ in *drop* of the objects, sqrt(drop (1 - drop) / objects). Two sides that are alike in
        every item are taken to be one model.
        """
        if metric not in {"precision", "recall", "f1"} or not 0 < drop < 1 or self.alike:
            return True
        _, denominator = terms(metric, self._tables[key][:, 0].sum(axis=0))
        objects = float(denominator) / (2 if metric == "f1" else 1)
        parts = self._contributions(metric, key, at=at, relative=relative, alone=False)
        spread = math.sqrt(max(float(parts @ parts) + 2 / objects**2, drop * (1 - drop) / objects))
        return margin >= NormalDist().inv_cdf((1 + level) / 2) * spread

    def tail(
        self, metric: str, key: GroupKey, *, at: float, relative: bool, alone: bool, above: bool
    ) -> float:
        """Return the level at which the items speak against the bound: one-sided, of the hypothesis that it is just kept.

        What each item adds to the distance from the bound is divided by the root of the summed squares (not of the deviations from
        their mean). For items that speak as often for one side as for the other, whatever the weight of each, such a sum has at most
        about a normal tail, far out as well, where a thousand draws count nothing any more.
        """
        parts = self._contributions(metric, key, at=at, relative=relative, alone=alone)
        spread = math.sqrt(float(parts @ parts))
        if spread == 0:
            return 1.0
        distance = float(parts.sum()) / spread
        return normal_tail(distance if above else -distance)

    def _contributions(
        self, metric: str, key: GroupKey, *, at: float, relative: bool, alone: bool
    ) -> FloatArray:
        table = self._tables[key]
        numerator, denominator = terms(metric, table)
        per_item = np.broadcast_to(denominator.astype(np.float64), numerator.shape)
        if metric in COUNTS:
            # A count is a sum over items: each has its share of the whole.
            per_item = np.full(numerator.shape, 1.0 / max(1, len(table)))
        sums = per_item.sum(axis=0)
        value = float(numerator[:, 0].sum() / sums[0])
        if alone:
            of_one: FloatArray = (numerator[:, 0] - at * per_item[:, 0]) / sums[0]
            return of_one
        baseline = float(numerator[:, 1].sum() / sums[1])
        factor = 1.0 + at if relative else 1.0
        shift = 0.0 if relative else at
        # The two numbers as they would be if the bound were just kept, half way between what was found.
        of_baseline = (((value - shift) / factor) + baseline) / 2 if factor > 0 else baseline
        of_candidate = factor * of_baseline + shift
        first = (numerator[:, 0] - of_candidate * per_item[:, 0]) / sums[0]
        second = (numerator[:, 1] - of_baseline * per_item[:, 1]) / sums[1]
        result: FloatArray = first - factor * second
        return result

    def _group(self, key: GroupKey) -> GroupCounts | None:
        kind, name, value = key
        if kind == "overall":
            found = [side.overall() for side in self._sides]
        elif kind == "label":
            of_label = [side.of_label(name) for side in self._sides]
            nothing = GroupCounts(np.zeros(0, dtype=np.int64), np.zeros((0, COLUMNS)))
            if not any(of_label):
                return None
            found = [each or nothing for each in of_label]
        else:
            # Which items a slice has is the candidate's to say, for both sides.
            chosen = self._first.of_slice(name, value)
            if chosen is None:
                return None
            found = [GroupCounts(chosen.place, side.overall().at(chosen.place)) for side in self._sides]
        places = np.unique(np.concatenate([each.place for each in found]))
        return GroupCounts(places, np.concatenate([each.at(places) for each in found], axis=1))


def normal_tail(distance: float) -> float:
    """Return the share of a normal distribution below a distance in standard deviations."""
    return 0.5 * math.erfc(-distance / math.sqrt(2.0))


def percentiles(drawn: FloatArray, *, level: float) -> tuple[float, float] | None:
    """Return the ends of the interval that holds *level* of the draws in which a number is defined; None with fewer than half."""
    defined = drawn[~np.isnan(drawn)]
    if 2 * defined.size < drawn.size or defined.size == 0:
        return None
    edge = (1 - level) / 2
    low, high = np.quantile(defined, [edge, 1 - edge])
    return float(low), float(high)


def mean_change(
    draws: PairedDraws, metric: str, keys: list[GroupKey], *, relative: bool, level: float
) -> tuple[float, float, float] | None:
    """Return the interval of the mean change over groups, and its standard deviation over the draws; None where there is none.

    Every group counts alike, in each draw those in which its change is defined.
    """
    table = np.stack([draws.changes(metric, key, relative=relative) for key in keys])
    known = ~np.isnan(table)
    count = known.sum(axis=0)
    means = np.full(count.shape, np.nan)
    np.divide(np.where(known, table, 0.0).sum(axis=0), count, out=means, where=count > 0)
    ends = percentiles(means, level=level)
    if ends is None:
        return None
    return (*ends, float(np.nanstd(means)))
