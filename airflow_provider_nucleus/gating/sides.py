"""Sides of a judgement: the candidate, the baselines a rule may be against, the batches of its window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_nucleus.gating.fingerprint import measurement_differences, window_differences

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.policy import Against, Rule

__all__ = ["Sides"]


@dataclass(frozen=True, slots=True)
class Sides:
    """The candidate, and all it may be compared with."""

    candidate: Measurement
    baseline: Measurement | None = None
    reference: Measurement | None = None
    accepted: Measurement | None = None
    history: tuple[Measurement, ...] = ()

    def against(self, name: Against) -> Measurement | None:
        """Return the side that a rule measures changes from."""
        side: Measurement | None = getattr(self, name)
        return side

    def alike(self, rule: Rule) -> list[Measurement]:
        """Return the sides whose labels and slices the candidate must have, too.

        They are the one the rule is against, and those measured in the same way on the same data.
        """
        own = self.against(rule.against)
        return [
            side
            for side in (self.baseline, self.reference, self.accepted)
            if side is not None and (side is own or not measurement_differences(self.candidate, side))
        ]

    def window(self) -> list[Measurement]:
        """Return the accepted batches of the candidate's series, the newest last; all above a confidence, or none, as the candidate is."""
        candidate = self.candidate
        return [
            batch
            for batch in self.history
            if not window_differences(candidate.fingerprint, batch.fingerprint)
            and (batch.confidence_threshold is None) == (candidate.confidence_threshold is None)
        ]
