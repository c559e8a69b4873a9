"""Templated arguments become values here, and nowhere else.

Every operator and sensor says of each templated argument what kind of value it is (`templated`). A template renders to text, with
`render_template_as_native_obj` to whatever the text looks like, and the output of another task is anything at all; `read` makes of
each the one form that the task works with, or refuses it in the words of `ArgumentError`, before anything is created. Reading a value
that was read changes nothing. Nothing is empty text: a template that found nothing renders to `""`, `"None"` or None.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_provider_nucleus.gating.policy import Policy
from airflow_provider_nucleus.sources.mapping import RowMapping
from airflow_provider_nucleus.tasks.rendered_values import (
    TEXT_IN_EFFECT,
    ArgumentError,
    as_list_or_path,
    as_path_or_address,
    as_text,
    decoded,
    excerpt,
    is_blank,
    is_path,
    json_copy,
    mismatch,
)

__all__ = [
    "CONFIDENCE",
    "COUNT",
    "DOCUMENT",
    "DOCUMENTS",
    "FLAG",
    "FOLDER",
    "ID",
    "IDS",
    "MAPPING",
    "OBJECT",
    "OBJECTS",
    "PLACE",
    "POLICY",
    "SOURCE",
    "TEXT",
    "TEXTS",
    "ArgumentKind",
    "NumberArgument",
    "required",
]


@dataclass(frozen=True, slots=True)
class ArgumentKind(ABC):
    """The meaning of one templated argument. `text`: it is text as it was written, so that it is never rendered to anything else."""

    text: bool = False

    @abstractmethod
    def read(self, value: Any) -> Any:
        """Return the value that *value* means, as the task works with it; raises ArgumentError."""


@dataclass(frozen=True, slots=True)
class _Required(ArgumentKind):
    """A kind of argument that must not be empty."""

    kind: ArgumentKind = field(kw_only=True)

    def read(self, value: Any) -> Any:
        """Read as the kind does."""
        read = None if is_blank(value) else self.kind.read(value)
        if read is None or (read == [] and not isinstance(self.kind, SourceArgument)):
            raise ArgumentError(
                "is empty",
                "Give it a value; if it is a template, look at what it renders to in the task's Rendered tab.",
            )
        return read


@dataclass(frozen=True, slots=True)
class TextArgument(ArgumentKind):
    """Text, None when it is empty."""

    text: bool = True

    def read(self, value: Any) -> str | None:
        """Return text as it is, and a number or a date as a template writes it."""
        return None if is_blank(value) else as_text(value, "text")


@dataclass(frozen=True, slots=True)
class IdArgument(TextArgument):
    """An id of Nucleus, None when it is empty."""

    def read(self, value: Any) -> str | None:
        """Return the id without the blanks around it."""
        return None if is_blank(value) else as_text(value, "an id").strip()


@dataclass(frozen=True, slots=True)
class FlagArgument(ArgumentKind):
    """True or false; empty is false."""

    def read(self, value: Any) -> bool:
        """Read the words that people write for it."""
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word in {"true", "1", "yes", "on"}:
            return True
        if word in {"false", "0", "no", "off", "", "none"}:
            return False
        raise ArgumentError(f"must be true or false, not {excerpt(value)}")


@dataclass(frozen=True, slots=True)
class NumberArgument(ArgumentKind):
    """A number between `low` and `high`, both included; never empty."""

    low: float = 0.0
    high: float = 1.0

    def read(self, value: Any) -> float:
        """Read a number, or text that spells one."""
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if not self.low <= number <= self.high:
            raise ArgumentError(f"must be a number from {self.low:g} to {self.high:g}, not {excerpt(value)}")
        return number


@dataclass(frozen=True, slots=True)
class CountArgument(ArgumentKind):
    """A whole number from 0 on; None when it is empty."""

    def read(self, value: Any) -> int | None:
        """Read a whole number, or text that spells one."""
        if is_blank(value):
            return None
        try:
            number = -1 if isinstance(value, bool) else int(value)
            whole = isinstance(value, str) or number == value
        except (TypeError, ValueError, OverflowError):
            number, whole = -1, False
        if number < 0 or not whole:
            raise ArgumentError(f"must be a whole number from 0 on, not {excerpt(value)}")
        return number


@dataclass(frozen=True, slots=True)
class ConfidenceArgument(ArgumentKind):
    """The least confidence of predictions that count, a number from 0 to 1, or `best`: each model's own cut; None when it is empty."""

    def read(self, value: Any) -> float | str | None:
        """Read a number, text that spells one, or the word."""
        if is_blank(value):
            return None
        if isinstance(value, str) and value.strip().lower() == "best":
            return "best"
        try:
            return NumberArgument(low=0, high=1).read(value)
        except ArgumentError as error:
            raise ArgumentError(f"{error}; or 'best'") from None


@dataclass(frozen=True, slots=True)
class TextsArgument(ArgumentKind):
    """A list of texts; one word is a list of one. Empty members are left out, or refused where each counts.

    `of` is the word for a member in messages.
    """

    of: str = "text"
    each_counts: bool = False

    def read(self, value: Any) -> list[str]:
        """Read a list, a text that spells one, or one word."""
        if is_blank(value):
            return []
        if isinstance(value, str):
            value = self._members(value.strip())
        elif isinstance(value, TEXT_IN_EFFECT):
            value = [str(value)]
        if isinstance(value, Mapping) or not isinstance(value, Iterable):
            raise ArgumentError(*mismatch(value, "a list of texts" if self.of == "text" else self.of))
        members = list(value)
        if self.each_counts and any(is_blank(member) for member in members):
            raise ArgumentError("is empty, in one of its members")
        return [as_text(member, self.of) for member in members if not is_blank(member)]

    def _members(self, text: str) -> Any:
        if text[0] in "[({\"'":
            found = decoded(text, "a list")
            return [found] if isinstance(found, str) else found
        if "," in text or "\n" in text:
            raise ArgumentError(
                f"is one text, {excerpt(text)}, where a list is expected",
                'Write a list: ["a", "b"]; a member may hold a comma.',
            )
        return [text]


@dataclass(frozen=True, slots=True)
class ObjectArgument(ArgumentKind):
    """A JSON object, None when it is empty. What is returned is a copy: Airflow shows the rendered one."""

    def read(self, value: Any) -> dict[str, Any] | None:
        """Read an object, or text that spells one."""
        if is_blank(value):
            return None
        if isinstance(value, str):
            value = decoded(value, "an object")
        if not isinstance(value, Mapping):
            raise ArgumentError(*mismatch(value, "an object with named members"))
        return json_copy(value)


@dataclass(frozen=True, slots=True)
class ObjectsArgument(ArgumentKind):
    """A list of JSON objects; one object is a list of one."""

    def read(self, value: Any) -> list[dict[str, Any]]:
        """Read a list, or text that spells one."""
        if is_blank(value):
            return []
        if isinstance(value, str):
            value = decoded(value, "a list of objects")
        members = [value] if isinstance(value, Mapping) or hasattr(value, "to_wire") else value
        if isinstance(members, str) or not isinstance(members, Iterable):
            raise ArgumentError(*mismatch(value, "a list of objects"))
        found = [member.to_wire() if hasattr(member, "to_wire") else member for member in members]
        for place, member in enumerate(found):
            if not isinstance(member, Mapping):
                raise ArgumentError(*mismatch(member, f"a list of objects, and member {place} is one"))
        return [json_copy(member) for member in found]


@dataclass(frozen=True, slots=True)
class MappingArgument(ArgumentKind):
    """The rules by which foreign rows become ours: a JSON object, or the RowMapping that it describes; None when it is empty."""

    def read(self, value: Any) -> Any:
        """Read an object, or text that spells one; a RowMapping is returned as it is."""
        if is_blank(value):
            return None
        if isinstance(value, str):
            value = decoded(value, "an object")
        if not isinstance(value, Mapping | RowMapping):
            raise ArgumentError(*mismatch(value, "an object with named members"))
        return value


@dataclass(frozen=True, slots=True)
class PlaceArgument(ArgumentKind):
    """A path or an address, as text or as a path object; None when it is empty. `~` is the home of the user that runs the task."""

    def read(self, value: Any) -> Any:
        """Return a path, with its home written out."""
        if is_blank(value):
            return None
        return as_path_or_address(value)


@dataclass(frozen=True, slots=True)
class FolderArgument(TextArgument):
    """A folder or an address as text; None when it is empty."""

    def read(self, value: Any) -> str | None:
        """Return a folder, with its home written out."""
        return None if is_blank(value) else str(as_path_or_address(value))


@dataclass(frozen=True, slots=True)
class SourceArgument(ArgumentKind):
    """Paths, or rows in memory; None when it is empty."""

    def read(self, value: Any) -> Any:
        """Return a path, a list of paths, or rows. Text that spells a list is that list; a pattern like `[ab]*.jsonl` is a path."""
        if is_blank(value):
            return None
        if isinstance(value, str) and value.strip()[0] in "[(":
            value = as_list_or_path(value)
        if isinstance(value, Mapping):
            raise ArgumentError(
                *mismatch(value, "a path, a list of paths, or a list of rows"),
            )
        if isinstance(value, list | tuple):
            return [as_path_or_address(member) if is_path(member) else member for member in value]
        return as_path_or_address(value) if is_path(value) else value


@dataclass(frozen=True, slots=True)
class DocumentArgument(ArgumentKind):
    """A document: an object, such as the output of another task, or the place where one is; None when it is empty.

    `several`: or the outputs of a mapped task, as a list of objects.
    """

    several: bool = False

    def read(self, value: Any) -> Any:
        """Return the object, or the place as text with its home written out."""
        if is_blank(value):
            return None
        if isinstance(value, str) and value.strip().startswith("{"):
            value = decoded(value, "an object")
        if isinstance(value, Mapping):
            return json_copy(value)
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            # What Airflow hands over of a mapped task is a sequence that is read as it is gone through.
            return self._read_all(list(value))
        if not is_path(value):
            raise ArgumentError(*mismatch(value, "an object, or the place of a document"))
        return str(as_path_or_address(value))

    def _read_all(self, values: list[Any]) -> list[Any]:
        if not self.several or not all(isinstance(one, Mapping) for one in values):
            raise ArgumentError(*mismatch(values, "an object, or the place of a document"))
        return [json_copy(one) for one in values]


@dataclass(frozen=True, slots=True)
class PolicyArgument(DocumentArgument):
    """A policy: typed, an object, its place, or YAML of several lines; None when it is empty."""

    def read(self, value: Any) -> Any:
        """Return a Policy, an object, a place or YAML as it is."""
        if isinstance(value, Policy) or (isinstance(value, str) and "\n" in value.strip()):
            return value
        # Two arguments: in a dataclass with slots, the short form of super() would name the class before it was made anew.
        return super(PolicyArgument, self).read(value)


TEXT: Final = TextArgument()
ID: Final = IdArgument()
CONFIDENCE: Final = ConfidenceArgument()
FLAG: Final = FlagArgument()
COUNT: Final = CountArgument()
TEXTS: Final = TextsArgument()
IDS: Final = TextsArgument(of="an id", each_counts=True)
OBJECT: Final = ObjectArgument()
OBJECTS: Final = ObjectsArgument()
DOCUMENT: Final = DocumentArgument()
DOCUMENTS: Final = DocumentArgument(several=True)
MAPPING: Final = MappingArgument()
PLACE: Final = PlaceArgument()
POLICY: Final = PolicyArgument()
FOLDER: Final = FolderArgument()
SOURCE: Final = SourceArgument()


def required(kind: ArgumentKind) -> ArgumentKind:
    """Return *kind* for an argument that must not be empty."""
    return _Required(kind.text, kind=kind)
