"""JSON to which nothing is lost: integers of any size keep their digits."""

from __future__ import annotations

from typing import Any, Final

import orjson

from airflow_provider_nucleus.local.errors import BadRequestError

__all__ = ["dump_json", "json_text"]

_DEEPEST: Final = 250
"""Levels that orjson can write, a few left for what an answer is wrapped in."""


def dump_json(value: Any) -> bytes:
    """Serialise plain values and fragments of JSON, as orjson does, and integers of any size too.

    Raises :class:`BadRequestError` for values nested deeper than 250 levels.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_exact(value))


def json_text(value: Any) -> str:
    """Return what :func:`dump_json` does as text, for a column of the store."""
    return dump_json(value).decode()


def _exact(value: Any, depth: int = 0) -> Any:
    """Return a value in which integers beyond 64 bits, which orjson refuses, are text of JSON already."""
    if depth > _DEEPEST:
        raise BadRequestError(f"JSON nested deeper than {_DEEPEST} levels is not taken.")
    if isinstance(value, dict):
        return {name: _exact(entry, depth + 1) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(entry, depth + 1) for entry in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return orjson.Fragment(str(value))
    return value
