"""A number, or the reason why there is none.

Every reader of this package answers with :class:`Metric` instead of a bare float, so that "not defined" is its own
value from the engine to the page: never 0, never -1, never NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """A finite ``value``, or ``None`` with a ``reason`` a reader understands; exactly one of the two is set."""

    value: float | None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            message = f"a metric has either a value or a reason, not value={self.value!r} and reason={self.reason!r}"
            raise ValueError(message)
        if self.value is not None and not math.isfinite(self.value):
            message = f"a metric is finite; {self.value!r} must be reported as undefined with its reason"
            raise ValueError(message)

    @property
    def defined(self) -> bool:
        """Whether there is a number."""
        return self.value is not None

    def minus(self, other: Metric) -> Metric:
        """Return this metric less *other*; undefined, with the reason, when either side is."""
        if self.value is None:
            return self
        if other.value is None:
            return other
        return Metric(self.value - other.value)

    def to_dict(self) -> dict[str, float | str | None]:
        """Return ``{"value": ...}``, with ``"reason"`` only when the value is null."""
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
