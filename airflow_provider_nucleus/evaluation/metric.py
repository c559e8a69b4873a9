"""A number, or the reason why there is none.

Every reader of this package answers with `Metric` instead of a bare float, so that "not defined" is its own
value from the engine to the page: never 0, never -1, never NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import FloatArray

__all__ = ["Metric", "mean", "ratio", "undefined", "zero_when_undefined"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A finite `value`, or `None` with a `reason` a reader understands; exactly one of the two is set."""

    value: float | None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(
                f"a metric has either a value or a reason, not {self.value!r} and {self.reason!r}"
            )
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"a metric is finite; report {self.value!r} as undefined, with its reason")

    @property
    def defined(self) -> bool:
        """True if there is a number."""
        return self.value is not None

    def minus(self, other: Metric) -> Metric:
        """Return this metric less *other*; undefined, with the reason, when either side is."""
        if self.value is None:
            return self
        if other.value is None:
            return other
        return Metric(self.value - other.value)

    def to_dict(self) -> dict[str, float | str | None]:
        """Return `{"value": ...}`, with `"reason"` only when the value is null."""
        if self.value is None:
            return {"value": None, "reason": self.reason}
        return {"value": self.value}


def undefined(reason: str) -> Metric:
    """Return the metric that has no value because of *reason*."""
    return Metric(None, reason)


def ratio(numerator: float, denominator: float, *, reason: str) -> Metric:
    """Return numerator / denominator; undefined with *reason* when the denominator is 0."""
    if denominator == 0:
        return undefined(reason)
    return Metric(float(numerator) / float(denominator))


def mean(metrics: list[Metric], *, reason: str) -> Metric:
    """Return the mean over the defined *metrics*; undefined with *reason* when there is none."""
    values = [metric.value for metric in metrics if metric.value is not None]
    if not values:
        return undefined(reason)
    return Metric(math.fsum(values) / len(values))


def zero_when_undefined(numerator: NDArray[Any], denominator: NDArray[Any]) -> FloatArray:
    """Return the quotient per element, 0 where the denominator is 0 (the convention `zero_division=0`)."""
    result = np.zeros(np.broadcast_shapes(np.shape(numerator), np.shape(denominator)), dtype=np.float64)
    np.divide(numerator, denominator, out=result, where=np.asarray(denominator) != 0)
    return result
