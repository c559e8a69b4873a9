"""Predicates on metadata, as filters and exclusion rules have them: key, operator, value.

An object without the key satisfies none. Numbers compare with numbers, text with text; a number written as text is
text. GT and LT compare ISO dates as the text they are.
"""

from __future__ import annotations

import sys
from typing import Any, Literal, TypeAlias

import orjson
from pydantic import ConfigDict, ValidationInfo, field_validator

from airflow_provider_nucleus.local.requests.base import Name, RequestModel
from airflow_provider_nucleus.local.requests.query.compile import Fragment

__all__ = ["Predicate"]

Operator: TypeAlias = Literal["EQ", "IN", "GT", "LT"]
Scalar: TypeAlias = str | int | float | bool | None


class Predicate(RequestModel):
    """One comparison of a metadata field with a value, or with several (IN)."""

    model_config = ConfigDict(extra="forbid", validate_default=True)

    key: Name
    op: Operator
    value: Any = None

    @field_validator("value")
    @classmethod
    def _fits_operator(cls, value: Any, info: ValidationInfo) -> Any:
        op = info.data.get("op")
        if op == "IN" and (not isinstance(value, list) or not value):
            raise ValueError("must be a non-empty list for IN")
        values = value if op == "IN" else [value]
        if not all(_is_scalar(one) for one in values):
            raise ValueError("must be text, a number, true, false or null")
        if op in {"GT", "LT"} and (isinstance(value, bool) or not isinstance(value, str | int | float)):
            raise ValueError(f"must be a number or text for {op}")
        return value

    @property
    def values(self) -> tuple[Scalar, ...]:
        """The values the field is compared with."""
        return tuple(self.value) if self.op == "IN" else (self.value,)

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
        texts = [value for value in self.values if isinstance(value, str)]
        numbers = [
            float(value)
            for value in self.values
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if self.op not in {"EQ", "IN"}:
            sign = ">" if self.op == "GT" else "<"
            return (
                self._text(column, f"{sign} ?", texts[0])
                if texts
                else self._number(column, f"{sign} ?", numbers[0])
            )
        alternatives: list[Fragment] = []
        # All values of a type are looked up together: a list may have thousands.
        if texts:
            alternatives.append(self._text(column, "IN (SELECT unnest(?::VARCHAR[]))", texts))
        if numbers:
            alternatives.append(self._number(column, "IN (SELECT unnest(?::DOUBLE[]))", numbers))
        others = {orjson.dumps(value) for value in self.values if value is None or isinstance(value, bool)}
        alternatives += [
            Fragment(f"json_extract({column}, ?) = ?::JSON", (_path(self.key), other.decode()))
            for other in sorted(others)
        ]
        joined = alternatives[0]
        for alternative in alternatives[1:]:
            joined = joined + " OR " + alternative
        return Fragment("(") + joined + ")"

    def _text(self, column: str, compared: str, wanted: Any) -> Fragment:
        """Compare text; a value of another type satisfies nothing."""
        path = _path(self.key)
        return Fragment(
            f"(json_extract_string({column}, ?) {compared} AND json_type({column}, ?) = 'VARCHAR')",
            (path, wanted, path),
        )

    def _number(self, column: str, compared: str, wanted: Any) -> Fragment:
        """Compare numbers; a value of another type satisfies nothing."""
        # As JSON, so that text keeps its quotes and is no number: one look at the document instead of two.
        return Fragment(
            f"(TRY_CAST(CAST(json_extract({column}, ?) AS VARCHAR) AS DOUBLE) {compared})",
            (_path(self.key), wanted),
        )


def _is_scalar(value: Any) -> bool:
    if isinstance(value, int | float):
        return abs(value) <= sys.float_info.max
    return value is None or isinstance(value, str)


def _path(key: str) -> str:
    """Return the JSON pointer of a top-level key, whatever characters it has."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
