"""A policy: rules as data, from a dict, a YAML file or typed. What they mean is in `docs/gating.md`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_provider_nucleus.gating.measurement import Document

__all__ = ["Policy", "Rule", "WindowCondition"]

Severity = Literal["error", "warn"]
Scope = Literal["overall", "per_label", "per_slice", "profile", "supplied"]
Against = Literal["baseline", "reference", "accepted"]
"""Which baseline a change is measured from: the one given (production model on the same items), the pinned one, the last accepted one."""


class WindowCondition(Document):
    """A bound against the last accepted batches: |value - median| / (1.4826 MAD) at most `max_z`."""

    batches: int = Field(default=14, ge=1)
    max_z: float = Field(default=3.0, gt=0)
    min_batches: int = Field(default=5, ge=2)


class Rule(Document):
    """One rule: a number, what it is a number of, and its bounds. At least one bound must be given; each is judged.

    `id` is stable: it names the rule in verdicts, reports and lineage. Drops are absolute differences in the number's own unit,
    relative ones shares of the baseline's value.
    """

    id: str
    metric: str
    scope: Scope = "overall"
    labels: list[str] | None = None
    """With scope `per_label`: which; None for every label of candidate or baseline."""
    slice_key: str | None = None
    """With scope `per_slice`: key of item metadata."""
    slice_values: list[str] | None = None
    min: float | None = None
    max: float | None = None
    max_drop: float | None = Field(default=None, ge=0)
    max_relative_drop: float | None = Field(default=None, ge=0)
    relative_below: float | None = None
    """Below this baseline value the relative bound is off."""
    min_gain: float | None = Field(default=None, ge=0)
    window: WindowCondition | None = None
    direction: Literal["higher", "lower"] | None = None
    """Which way is better; None for what is known of the number."""
    against: Against = "baseline"
    severity: Severity = "error"
    min_support: int = Field(default=20, ge=0)
    """Least number of objects to be found (of the label, of the slice) for a judgement."""
    min_coverage: float | None = Field(default=None, ge=0, le=1)
    level: float = Field(default=0.95, gt=0, lt=1)
    """Two-sided level of intervals."""
    multiplicity: Literal["holm", "benjamini_hochberg", "none"] = "holm"
    """Control over the labels or slices of one rule."""
    description: str | None = None


class Policy(Document):
    """Rules, and what their results mean together."""

    name: str = "policy"
    rules: list[Rule]
    fail_on: Literal["error", "warn", "never"] = "error"
    on_inconclusive: Literal["fail", "pass"] = "fail"
    on_missing_baseline: Literal["inconclusive", "pass", "fail"] = "inconclusive"
    min_coverage: float | None = Field(default=None, ge=0, le=1)
