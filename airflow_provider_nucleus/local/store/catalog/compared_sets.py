"""The pair of object sets that a comparison is about."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ComparedSets"]


@dataclass(frozen=True, slots=True)
class ComparedSets:
    """The two object sets of a comparison; `truth` is None for a dataset that has no ground truth."""

    truth: int | None
    predictions: int

    @property
    def numbers(self) -> list[int]:
        """Both set numbers, or the one there is."""
        return [self.predictions] if self.truth is None else [self.truth, self.predictions]
