"""Readers of answers that several resources share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.base import require_object

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["as_is", "list_of", "member", "nothing", "text_list", "text_member"]

T = TypeVar("T")


def as_is(payload: Any) -> Any:
    """Return the answer as the server gave it."""
    return payload


def nothing(_: Any) -> None:
    """Ignore the answer."""


def list_of(read: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    """Read a JSON list of objects."""

    def read_all(payload: Any) -> list[T]:
        if not isinstance(payload, list):
            raise NucleusValidationError("", "is not a list")
        return [read(each) for each in payload]

    return read_all


def member(name: str) -> Callable[[Any], Any]:
    """Read one member of an object; it must be there."""

    def read(payload: Any) -> Any:
        value = require_object(payload, "the answer").get(name)
        if value is None:
            raise NucleusValidationError(name, "is missing")
        return value

    return read


def text_member(name: str) -> Callable[[Any], str]:
    """Read one member of an object as text; it must be there."""

    def read(payload: Any) -> str:
        return str(member(name)(payload))

    return read


def text_list(payload: Any) -> list[str]:
    """Read a JSON list of texts; null reads as none."""
    if payload is None:
        return []
    if not isinstance(payload, list):
        raise NucleusValidationError("", "is not a list")
    return [str(each) for each in payload]
