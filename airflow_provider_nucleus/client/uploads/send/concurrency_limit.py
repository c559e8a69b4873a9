"""How many requests may be in flight: one more after a quiet spell, half as many after "too many requests"."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace"]

_QUIET = 2
"""Rounds of `allowed` successes before one more request is risked."""


@dataclass(slots=True)
class Pace:
    """Additive increase, multiplicative decrease between 1 and `most` requests at once."""

    most: int
    allowed: int = 0
    _successes: int = 0

    def __post_init__(self) -> None:
        self.allowed = self.allowed or self.most

    def succeeded(self) -> None:
        """Take note of an answer."""
        self._successes += 1
        if self.allowed < self.most and self._successes >= _QUIET * self.allowed:
            self.allowed += 1
            self._successes = 0

    def refused(self) -> None:
        """Take note that the server asked to slow down."""
        self.allowed = max(1, self.allowed // 2)
        self._successes = 0
