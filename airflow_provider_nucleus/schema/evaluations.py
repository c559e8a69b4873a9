"""Evaluations V2: how one is asked for (rollups, exclusion rules, presets) and how it stands."""

from __future__ import annotations

import json
from dataclasses import field
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AliasChoices, BeforeValidator, Field, PlainValidator

from airflow_provider_nucleus.evaluation_options import EvaluationOptions, parse_options
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.base import Answer, Text, require_object, wire_object
from airflow_provider_nucleus.schema.checks import check_number

__all__ = [
    "BoxAreaExclusionRule",
    "Evaluation",
    "EvaluationNote",
    "EvaluationPreset",
    "EvaluationState",
    "ExclusionRule",
    "LabelExclusionRule",
    "MetadataExclusionRule",
    "RollupGroup",
    "check_evaluation_options",
    "check_rollup_groups",
    "parse_exclusion_rule",
]

Scope: TypeAlias = Literal["item", "annotation"]
Target: TypeAlias = Literal["groundTruth", "prediction"]
MetadataOp: TypeAlias = Literal["EQ", "IN", "GT", "LT"]


@wire_object
class RollupGroup:
    """Raw labels that are evaluated together under one class name; a label belongs to at most one group."""

    class_name: Text
    labels: list[Text]

    def to_wire(self) -> dict[str, Any]:
        """Spell the group as the wire does."""
        return {"class_name": self.class_name, "labels": list(self.labels)}

    @classmethod
    def from_wire(cls, payload: object) -> RollupGroup:
        """Read a group, in either casing of its keys."""
        members = require_object(payload, "a rollup group")
        name = members.get("className") if members.get("className") is not None else members.get("class_name")
        labels = members.get("labels")
        return cls(str(name) if name is not None else "", [str(label) for label in labels or []])


def check_rollup_groups(groups: list[RollupGroup]) -> None:
    """Refuse a label that stands in two groups, as the server would."""
    owner: dict[str, str] = {}
    for position, group in enumerate(groups):
        for label in group.labels:
            if label in owner:
                reason = f"puts {label!r} into {group.class_name!r}, but {owner[label]!r} has it already"
                raise NucleusValidationError(f"rollup_groups.{position}", reason)
            owner[label] = group.class_name


@wire_object
class MetadataExclusionRule:
    """Leave out items whose metadata `key` is equal to, in, above or below `value`."""

    key: Text
    op: MetadataOp
    value: Any
    scope: Scope = "item"

    def __post_init__(self) -> None:
        if self.scope != "item":
            raise NucleusValidationError("scope", "is always 'item' for a metadata rule")

    def to_wire(self) -> dict[str, Any]:
        """Spell the rule as the wire does."""
        return {"type": "metadata", "scope": self.scope, "key": self.key, "op": self.op, "value": self.value}


@wire_object
class LabelExclusionRule:
    """Leave out objects with one of `labels`, or the whole item that has one."""

    scope: Scope
    target: Target
    labels: list[Text] = field(default_factory=list)

    def to_wire(self) -> dict[str, Any]:
        """Spell the rule as the wire does."""
        return {"type": "labels", "scope": self.scope, "target": self.target, "labels": list(self.labels)}


def _check_bound(value: Any) -> int | float | None:
    return None if value is None else check_number(value)


_Bound = Annotated[float | None, PlainValidator(_check_bound)]


@wire_object
class BoxAreaExclusionRule:
    """Leave out boxes whose area in square pixels lies outside [min, max], both inclusive; one bound is required."""

    scope: Scope
    target: Target
    min: _Bound = None
    max: _Bound = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise NucleusValidationError("min", "is missing, and so is max: give at least one bound")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise NucleusValidationError("min", f"must not exceed max, but {self.min} > {self.max}")

    def to_wire(self) -> dict[str, Any]:
        """Spell the rule as the wire does: an unset bound is left out."""
        wire: dict[str, Any] = {"type": "boxArea", "scope": self.scope, "target": self.target}
        if self.min is not None:
            wire["min"] = self.min
        if self.max is not None:
            wire["max"] = self.max
        return wire


ExclusionRule: TypeAlias = MetadataExclusionRule | LabelExclusionRule | BoxAreaExclusionRule

_RULES: dict[str, type[Any]] = {
    "metadata": MetadataExclusionRule,
    "labels": LabelExclusionRule,
    "boxArea": BoxAreaExclusionRule,
    "box_area": BoxAreaExclusionRule,
}


def parse_exclusion_rule(payload: object) -> ExclusionRule:
    """Validate one rule of the wire and build it, by its `type`."""
    members = require_object(payload, "an exclusion rule")
    kind = _RULES.get(str(members.get("type")))
    if kind is None:
        raise NucleusValidationError(
            "type", f"must be one of metadata, labels, boxArea, got {members.get('type')!r}"
        )
    return kind(**{key: value for key, value in members.items() if key != "type"})  # type: ignore[no-any-return]


def check_evaluation_options(value: object) -> EvaluationOptions:
    """Read the options of an evaluation, in either casing of their keys; raise NucleusValidationError for what is none."""
    try:
        return parse_options(value)
    except ValueError as error:
        raise NucleusValidationError("options", str(error)) from None


class EvaluationState(StrEnum):
    """Life of an evaluation."""

    PENDING = "pending"
    COMPUTING = "computing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """True when the state is final."""
        return self not in {EvaluationState.PENDING, EvaluationState.COMPUTING}


def _decoded(value: Any) -> Any:
    """Undo the JSON-in-a-string that some servers send; what does not parse reads as absent."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _rollups(value: Any) -> Any:
    """Read rollup groups as the official client does: malformed entries are dropped."""
    groups = _decoded(value)
    if not isinstance(groups, list):
        return None
    read = []
    for group in groups:
        try:
            read.append(group if isinstance(group, RollupGroup) else RollupGroup.from_wire(group))
        except NucleusValidationError:
            continue
    return read


_Rollups = Annotated[list[RollupGroup] | None, BeforeValidator(_rollups)]
_Rules = Annotated[list[dict[str, Any]] | None, BeforeValidator(_decoded)]
_Stats = Annotated[dict[str, Any] | None, BeforeValidator(_decoded)]


class EvaluationNote(Answer):
    """One thing to know about the numbers of an evaluation: its kind, how many objects it is about, a sentence."""

    note: str
    count: int = 0
    text: str = ""


class Evaluation(Answer):
    """An evaluation of a model (or, deprecated, of a model run) against a benchmark."""

    id: str
    status: str
    model_id: str | None = None
    model_run_id: str | None = None
    dataset_id: str | None = None
    name: str | None = None
    temporal_workflow_id: str | None = None
    error_message: str | None = None
    created_at: str | None = None
    benchmark_id: str | None = None
    slice_id: str | None = None
    rollup_groups: _Rollups = None
    exclusion_rules: _Rules = None
    exclusion_stats: _Stats = None
    options: dict[str, Any] | None = None
    """The choices in the definition of the numbers; None from a Nucleus that has none."""
    notes: list[EvaluationNote] | None = None
    """Filled by the embedded Nucleus once it has succeeded."""

    @property
    def state(self) -> EvaluationState:
        """The status; an unknown one counts as failed, never as success."""
        try:
            return EvaluationState(self.status)
        except ValueError:
            return EvaluationState.FAILED


class EvaluationPreset(Answer):
    """A saved configuration of rollups and exclusion rules, private to the user who made it."""

    id: str
    name: str
    rollup_groups: _Rollups = Field(
        default=None, validation_alias=AliasChoices("rollup_groups", "rollupGroups")
    )
    exclusion_rules: _Rules = Field(
        default=None, validation_alias=AliasChoices("exclusion_rules", "exclusionRules")
    )
    created_by_user_id: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    deleted_at: str | None = None
