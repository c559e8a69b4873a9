"""Labels as an evaluation sees them: grouped, all alike, or as they are, and which different ones may match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Self, TypeAlias

from pydantic import AfterValidator, ConfigDict, field_validator

from airflow_provider_nucleus.local.requests.base import Labels, Name, RequestModel

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ONE_CLASS", "LabelGroup", "RollupGroups", "Taxonomy"]

ONE_CLASS: Final = "object"
"""The label everything has when labels are ignored."""


class LabelGroup(RequestModel):
    """Labels that are evaluated together under one name."""

    model_config = ConfigDict(extra="forbid")

    class_name: Name
    labels: Labels

    @field_validator("labels", mode="before")
    @classmethod
    def _once(cls, labels: Any) -> Any:
        texts = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
        if texts and len(set(labels)) != len(labels):
            raise ValueError("has a label twice")
        return labels

    def to_wire(self) -> dict[str, Any]:
        """Return the group as clients send and read it."""
        return {"class_name": self.class_name, "labels": list(self.labels)}


def _disjoint(groups: list[LabelGroup]) -> list[LabelGroup]:
    """Check that a label belongs to at most one group, and that two groups have two names."""
    names: set[str] = set()
    owner: dict[str, str] = {}
    for group in groups:
        if group.class_name in names:
            raise ValueError(f"has two groups called {group.class_name!r}")
        names.add(group.class_name)
        for label in group.labels:
            if label in owner:
                raise ValueError(
                    f"has a label in two groups: {label!r} is in group {owner[label]!r} already; a label belongs to one group"
                )
            owner[label] = group.class_name
    return groups


RollupGroups: TypeAlias = Annotated[list[LabelGroup], AfterValidator(_disjoint)]
"""Groups as a request lists them, with keys in snake_case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """At most one of the three: groups, `class_agnostic` (labels ignored), or directed pairs that count as right.

    `pairs` are (ground truth label, prediction label), raw.
    """

    groups: tuple[LabelGroup, ...] = ()
    class_agnostic: bool = False
    pairs: tuple[tuple[str, str], ...] = ()

    def canonical(self, label: str) -> str:
        """Return the name under which a raw label is evaluated; one outside all groups keeps its own."""
        if self.class_agnostic:
            return ONE_CLASS
        for group in self.groups:
            if label in group.labels:
                return group.class_name
        return label

    def to_wire(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "groups": [group.to_wire() for group in self.groups],
            "class_agnostic": self.class_agnostic,
            "pairs": [list(pair) for pair in self.pairs],
        }

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_wire` has written."""
        return cls(
            groups=tuple(
                LabelGroup(class_name=group["class_name"], labels=tuple(group["labels"]))
                for group in data["groups"]
            ),
            class_agnostic=data["class_agnostic"],
            pairs=tuple((pair[0], pair[1]) for pair in data["pairs"]),
        )
