"""Comparisons of two evaluations, as an embedded Nucleus makes them: differences with intervals, and how many objects changed."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from airflow_provider_nucleus.schema.base import Answer

__all__ = ["EvaluationComparison", "NumberDifference"]


class NumberDifference(Answer):
    """One number of both evaluations: the other's less the baseline's, with its interval; each `{"value": ...}`, null with a reason."""

    difference: dict[str, Any]
    low: dict[str, Any]
    high: dict[str, Any]
    replicates: int = 0

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, None where either is not defined."""
        low, high = self.low.get("value"), self.high.get("value")
        return None if low is None or high is None else (float(low), float(high))


class EvaluationComparison(Answer):
    """Differences of another evaluation from a baseline, over the items of their benchmark."""

    baseline: str
    other: str
    iou_threshold: float
    items: int
    bootstrap: dict[str, Any] = Field(default_factory=dict)
    differences: dict[str, NumberDifference] = Field(default_factory=dict)
    changes: dict[str, int] = Field(default_factory=dict)
    """Objects of the ground truth: gained, lost, kept and missed by the other evaluation."""
