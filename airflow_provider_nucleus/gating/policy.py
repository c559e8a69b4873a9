"""A policy: rules as data, from a dict, a YAML file or typed. Their meaning is in `docs/gating.md`.

A rule that could decide nothing is refused where it is made: one without a bound, a change of a number that has no direction, a label
where nothing is per label. So is a name that resembles a known number without being one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from airflow_provider_nucleus.exceptions import NucleusPolicyError
from airflow_provider_nucleus.gating.drift import BATCH_NUMBERS, DRIFT_NUMBERS
from airflow_provider_nucleus.gating.measurement import Document
from airflow_provider_nucleus.gating.number_names import RATES, Direction, direction_of, suggested_name

__all__ = [
    "BOUNDS",
    "CHANGE_BOUNDS",
    "PROFILE_NUMBERS",
    "Against",
    "Policy",
    "Rule",
    "Scope",
    "Severity",
    "WindowCondition",
    "policy_digest",
]

Severity = Literal["error", "warn"]
Scope = Literal["overall", "per_label", "per_slice", "profile", "supplied"]
Against = Literal["baseline", "reference", "accepted"]
"""Which baseline a change is measured from: the one given (production model on the same items), the pinned one, the last accepted one."""

CHANGE_BOUNDS: Final = ("max_drop", "max_relative_drop", "min_gain")
"""Bounds on the change from a baseline."""
PROFILE_NUMBERS: Final = (*BATCH_NUMBERS, *DRIFT_NUMBERS)
BOUNDS: Final = ("min", "max", *CHANGE_BOUNDS, "window")


class WindowCondition(Document):
    """A bound against the last accepted batches: |value - median| / (1.4826 MAD) at most `max_z`.

    Where it is known which way the number is better, only the worse side can break the bound.
    """

    batches: int = Field(default=14, ge=1)
    max_z: float = Field(default=3.0, gt=0)
    min_batches: int = Field(default=5, ge=2)

    @model_validator(mode="before")
    @classmethod
    def _has_no_truth_values(cls, content: Any) -> Any:
        return _without_truth_values(content, where="window")

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.min_batches > self.batches:
            raise NucleusPolicyError(
                f"min_batches {self.min_batches} is more than the {self.batches} batches that are looked at",
                field="window",
                hint=f"Write batches: {self.min_batches} or more.",
            )
        return self


class Rule(Document):
    """One rule: a number, what it is a number of, and its bounds. At least one bound must be given; each is judged.

    `id` is stable: it names the rule in verdicts, reports and lineage. Drops are absolute differences in the number's own unit,
    relative ones shares of the baseline's value.
    """

    id: str = Field(min_length=1)
    metric: str = Field(min_length=1)
    scope: Scope = "overall"
    labels: list[str] | None = Field(default=None, min_length=1)
    """With scope `per_label`: which; None for every label of candidate or baseline."""
    slice_key: str | None = None
    """With scope `per_slice`: key of item metadata."""
    slice_values: list[str] | None = Field(default=None, min_length=1)
    min: float | None = None
    max: float | None = None
    max_drop: float | None = Field(default=None, ge=0)
    max_relative_drop: float | None = Field(default=None, ge=0)
    relative_below: float | None = None
    """Below this baseline value the relative bound is off."""
    min_gain: float | None = Field(default=None, ge=0)
    window: WindowCondition | None = None
    direction: Direction | None = None
    """Which way is better; None for what is known of the number."""
    against: Against = "baseline"
    severity: Severity = "error"
    min_support: int = Field(default=20, ge=0)
    """Least number of objects to be found (of the label, of the slice) for a judgement."""
    min_items: int = Field(default=5, ge=2)
    """Least number of items with objects for an interval to be taken from them."""
    min_coverage: float | None = Field(default=None, ge=0, le=1)
    level: float = Field(default=0.95, gt=0, lt=1)
    """Two-sided level of intervals."""
    multiplicity: Literal["holm", "benjamini_hochberg", "none"] = "holm"
    """Control over the labels or slices of one rule."""
    compare: Literal["interval", "point"] | None = None
    """Decided by interval or by the number alone; None: changes by interval where one can be had, `min` and `max` by the number."""
    description: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_no_truth_values(cls, content: Any) -> Any:
        return _without_truth_values(content)

    @model_validator(mode="after")
    def _decides_something(self) -> Self:
        if not any(getattr(self, bound) is not None for bound in BOUNDS):
            raise self._refusal("it has no bound", hint=f"Give it one of {', '.join(BOUNDS)}.")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise self._refusal(
                f"min {self.min:g} is above max {self.max:g}: no number is between them", field="min"
            )
        self._check_scope()
        self._check_metric()
        self._check_rates()
        if self.relative_below is not None and self.max_relative_drop is None:
            raise self._refusal(
                "there is no relative bound that it could turn off",
                field="relative_below",
                hint="Write max_relative_drop beside it, or leave it out.",
            )
        return self

    @property
    def better(self) -> Direction | None:
        """Better side of the number: as the rule says, else as is known of it."""
        return self.direction or direction_of(self.metric)

    @property
    def named(self) -> bool:
        """True where the rule names the labels or slices it is about."""
        return self.labels is not None or self.slice_values is not None

    def _check_scope(self) -> None:
        if self.labels is not None and self.scope != "per_label":
            raise self._refusal(
                f"the rule's scope is {self.scope}", field="labels", hint="Write scope: per_label."
            )
        if self.scope == "per_slice" and not self.slice_key:
            raise self._refusal(
                "scope per_slice needs it", field="slice_key", hint="Name the key of item metadata."
            )
        for field in ("slice_key", "slice_values"):
            if getattr(self, field) is not None and self.scope != "per_slice":
                raise self._refusal(
                    f"the rule's scope is {self.scope}", field=field, hint="Write scope: per_slice."
                )
        for field in ("labels", "slice_values"):
            names = getattr(self, field) or []
            if len(set(names)) != len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise self._refusal(f"{twice!r} is named twice", field=field)

    def _check_metric(self) -> None:
        if self.scope == "profile" and self.metric not in PROFILE_NUMBERS:
            close = get_close_matches(self.metric, PROFILE_NUMBERS, n=1, cutoff=0.5)
            raise self._refusal(
                f"{self.metric!r} is no number of a profile",
                field="metric",
                hint=f"Did you mean {close[0]!r}?" if close else f"They are {', '.join(PROFILE_NUMBERS)}.",
            )
        meant = None if self.scope in {"profile", "supplied"} else suggested_name(self.metric)
        if meant is not None:
            raise self._refusal(
                f"{self.metric!r} is no number of a measurement",
                field="metric",
                hint=f"Did you mean {meant!r}? A number of your own has scope: supplied.",
            )
        change = next((bound for bound in CHANGE_BOUNDS if getattr(self, bound) is not None), None)
        known = self.direction if self.scope == "supplied" else self.better
        if change is not None and known is None:
            raise self._refusal(
                f"{change} needs to know which way {self.metric!r} is better",
                field="direction",
                hint="Write direction: higher, or direction: lower (latency, memory, errors).",
            )

    def _check_rates(self) -> None:
        """Refuse percentages: a rate lies in 0 to 1, so that none falls by 2, and none reaches 60."""
        if self.metric not in RATES or self.scope in {"profile", "supplied"}:
            return
        never_kept = [("min", self.min), ("min_gain", self.min_gain)]
        never_broken = [("max", self.max), ("max_drop", self.max_drop)]
        if self.better == "higher":
            never_broken.append(("max_relative_drop", self.max_relative_drop))
        for pairs, outcome in ((never_kept, "can keep"), (never_broken, "can break")):
            for field, limit in pairs:
                if limit is not None and limit > 1:
                    raise self._refusal(
                        f"{self.metric} lies in 0 to 1, so that none {outcome} a bound of {limit:g}",
                        field=field,
                        hint=f"Shares are written as numbers: {limit / 100:g} for {limit:g} %.",
                    )

    def _refusal(
        self, reason: str, *, field: str | None = None, hint: str | None = None
    ) -> NucleusPolicyError:
        return NucleusPolicyError(reason, rule=f"rule {self.id}", field=field, hint=hint)


class Policy(Document):
    """Rules, and what their results mean together."""

    name: str = "policy"
    rules: list[Rule] = Field(min_length=1)
    fail_on: Literal["error", "warn", "never"] = "error"
    on_inconclusive: Literal["fail", "pass"] = "fail"
    on_missing_baseline: Literal["inconclusive", "pass", "fail"] = "inconclusive"
    min_coverage: float | None = Field(default=None, ge=0, le=1)
    replicates: int = Field(default=1000, ge=200, le=100_000)
    """Draws of the bootstrap."""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _has_no_truth_values(cls, content: Any) -> Any:
        return _without_truth_values(content)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [rule.id for rule in self.rules]
        for each in ids:
            if ids.count(each) > 1:
                raise NucleusPolicyError(
                    f"{ids.count(each)} rules have this id",
                    source=self.name,
                    rule=f"rule {each}",
                    field="id",
                    hint="Give each its own: it names the rule in verdicts, reports and lineage.",
                )
        return self


def _without_truth_values(content: Any, *, where: str | None = None) -> Any:
    """Refuse `true` where a number belongs: it would count as 1, and a drop of 1 is allowed to everybody."""
    for name, value in content.items() if isinstance(content, Mapping) else ():
        if isinstance(value, bool):
            raise NucleusPolicyError(
                f"it is {str(value).lower()}, and no field of a policy is a truth value",
                field=f"{where}.{name}" if where else str(name),
                hint="Write the number, or leave the field out.",
            )
    return content


def policy_digest(policy: Policy) -> str:
    """Return a digest of what a policy decides: the same for any order of rules and keys, without descriptions and names."""
    decided = policy.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    for rule in decided["rules"]:
        rule.pop("description", None)
        for field in ("labels", "slice_values"):
            if field in rule:
                rule[field] = sorted(rule[field])
    decided["rules"].sort(key=lambda rule: str(rule["id"]))
    text = json.dumps(decided, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
