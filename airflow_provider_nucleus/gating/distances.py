"""Distances of two histograms over the same bins: population stability index and Kolmogorov-Smirnov, with what chance alone gives."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import exp, log, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SMOOTHING", "StabilityIndex", "ks_distance", "ks_level", "stability_index"]

SMOOTHING = 0.5
"""Observations added per used bin on either side, spread over the bins as both sides together are."""


@dataclass(frozen=True, slots=True)
class StabilityIndex:
    """Population stability index: sum of (p - q) ln(p / q) over the bins, 0 for equal shares.

    `by_chance` is what two samples of these sizes from one population exceed once in a hundred times.
    """

    value: float
    by_chance: float


def stability_index(
    one: Sequence[int], other: Sequence[int], *, observations: tuple[float, float] | None = None
) -> StabilityIndex | None:
    """Return the index of two histograms; None where a side is empty. It is the same both ways round.

    `observations` are how many independent ones stand behind the counts of each side; all of them unless given.

    Bins that are empty on both sides are no bins. Each of the k others gets part of k/2 observations more, so that a bin that is
    empty on one side has a share: as large as it has in both samples together, which draws the sides nearer and never apart.
    """
    n, m = sum(one), sum(other)
    if not n or not m:
        return None
    bins = [(a, b) for a, b in zip(one, other, strict=True) if a or b]
    added = SMOOTHING * len(bins)
    value = 0.0
    for a, b in bins:
        pooled = added * (a + b) / (n + m)
        p, q = (a + pooled) / (n + added), (b + pooled) / (m + added)
        value += (p - q) * log(p / q)
    first, second = observations or (n, m)
    return StabilityIndex(value, _chi_square_99(len(bins) - 1) * (1 / first + 1 / second))


def _chi_square_99(freedom: int) -> float:
    """Return the 99 % point of the chi-square distribution, by Wilson and Hilferty: to 2 % from one degree of freedom on.

    The index of two samples from one population, divided by 1/n + 1/m, has this distribution with a degree less than bins.
    """
    if not freedom:
        return 0.0
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + 2.326348 * sqrt(spread)) ** 3


def ks_distance(one: Sequence[int], other: Sequence[int]) -> float | None:
    """Return the largest difference of the two cumulative shares, taken at the edges of the bins, 0 to 1; None where a side is empty.

    Between the edges it may be larger: it is a lower bound of the distance of the values themselves.
    """
    n, m = sum(one), sum(other)
    if not n or not m:
        return None
    sums = zip(accumulate(one), accumulate(other), strict=True)
    return max(abs(a / n - b / m) for a, b in sums)


def ks_level(distance: float, n: int, m: int) -> float:
    """Return the probability of this distance or a larger one between samples of n and m observations of one population.

    The limit for large samples; in bins the true probability is lower, so that a small one is not too small.
    """
    scaled = sqrt(n * m / (n + m)) * distance
    if scaled < 0.2:
        return 1.0  # the series needs many terms there, and is 1 to twelve digits
    terms = ((1 if k % 2 else -1) * exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(max(2 * sum(terms), 0.0), 1.0)
