"""Rendered values: as text, as a path, or as what text holds in JSON or as a Python literal, whatever argument they are for."""

from __future__ import annotations

import ast
import datetime as dt
import decimal
import json
import os
import uuid
from collections.abc import Mapping
from numbers import Integral
from typing import Any, Final

__all__ = [
    "TEXT_IN_EFFECT",
    "ArgumentError",
    "as_list_or_path",
    "as_path_or_address",
    "as_text",
    "decoded",
    "excerpt",
    "is_blank",
    "is_path",
    "json_copy",
    "mismatch",
]  # fmt: skip

TEXT_IN_EFFECT: Final = (Integral, dt.date, dt.time, decimal.Decimal, uuid.UUID, os.PathLike)
"""Types whose text is unmistakable. A float is not among them: 1.10 and "1.10" differ, and which was meant is lost."""

_EXCERPT: Final = 80


class ArgumentError(ValueError):
    """A rendered argument is not what it should be; the text goes on after the argument's name."""

    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.hint = hint


def is_blank(value: Any) -> bool:
    """Return whether a rendered argument holds nothing; a template that found nothing renders to `""` or `"None"`."""
    return value is None or (isinstance(value, str) and value.strip() in {"", "None"})


def as_text(value: Any, what: str) -> str:
    """Return text as it is and a number or a date as a template writes it; *what* it should be, with its article, for the error."""
    if isinstance(value, str):
        _refuse_object(value, what)
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, TEXT_IN_EFFECT):
        return _whole(value)
    if isinstance(value, float):
        raise ArgumentError(
            f"must be {what}, not the number {value!r}",
            "A number with a fraction may have been spelled otherwise (1.10, 1e5): write it in quotes where it comes from.",
        )
    raise ArgumentError(*mismatch(value, what))


def _refuse_object(text: str, what: str) -> None:
    """Raise ArgumentError for the output of another task as a template writes it: an object with names, in full."""
    if not text.lstrip().startswith("{"):
        return
    try:
        found = decoded(text, what)
    except ArgumentError:
        return
    if isinstance(found, Mapping):
        raise ArgumentError(*mismatch(found, what))


def _whole(value: Any) -> str:
    """Return the text of a value whose text is unmistakable; a path with a template in it is none."""
    text = str(value)
    if isinstance(value, os.PathLike) and ("{{" in text or "{%" in text):
        raise ArgumentError(
            f"is a path object that holds a template, {excerpt(text)}",
            "Airflow renders text only: write the path as text.",
        )
    return text


def is_path(value: Any) -> bool:
    """Return whether a value is a path or an address, rather than rows."""
    return isinstance(value, (str, *TEXT_IN_EFFECT))


def as_path_or_address(value: Any) -> Any:
    """Return a path or an address; `~` is written out, and a path object stays one."""
    if isinstance(value, os.PathLike) or hasattr(value, "open"):
        text = _whole(value) if isinstance(value, os.PathLike) else str(value)
        return type(value)(_home(text)) if text.startswith("~") else value
    return _home(as_text(value, "a path"))


def _home(text: str) -> str:
    if not text.startswith("~"):
        return text
    written_out = os.path.expanduser(text)  # ruff: ignore[os-path-expanduser] - what it cannot write out stays as it is
    if written_out == text and (text == "~" or text.startswith("~/")):
        raise ArgumentError(
            f"begins with ~, and this machine knows no home, {excerpt(text)}", "Write the full path."
        )
    return written_out


def as_list_or_path(text: str) -> Any:
    """Return the list that *text* spells, or *text* when it is the name of a file."""
    try:
        found = decoded(text, "a list")
    except ArgumentError:
        return text
    return list(found) if isinstance(found, list | tuple) else text


def decoded(text: str, what: str) -> Any:
    """Return what text spells as JSON or as a Python literal, which is how a template writes an object."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ArgumentError(
            f"must be {what}, and {excerpt(text)} spells none, neither as JSON nor as a Python literal",
            "A template like {{ value | tojson }} writes JSON.",
        ) from None


def json_copy(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deep copy as JSON holds it, dates and the like as their text."""
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False, default=_json_text))
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"is not JSON: {error}") from None
    return copy


def _json_text(value: Any) -> str:
    if isinstance(value, TEXT_IN_EFFECT):
        return _whole(value)
    raise TypeError(f"it holds a {type(value).__name__}")


def mismatch(value: Any, what: str) -> tuple[str, str | None]:
    """Return what is wrong with a value of a foreign type, and what to do about the output of another task."""
    hint = "Of what another task returned, take the member: `task.output['{name}']`."
    content = f" ({excerpt(value)})" if isinstance(value, int | float | str) else ""
    problem = f"must be {what}, not {_with_article(type(value).__name__)}{content}"
    return problem, hint if isinstance(value, Mapping) else None


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"


def excerpt(value: Any) -> str:
    """Return a value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"
