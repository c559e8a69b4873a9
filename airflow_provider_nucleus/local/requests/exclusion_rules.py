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

from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, TypeAdapter, model_validator

from airflow_provider_nucleus.local.requests.base import Labels, RequestModel, must
from airflow_provider_nucleus.local.requests.metadata_predicates import Predicate

__all__ = [
    "BoxAreaRule",
    "ExclusionRule",
    "ExclusionRules",
    "LabelExclusion",
    "MetadataRule",
    "Target",
    "stored_rules",
]

Scope: TypeAlias = Annotated[Literal["item", "annotation"], must("'item' or 'annotation'")]
Target: TypeAlias = Literal["groundTruth", "prediction"]

_Target: TypeAlias = Annotated[
    Target,
    BeforeValidator(lambda value: "groundTruth" if value == "ground_truth" else value),
    must("'groundTruth' or 'prediction'"),
]
_Area: TypeAlias = Annotated[
    Annotated[float, Field(ge=0)] | None, must("an area in square pixels, 0 or more")
]


class MetadataRule(Predicate):
    """Drop items whose metadata satisfies a predicate."""

    type: Literal["metadata"]
    scope: Annotated[Literal["item"], must("'item': metadata rules drop whole items")] = "item"

    def to_wire(self) -> dict[str, Any]:
        """Return the rule as the official client sends it."""
        return {"type": "metadata", "scope": "item", **super().to_wire()}


class LabelExclusion(RequestModel):
    """Drop objects of one side by label, or the items they are on."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["labels"]
    scope: Scope
    target: _Target
    labels: Labels

    def to_wire(self) -> dict[str, Any]:
        """Return the rule as the official client sends it."""
        return {"type": "labels", "scope": self.scope, "target": self.target, "labels": list(self.labels)}


class BoxAreaRule(RequestModel):
    """Drop boxes of one side whose area lies outside [min, max], or the items they are on."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["boxArea", "box_area"]
    scope: Scope
    target: _Target
    low: _Area = Field(None, alias="min")
    high: _Area = Field(None, alias="max")

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("needs min or max, or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("has a min greater than its max: every box would be dropped")
        return self

    def to_wire(self) -> dict[str, Any]:
        """Return the rule as the official client sends it."""
        bounds = {name: value for name, value in (("min", self.low), ("max", self.high)) if value is not None}
        return {"type": "boxArea", "scope": self.scope, "target": self.target, **bounds}


# Named apart from every field, so that a complaint cannot take one for the other.
_TAGS: Final = {
    "metadata": "metadata rule",
    "labels": "labels rule",
    "boxArea": "box area rule",
    "box_area": "box area rule",
}


def _kind(value: Any) -> str | None:
    if isinstance(value, dict):
        kind = value.get("type")
        return _TAGS.get(kind) if isinstance(kind, str) else None
    return _TAGS.get(getattr(value, "type", "metadata"))


ExclusionRule: TypeAlias = MetadataRule | LabelExclusion | BoxAreaRule
ExclusionRules: TypeAlias = list[
    Annotated[
        Annotated[MetadataRule, Tag("metadata rule")]
        | Annotated[LabelExclusion, Tag("labels rule")]
        | Annotated[BoxAreaRule, Tag("box area rule")],
        Discriminator(
            _kind,
            custom_error_type="rule_type",
            custom_error_message="type must be metadata, labels or boxArea",
        ),
    ]
]
"""Rules as a request lists them, with keys in snake_case."""

_STORED: Final[TypeAdapter[list[ExclusionRule]]] = TypeAdapter(ExclusionRules)


def stored_rules(data: Any) -> tuple[ExclusionRule, ...]:
    """Return the rules that `to_wire` has written into the store."""
    return tuple(_STORED.validate_python(data))
