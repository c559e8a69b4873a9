"""The view that filters and charts have of a match: every prediction with the ground truth it is matched to, or displayed beside."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IntArray
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches

__all__ = ["MatchView"]


class MatchView:
    """The match of some of the predictions of a result, made when it is first looked at, and what follows from it.

    Safe to share between threads: the match is made once, the rest may be computed twice.
    """

    def __init__(self, make: Callable[[], Matches]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Matches | None = None

    @property
    def matches(self) -> Matches:
        """The match itself."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    @cached_property
    def partner(self) -> IntArray:
        """Per prediction, the ground truth it is matched to or displayed beside, else -1."""
        match = self.matches.match
        return np.where(match != NONE, match, self.matches.displayed)

    @cached_property
    def partner_overlap(self) -> FloatArray:
        """Per prediction, the overlap with its partner; 0 without one."""
        # One of the two is 0.
        return self.matches.overlap + self.matches.displayed_overlap

    @cached_property
    def same_label(self) -> BoolArray:
        """Per prediction, whether its partner has the same canonical label; false without one."""
        truth, predictions = self.matches.ground_truth, self.matches.predictions
        same = np.zeros(len(predictions), dtype=np.bool_)
        rows = np.flatnonzero(self.partner != NONE)
        same[rows] = truth.label[self.partner[rows]] == predictions.label[rows]
        return same
