"""Predicates on metadata, as filters and exclusion rules have them: key, operator, value.

An object without the key satisfies none. Numbers compare with numbers, text with text; a number written as text is
text. GT and LT compare ISO dates as the text they are.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import orjson

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.query.compile import Fragment

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Predicate", "predicate"]

Operator: TypeAlias = Literal["EQ", "IN", "GT", "LT"]
Scalar: TypeAlias = str | int | float | bool | None

_OPERATORS: Final[Mapping[str, Operator]] = {"EQ": "EQ", "IN": "IN", "GT": "GT", "LT": "LT"}
_FIELDS: Final = frozenset({"key", "op", "value"})


@dataclass(frozen=True, slots=True)
class Predicate:
    """One comparison of a metadata field with a value, or with several (IN)."""

    key: str
    op: Operator
    values: tuple[Scalar, ...]

    def to_wire(self) -> dict[str, Any]:
        """Return the predicate as clients send it."""
        return {
            "key": self.key,
            "op": self.op,
            "value": list(self.values) if self.op == "IN" else self.values[0],
        }

    def condition(self, column: str) -> Fragment:
        """Return the SQL condition on a column of JSON text.

        The comparison comes before the check of the type: it is the cheaper one, and few rows are left for the other.
        """
        if self.op in {"EQ", "IN"}:
            alternatives = [self._equal(column, wanted) for wanted in self.values]
            joined = alternatives[0]
            for alternative in alternatives[1:]:
                joined = joined + " OR " + alternative
            return Fragment("(") + joined + ")"
        limit = self.values[0]
        assert isinstance(limit, str | int | float), (
            "what GT and LT compare with is checked when they are read"
        )
        return self._compared(column, ">" if self.op == "GT" else "<", limit)

    def _equal(self, column: str, wanted: Scalar) -> Fragment:
        if isinstance(wanted, str | int | float) and not isinstance(wanted, bool):
            return self._compared(column, "=", wanted)
        return Fragment(
            f"json_extract({column}, ?) = ?::JSON", (_path(self.key), orjson.dumps(wanted).decode())
        )

    def _compared(self, column: str, sign: str, limit: str | float) -> Fragment:
        """Compare text with text and numbers with numbers; a value of another type satisfies nothing."""
        path = _path(self.key)
        value, types = f"json_extract_string({column}, ?)", "'VARCHAR'"
        if not isinstance(limit, str):
            value, types = f"TRY_CAST({value} AS DOUBLE)", "'UBIGINT', 'BIGINT', 'DOUBLE', 'HUGEINT'"
            limit = float(limit)
        return Fragment(f"({value} {sign} ? AND json_type({column}, ?) IN ({types}))", (path, limit, path))


def predicate(entry: Any, *, field: str) -> Predicate:
    """Read a predicate; raises :class:`BadRequestError` naming ``field``."""
    if not isinstance(entry, dict) or not set(entry) <= _FIELDS:
        raise BadRequestError(f"{field} must be an object with key, op and value.")
    key, op, value = entry.get("key"), entry.get("op"), entry.get("value")
    if not isinstance(key, str) or not key:
        raise BadRequestError(f"{field}.key must be a non-empty string.")
    if not isinstance(op, str) or op not in _OPERATORS:
        raise BadRequestError(f"{field}.op must be EQ, IN, GT or LT, not {op!r}.")
    if op == "IN":
        if not isinstance(value, list) or not value:
            raise BadRequestError(f"{field}.value must be a non-empty list for IN.")
        values = tuple(value)
    else:
        values = (value,)
    if not all(_is_scalar(one) for one in values):
        raise BadRequestError(f"{field}.value must be text, a number, true, false or null.")
    if op in {"GT", "LT"} and (isinstance(values[0], bool) or not isinstance(values[0], str | int | float)):
        raise BadRequestError(f"{field}.value must be a number or text for {op}.")
    return Predicate(key, _OPERATORS[op], values)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, int | float):
        return abs(value) <= sys.float_info.max
    return value is None or isinstance(value, str)


def _path(key: str) -> str:
    """Return the JSON pointer of a top-level key, whatever characters it has."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
