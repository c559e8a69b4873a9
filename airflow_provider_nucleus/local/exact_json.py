"""JSON to which nothing is lost: integers of any size keep their digits."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import orjson

from airflow_provider_nucleus.local.errors import BadRequestError, TooLargeError
from airflow_provider_nucleus.long_numbers import has_long_numbers

__all__ = ["DEEPEST", "dump_json", "json_text", "parse_json", "parse_request"]

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")

_PARTS_LIMIT: Final = 2_000_000
"""Objects and lists in one request: an empty one takes three bytes of a body and many times that in memory."""
_VALUES_LIMIT: Final = 10_000_000

DEEPEST: Final = 250
"""Levels that orjson can write, a few left for what an answer is wrapped in."""


def parse_json(text: bytes | str, *, what: str) -> Any:
    """Parse JSON without losing a digit; raises `BadRequestError` naming `what` if it is not JSON."""
    try:
        raw = text if isinstance(text, bytes) else text.encode()
        if not has_long_numbers(raw):
            return orjson.loads(raw)
        value = json.loads(raw, parse_constant=_refuse, parse_float=_finite)
        if _SURROGATE.search(raw):
            # The standard library lets half a character through, which nothing can store or send.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"{what} is not valid JSON: {error}.") from error
    else:
        return value


def parse_request(text: bytes | str, *, what: str) -> Any:
    """Parse JSON that somebody has sent; raises `TooLargeError` before more values are made than a server has memory for.

    What separates values is counted in texts as well, so that of very long texts less is taken.
    """
    raw = text if isinstance(text, bytes) else text.encode(errors="replace")
    for limit, marks, kind in ((_PARTS_LIMIT, b"{[", "objects and lists"), (_VALUES_LIMIT, b",", "values")):
        # Of a mark each there are no more than bytes.
        if len(raw) > limit and sum(raw.count(mark) for mark in marks) > limit:
            raise TooLargeError(
                f"{what} has more than {limit:,} {kind}; send its rows in several requests, or as a file for a job."
            )
    return parse_json(text, what=what)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large for a number")
    return value


def dump_json(value: Any) -> bytes:
    """Serialise plain values and fragments of JSON, as orjson does, and integers of any size too.

    Raises `BadRequestError` for values nested deeper than 250 levels.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_exact(value))


def json_text(value: Any) -> str:
    """Return what `dump_json` does as text, for a column of the store."""
    return dump_json(value).decode()


def _exact(value: Any, depth: int = 0) -> Any:
    """Return a value in which integers beyond 64 bits, which orjson refuses, are text of JSON already."""
    if depth > DEEPEST:
        raise BadRequestError(f"JSON nested deeper than {DEEPEST} levels is not taken.")
    if isinstance(value, dict):
        return {name: _exact(entry, depth + 1) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(entry, depth + 1) for entry in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return orjson.Fragment(str(value))
    return value
