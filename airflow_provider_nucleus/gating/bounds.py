"""Bounds as inequalities: one place on one axis, and the side of it that passes.

| bound | axis | place | side that passes |
| --- | --- | --- | --- |
| `min`, `max` | the number | the limit | above, below |
| `max_drop` d | number less baseline | -d (d where lower is better) | above (below) |
| `max_relative_drop` r | number / baseline less 1 | -r (r) | above (below) |
| `min_gain` g | number less baseline | g (-g) | above (below) |
| `window` z | the number | median -/+ z x 1.4826 MAD | the better side; between the two where neither is better |

By an interval [low, high] of what is on the axis, a bound that passes above is a pass when low is at the place or above it, a failure when
high is below it, else undecided. Without an interval the number alone decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.number_names import Direction

__all__ = ["Decision", "Inequality", "Interval", "absolute", "change", "decide"]

Decision = Literal["pass", "fail", "undecided", "chance", "few"]
"""`chance`: outside the bound, but no more than is to be expected among as many tests. `few`: inside, of too few objects."""

_SLACK: Final = 1e-9
"""0.72 less 0.02 is not 0.70 in floating point; a number at its limit passes."""


_NOTHING: Final = 1e-100
"""A share of less than this is no finite number."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Interval of what a bound is about, at a two-sided level, and how it was had."""

    low: float
    high: float
    level: float = 0.95
    method: str = "given"
    worse: float | None = None
    """Level at which the data speak for the wrong side of the bound: a one-sided p-value, small where the bound is broken."""
    fallen: float | None = None
    """Level at which the data speak for a change to the worse at all, however much of it is allowed: small where there is one."""
    enough: bool = True
    """Whether the objects are enough to see a drop as large as is allowed; where they are not, a narrow interval proves nothing."""


@dataclass(frozen=True, slots=True)
class Inequality:
    """A bound on its axis: `value` must lie on the side `passes` of the place `at`."""

    bound: str
    limit: float
    value: float
    at: float
    passes: Literal["above", "below"]

    @property
    def margin(self) -> float:
        """Distance of the number from the bound, negative on the wrong side."""
        return self.value - self.at if self.passes == "above" else self.at - self.value


def absolute(bound: str, limit: float, value: float) -> Inequality:
    """Return `min` or `max` as an inequality."""
    return Inequality(bound, limit, value, at=limit, passes="above" if bound == "min" else "below")


def change(
    bound: str, limit: float, *, value: float, baseline: float, better: Direction
) -> Inequality | None:
    """Return a bound on the change from a baseline as an inequality; None for a relative one where the baseline is 0."""
    up = 1.0 if better == "higher" else -1.0
    passes: Literal["above", "below"] = "above" if better == "higher" else "below"
    if bound == "max_relative_drop":
        if abs(baseline) < _NOTHING:
            return None
        return Inequality(bound, limit, (value - baseline) / abs(baseline), at=-up * limit, passes=passes)
    at = up * limit if bound == "min_gain" else -up * limit
    return Inequality(bound, limit, value - baseline, at=at, passes=passes)


def decide(inequality: Inequality, interval: Interval | None = None) -> Decision:
    """Return whether a bound is kept: by an interval, which may leave it undecided, or by the number alone."""
    at = inequality.at
    slack = _SLACK * max(1.0, abs(at), abs(inequality.value))
    if interval is None:
        return "pass" if inequality.margin >= -slack else "fail"
    if inequality.passes == "above":
        worst, best = interval.low - at, interval.high - at
    else:
        worst, best = at - interval.high, at - interval.low
    if worst >= -slack:
        return "pass" if interval.enough else "few"
    return "fail" if best < -slack else "undecided"
