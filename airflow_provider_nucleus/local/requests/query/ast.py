"""The shape of a query once it is read: comparisons joined by AND and OR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "Arithmetic",
    "Comparison",
    "Condition",
    "Date",
    "Junction",
    "Number",
    "Path",
    "Term",
    "Text",
    "Value",
]


@dataclass(frozen=True, slots=True)
class Path:
    """A name such as `annotations.car` by its segments."""

    segments: tuple[str, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float
    position: int


@dataclass(frozen=True, slots=True)
class Text:
    """A bare word or quoted string."""

    value: str
    position: int


@dataclass(frozen=True, slots=True)
class Date:
    """A calendar day, `YYYY-MM-DD`."""

    value: str
    position: int


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left` `+`, `-` or `%` `right`."""

    operator: str
    left: Term
    right: Term
    position: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A term compared with a value by `=`, `!=`, `<`, `<=`, `>` or `>=`."""

    operator: str
    left: Term
    right: Value
    position: int


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by one of `AND` and `OR`."""

    operator: str
    parts: tuple[Condition, ...]
    position: int


Value: TypeAlias = Number | Text | Date
Term: TypeAlias = Path | Number | Arithmetic
Condition: TypeAlias = Comparison | Junction
