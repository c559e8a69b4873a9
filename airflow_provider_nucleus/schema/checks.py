"""The value rules every travelling object shares: text, numbers, confidences, distributions, metadata.

A check returns the value to keep or raises ValueError with the reason alone; the caller knows the field. Checks keep what
they accept byte for byte (an int stays an int, because automatic annotation ids spell numbers out); only NumPy scalars
become plain Python numbers, since JSON knows no other.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

from airflow_provider_nucleus.dot_ids import DOT_ID_PROBLEM, DOT_IDS

__all__ = [
    "CLASS_PDF_TOLERANCE",
    "COORDINATE_LIMIT",
    "check_class_pdf",
    "check_confidence",
    "check_coordinate",
    "check_embedding",
    "check_extent",
    "check_flag",
    "check_id",
    "check_label",
    "check_metadata",
    "check_nullable_metadata",
    "check_number",
    "check_optional_id",
    "check_optional_text",
    "check_position",
    "check_text",
    "excerpt",
]

COORDINATE_LIMIT = 2.0**53
"""Largest magnitude of a coordinate: beyond it neighbouring integers blur and areas overflow."""

CLASS_PDF_TOLERANCE = 0.01
"""Largest distance of the sum of a class distribution from 1: room for probabilities rounded to a few digits, no more."""

_METADATA_DEPTH = 64
_LARGEST = sys.float_info.max


def excerpt(value: object) -> str:
    """Spell a refused value for a message, shortened so that no payload ends up in a log."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refused(wanted: str, value: object) -> ValueError:
    return ValueError("is missing" if value is None else f"{wanted}, got {excerpt(value)}")


def check_text(value: Any) -> str:
    """Require text with at least one visible character that survives UTF-8."""
    if type(value) is not str and not isinstance(value, str):
        raise _refused("must be text", value)
    if not value or value.isspace():
        raise ValueError("must not be empty")
    if not value.isascii():
        _check_utf8(value)
    # Enum members that are strings travel as their value.
    return value if type(value) is str else str.__str__(value)


def check_label(value: Any) -> str:
    """Require text as above; a number in its place is a class whose name is missing."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(  # ruff: ignore[type-check-without-type-error]
            f"must be text, got {value!r}: class {value!r} has no name, which a mapping gives: labels={{{value!r}: ...}}"
        )
    return check_text(value)


def check_optional_text(value: Any) -> str | None:
    """Require text as above, or None for "not set"."""
    return None if value is None else check_text(value)


def check_id(value: Any) -> str:
    """Require text that is a part of an address and stays one."""
    text = check_text(value)
    if text in DOT_IDS:
        raise ValueError(DOT_ID_PROBLEM)
    return text


def check_optional_id(value: Any) -> str | None:
    """Require an id as above, or None for "not set"."""
    return None if value is None else check_id(value)


def _check_utf8(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        # One such row would make strict JSON readers refuse the whole batch it travels in.
        raise ValueError("contains half of a surrogate pair, which is not valid text") from None


def check_flag(value: Any) -> bool:
    """Require a real boolean; 0, 1 and "false" are too easily meant otherwise."""
    if isinstance(value, bool):
        return value
    if type(value).__module__ == "numpy" and type(value).__name__ in {"bool", "bool_"}:
        return bool(value)
    raise ValueError(f"must be true or false, got {excerpt(value)}")


def check_number(value: Any) -> int | float:
    """Require a finite number that is not a boolean."""
    kind = type(value)
    if kind is not float and kind is not int:
        value = _plain_number(value)
    if type(value) is float and not math.isfinite(value):
        raise ValueError(f"must be a finite number, got {value}")
    if type(value) is int and abs(value) > _LARGEST:
        raise ValueError(f"is too large for a number: {excerpt(value)}")
    return value  # type: ignore[no-any-return]


def _plain_number(value: Any) -> int | float:
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _refused("must be a number", value)
    return float(value) if isinstance(value, float) else int(value)


def check_position(value: Any) -> int:
    """Require a whole number; true and 1.0 are none."""
    number = check_number(value)
    if type(number) is not int:
        raise ValueError(f"must be a whole number, got {excerpt(value)}")
    return number


def check_coordinate(value: Any) -> int | float:
    """Require a finite number small enough to calculate areas with."""
    number = check_number(value)
    if not -COORDINATE_LIMIT <= number <= COORDINATE_LIMIT:
        raise ValueError(f"is too large for a coordinate: {excerpt(number)}")
    return number


def check_extent(value: Any) -> int | float:
    """Require a coordinate that is not negative: a width, height or other dimension."""
    number = check_coordinate(value)
    if number < 0:
        raise ValueError(f"must not be negative, got {excerpt(number)}")
    return number


def check_confidence(value: Any) -> int | float | None:
    """Require a probability from 0 to 1 inclusive, or None."""
    if value is None:
        return None
    number = check_number(value)
    if not 0 <= number <= 1:
        raise ValueError(f"must lie between 0 and 1, got {excerpt(number)}")
    return number


def check_class_pdf(value: Any) -> dict[str, float] | None:
    """Require a complete distribution over labels, summing to 1 within `CLASS_PDF_TOLERANCE`, or None."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _refused("must map labels to probabilities", value)
    kept: dict[str, float] = {}
    for label, probability in value.items():
        try:
            kept[check_text(label)] = _probability(probability)
        except ValueError as problem:
            raise ValueError(f"entry {excerpt(label)} {problem}") from None
    total = math.fsum(kept.values())
    if abs(total - 1) > CLASS_PDF_TOLERANCE:
        raise ValueError(f"must sum to 1 (within {CLASS_PDF_TOLERANCE}), sums to {total:.6g}")
    return kept


def _probability(value: Any) -> float:
    number = check_confidence(value)
    if number is None:
        raise ValueError("is missing")
    return number


def check_embedding(value: Any) -> list[int | float] | None:
    """Require a non-empty list of finite numbers, or None."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or not value:
        raise _refused("must be a non-empty list of numbers", value)
    return [check_number(number) for number in value]


def check_metadata(value: Any) -> dict[str, Any]:
    """Require what JSON can carry: an object with text keys and finite numbers. None becomes `{}`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _refused("must be an object", value)
    if value:
        _check_json_object(value, "", 1)
    return value


def check_nullable_metadata(value: Any) -> dict[str, Any] | None:
    """Require the same, and keep None where the wire tells null from `{}`."""
    return None if value is None else check_metadata(value)


def _check_json_object(value: Mapping[Any, Any], path: str, depth: int) -> None:
    for key, member in value.items():
        if type(key) is not str:
            raise ValueError(f"has a key that is not text{_inside(path)}: {excerpt(key)}")
        if not key.isascii():
            _check_utf8(key)
        _check_json(member, f"{path}.{key}" if path else key, depth)


def _check_json(value: Any, path: str, depth: int) -> None:
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _check_utf8(value)
    elif kind is float:
        if not math.isfinite(value):
            raise ValueError(f"holds {value}{_inside(path)}, which JSON cannot carry")
    elif kind is int or kind is bool or value is None:
        pass
    elif depth >= _METADATA_DEPTH:
        raise ValueError(f"is nested deeper than {_METADATA_DEPTH} levels{_inside(path)}")
    elif isinstance(value, dict):
        _check_json_object(value, path, depth + 1)
    elif isinstance(value, (list, tuple)):
        for position, member in enumerate(value):
            _check_json(member, f"{path}.{position}", depth + 1)
    elif not isinstance(value, (str, int)) and not (isinstance(value, float) and math.isfinite(value)):
        raise ValueError(f"holds a {kind.__name__}{_inside(path)}, which JSON cannot carry")


def _inside(path: str) -> str:
    return f" under {path!r}" if path else ""
