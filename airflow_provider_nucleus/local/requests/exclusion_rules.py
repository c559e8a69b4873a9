"""Exclusion rules: what is dropped before anything is matched.

| type | scope | drops |
| --- | --- | --- |
| metadata | item | items whose metadata satisfies the predicate |
| labels | annotation | objects of the target side with one of the labels, as uploaded (before rollup) |
| labels | item | items with such an object |
| boxArea | annotation | boxes of the target side whose area (square pixels) lies outside [min, max] |
| boxArea | item | items with such a box |

All rules look at the data as uploaded, so their order does not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.requests.metadata_predicates import Predicate, predicate

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BoxAreaRule", "ExclusionRule", "LabelRule", "MetadataRule", "Target", "exclusion_rules"]

Scope: TypeAlias = Literal["item", "annotation"]
Target: TypeAlias = Literal["groundTruth", "prediction"]

_TARGETS: Final[Mapping[str, Target]] = {
    "groundTruth": "groundTruth",
    "ground_truth": "groundTruth",
    "prediction": "prediction",
}


@dataclass(frozen=True, slots=True)
class MetadataRule:
    """Drop items whose metadata satisfies a predicate."""

    predicate: Predicate
    scope: Scope = "item"

    def to_wire(self) -> dict[str, Any]:
        """Return the rule as the official client sends it."""
        return {"type": "metadata", "scope": "item", **self.predicate.to_wire()}


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Drop objects of one side by label, or the items they are on."""

    scope: Scope
    target: Target
    labels: tuple[str, ...]

    def to_wire(self) -> dict[str, Any]:
        """Return the rule as the official client sends it."""
        return {"type": "labels", "scope": self.scope, "target": self.target, "labels": list(self.labels)}


@dataclass(frozen=True, slots=True)
class BoxAreaRule:
    """Drop boxes of one side whose area lies outside [min, max], or the items they are on."""

    scope: Scope
    target: Target
    low: float | None
    high: float | None

    def to_wire(self) -> dict[str, Any]:
        """Return the rule as the official client sends it."""
        bounds = {name: value for name, value in (("min", self.low), ("max", self.high)) if value is not None}
        return {"type": "boxArea", "scope": self.scope, "target": self.target, **bounds}


ExclusionRule: TypeAlias = MetadataRule | LabelRule | BoxAreaRule


def exclusion_rules(value: Any, *, field: str = "exclusion_rules") -> tuple[ExclusionRule, ...]:
    """Read rules with keys in snake_case; raises :class:`BadRequestError` saying which rule is wrong, and why."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadRequestError(f"{field} must be a list of rules.")
    return tuple(_rule(entry, f"{field}[{place}]") for place, entry in enumerate(value))


def _rule(entry: Any, field: str) -> ExclusionRule:
    if not isinstance(entry, dict):
        raise BadRequestError(f"{field} must be an object.")
    kind = entry.get("type")
    if kind == "metadata":
        _only(entry, field, {"key", "op", "value"})
        if entry.get("scope", "item") != "item":
            raise BadRequestError(f"{field}.scope must be 'item': metadata rules drop whole items.")
        return MetadataRule(
            predicate({name: entry.get(name) for name in ("key", "op", "value")}, field=field)
        )
    if kind == "labels":
        _only(entry, field, {"target", "labels"})
        labels = entry.get("labels")
        if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
            raise BadRequestError(f"{field}.labels must be a non-empty list of strings.")
        return LabelRule(_scope(entry, field), _target(entry, field), tuple(dict.fromkeys(labels)))
    if kind in {"boxArea", "box_area"}:
        _only(entry, field, {"target", "min", "max"})
        low, high = (_bound(entry, field, name) for name in ("min", "max"))
        if low is None and high is None:
            raise BadRequestError(f"{field} needs min or max, or both.")
        if low is not None and high is not None and low > high:
            raise BadRequestError(f"{field}.min is greater than its max: every box would be dropped.")
        return BoxAreaRule(_scope(entry, field), _target(entry, field), low, high)
    raise BadRequestError(f"{field}.type must be metadata, labels or boxArea, not {kind!r}.")


def _only(entry: Mapping[str, Any], field: str, names: set[str]) -> None:
    if unknown := sorted(set(entry) - names - {"type", "scope"}):
        raise BadRequestError(f"{field} has fields that a {entry['type']} rule does not know: {unknown}.")


def _scope(entry: Mapping[str, Any], field: str) -> Scope:
    scope = entry.get("scope")
    if scope == "item":
        return "item"
    if scope == "annotation":
        return "annotation"
    raise BadRequestError(f"{field}.scope must be 'item' or 'annotation'.")


def _target(entry: Mapping[str, Any], field: str) -> Target:
    target = entry.get("target")
    if not isinstance(target, str) or target not in _TARGETS:
        raise BadRequestError(f"{field}.target must be 'groundTruth' or 'prediction'.")
    return _TARGETS[target]


def _bound(entry: Mapping[str, Any], field: str, name: str) -> float | None:
    value = entry.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise BadRequestError(f"{field}.{name} must be an area in square pixels, 0 or more.")
    return float(value)
