"""Objects that changed between two models: found by the second only, lost by it, found by both, missed by both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE, frozen
from airflow_provider_nucleus.evaluation.matching.counts import true_positives

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray, IntArray
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches

__all__ = ["Changes", "changed_objects", "same_ground_truth"]


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Ground-truth rows by what happened to them, each in row order, and the prediction that found each of them.

    *by_first* and *by_second* hold, per ground truth, the prediction of that model that found it, else -1. Crowd and
    ignored rows are in none of the lists.
    """

    threshold: float
    gained: IndexArray
    lost: IndexArray
    kept: IndexArray
    missed: IndexArray
    by_first: IntArray
    by_second: IntArray


def changed_objects(first: Matches, second: Matches, *, threshold: float = 0.5) -> Changes:
    """Compare what two models found of the same ground truth at an overlap threshold.

    Raises ValueError when the two matches are not on the same ground truth.
    """
    same_ground_truth(first, second)
    by_first = _found_by(first, threshold)
    by_second = _found_by(second, threshold)
    a, b = by_first != NONE, by_second != NONE
    counted = first.ground_truth.counted

    def rows(mask: BoolArray) -> IndexArray:
        return frozen(np.flatnonzero(mask & counted))

    return Changes(
        threshold=threshold,
        gained=rows(~a & b),
        lost=rows(a & ~b),
        kept=rows(a & b),
        missed=rows(~a & ~b),
        by_first=frozen(by_first),
        by_second=frozen(by_second),
    )


def same_ground_truth(first: Matches, second: Matches) -> None:
    """Raise ValueError unless both matches were made on the same ground-truth rows."""
    a, b = first.ground_truth, second.ground_truth
    if a is b:
        return
    if len(a) != len(b) or any(
        not np.array_equal(getattr(a, column), getattr(b, column))
        for column in ("image", "label", "ordinal", "crowd", "ignore", "area")
    ):
        raise ValueError(
            f"the models were matched against different ground truth ({len(a)} and {len(b)} rows): "
            "match both against the same rows in the same order, then compare"
        )


def _found_by(matches: Matches, threshold: float) -> IntArray:
    hits = np.flatnonzero(true_positives(matches, threshold))
    found_by = np.full(len(matches.ground_truth), NONE, dtype=np.int32)
    found_by[matches.match[hits]] = hits
    return found_by
