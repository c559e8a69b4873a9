"""Control over many tests of one rule: which of the labels that seem worse are worse, when eighty were looked at.

| control | holds | step |
| --- | --- | --- |
| Holm | the chance of any false alarm among the labels (family-wise) | smallest level first, against level / (tests left) |
| Benjamini-Hochberg | the expected share of false alarms among the alarms | largest level last, against rank x level / tests |

Both return adjusted levels: an alarm stands where its adjusted level is at most the level of one test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Control", "adjusted_levels"]

Control = Literal["holm", "benjamini_hochberg", "none"]


def adjusted_levels(levels: Sequence[float], control: Control) -> list[float]:
    """Return the adjusted one-sided levels (p-values), in the order given."""
    if control == "none":
        return list(levels)
    return _holm(levels) if control == "holm" else _benjamini_hochberg(levels)


def _holm(levels: Sequence[float]) -> list[float]:
    adjusted = [1.0] * len(levels)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(levels)), key=levels.__getitem__)):
        largest = max(largest, min(1.0, (len(levels) - rank) * levels[place]))
        adjusted[place] = largest
    return adjusted


def _benjamini_hochberg(levels: Sequence[float]) -> list[float]:
    adjusted = [1.0] * len(levels)
    smallest = 1.0
    order = sorted(range(len(levels)), key=levels.__getitem__)
    for rank in range(len(levels), 0, -1):
        place = order[rank - 1]
        smallest = min(smallest, levels[place] * len(levels) / rank)
        adjusted[place] = smallest
    return adjusted
