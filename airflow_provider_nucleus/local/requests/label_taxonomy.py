"""How an evaluation sees labels: grouped, all alike, or as they are, and which different ones may match."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Any, Final, Self

from airflow_provider_nucleus.local.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AS_THEY_ARE", "ONE_CLASS", "RollupGroup", "Taxonomy", "rollup_groups"]

ONE_CLASS: Final = "object"
"""The label everything has when labels are ignored."""


@dataclass(frozen=True, slots=True)
class RollupGroup:
    """Labels that are evaluated together under one name."""

    class_name: str
    labels: tuple[str, ...]

    def to_wire(self) -> dict[str, Any]:
        """Return the group as clients send and read it."""
        return {"class_name": self.class_name, "labels": list(self.labels)}


def rollup_groups(value: Any, *, field: str = "rollup_groups") -> tuple[RollupGroup, ...]:
    """Read groups with keys in snake_case; raises :class:`BadRequestError` naming the group that is wrong.

    A label belongs to at most one group, and two groups have two names.
    """
    if not isinstance(value, list):
        raise BadRequestError(f"{field} must be a list of groups.")
    groups = tuple(starmap(lambda place, entry: _group(entry, f"{field}[{place}]"), enumerate(value)))
    names: set[str] = set()
    owner: dict[str, str] = {}
    for place, group in enumerate(groups):
        if group.class_name in names:
            raise BadRequestError(f"{field}[{place}]: there are two groups called {group.class_name!r}.")
        names.add(group.class_name)
        for label in group.labels:
            if label in owner:
                raise BadRequestError(
                    f"{field}[{place}]: label {label!r} is in group {owner[label]!r} already; a label belongs to one group."
                )
            owner[label] = group.class_name
    return groups


def _group(entry: Any, field: str) -> RollupGroup:
    if not isinstance(entry, dict) or set(entry) != {"class_name", "labels"}:
        raise BadRequestError(f"{field} must be an object with class_name and labels.")
    name, labels = entry["class_name"], entry["labels"]
    if not isinstance(name, str) or not name:
        raise BadRequestError(f"{field}.class_name must be a non-empty string.")
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise BadRequestError(f"{field}.labels must be a non-empty list of strings.")
    if len(set(labels)) != len(labels):
        raise BadRequestError(f"{field}.labels has a label twice.")
    return RollupGroup(name, tuple(labels))


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """At most one of the three: groups, ``class_agnostic`` (labels ignored), or directed pairs that count as right.

    ``pairs`` are (ground truth label, prediction label), raw.
    """

    groups: tuple[RollupGroup, ...] = ()
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
        """Read what :meth:`to_wire` has written."""
        return cls(
            groups=tuple(
                RollupGroup(group["class_name"], tuple(group["labels"])) for group in data["groups"]
            ),
            class_agnostic=data["class_agnostic"],
            pairs=tuple((pair[0], pair[1]) for pair in data["pairs"]),
        )


AS_THEY_ARE: Final = Taxonomy()
