"""The normal form of COCO ids: 2299 and "2299" are one id, for real files mix the two.

An id is a whole number of any size, or text. Text of digits is the number it spells; a number with a fraction, or one so large that a
decimal point made it inexact, is no id, and neither is `true`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_nucleus.coco.errors import CocoError, excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Identifier", "id_of", "normal_id"]

Identifier: TypeAlias = int | str

_EXACT = 2.0**53
_NUMBER = re.compile(r"-?[1-9][0-9]{0,999}|0")
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")


def normal_id(value: Any, field: str = "id") -> Identifier:
    """Return an id in its normal form; raises CocoError under the name of *field*."""
    kind = type(value)
    if kind is int:
        return value  # type: ignore[no-any-return]
    if kind is str and value and not value.isspace():
        if _HALF_PAIR.search(value):
            raise CocoError(
                field, f"contains half of a surrogate pair, which is not valid text: {excerpt(value)}"
            )
        return int(value) if _NUMBER.fullmatch(value) else value
    if kind is float and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if value is None:
        raise CocoError(field, "is missing")
    raise CocoError(field, f"must be a whole number or text, got {excerpt(value)}")


def id_of(row: Mapping[str, Any], field: str) -> Identifier:
    """Return the id that a row has under the name of *field*."""
    value = row.get(field)
    return value if type(value) is int else normal_id(value, field)
