"""Window of the last accepted batches: how far a number is from their median, in robust standard deviations."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Spread", "spread_of"]

_MAD_TO_DEVIATION: Final = 1.4826
"""Median absolute deviation to standard deviation, of normal numbers."""
_MEAN_TO_DEVIATION: Final = 1.2533
"""Mean absolute deviation to standard deviation, where more than half of the numbers are equal and their MAD is 0."""
_EQUAL: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Spread:
    """Middle and spread of a window; `deviation` is 0 where all its numbers are equal."""

    batches: int
    median: float
    deviation: float
    method: str


def spread_of(values: Sequence[float]) -> Spread:
    """Return the median and the robust standard deviation of the numbers of a window (one or more)."""
    middle = median(values)
    gaps = [abs(value - middle) for value in values]
    deviation, method = _MAD_TO_DEVIATION * median(gaps), "median absolute deviation"
    if deviation <= _EQUAL * max(1.0, abs(middle)):
        deviation, method = _MEAN_TO_DEVIATION * fmean(gaps), "mean absolute deviation"
    if deviation <= _EQUAL * max(1.0, abs(middle)):
        deviation = 0.0
    return Spread(len(values), middle, deviation, method)
