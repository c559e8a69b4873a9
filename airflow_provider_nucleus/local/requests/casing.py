"""Keys in two casings: clients of Evaluations V2 write snake_case or camelCase, one of which is used here."""

from __future__ import annotations

import re
from typing import Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.exact_json import DEEPEST

__all__ = ["camel_case", "snake_case", "snake_keys"]

_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OPAQUE: Final = frozenset({"metadata", "value"})
"""Fields whose content belongs to the user and keeps its keys."""


def snake_case(key: str) -> str:
    """Return a key in snake_case."""
    return _BOUNDARY.sub("_", key).lower()


def camel_case(key: str) -> str:
    """Return a key in camelCase."""
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)


def snake_keys(value: Any, depth: int = 0) -> Any:
    """Return JSON with every key in snake_case, except below `metadata` and `value`.

    Raises `BadRequestError` for JSON that is nested deeper than it could be written back.
    """
    if depth > DEEPEST:
        raise BadRequestError(f"JSON nested deeper than {DEEPEST} levels is not taken.")
    if isinstance(value, dict):
        named = {snake_case(key): entry for key, entry in value.items()}
        return {
            key: entry if key in _OPAQUE else snake_keys(entry, depth + 1) for key, entry in named.items()
        }
    if isinstance(value, list):
        return [snake_keys(entry, depth + 1) for entry in value]
    return value
