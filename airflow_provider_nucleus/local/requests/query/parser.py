"""Parser of queries: tokens to a condition.

::

    condition   either (OR either)*
    either      simple (AND simple)*
    simple      sum comparison value | "(" condition ")"
    sum         rest (("+" | "-") rest)*
    rest        term ("%" term)*
    term        path | number | "(" sum ")"

A parenthesis may hold a condition or a sum and only its inside tells which, so both are read by the same rules and the
kind is checked where it matters: one pass, no guessing.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.requests.query.ast import (
    Arithmetic,
    Comparison,
    Date,
    Junction,
    Number,
    Path,
    Text,
)
from airflow_provider_nucleus.local.requests.query.errors import QueryError
from airflow_provider_nucleus.local.requests.query.tokens import Kind, tokens_of, unquoted

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.requests.query.ast import Condition, Term, Value
    from airflow_provider_nucleus.local.requests.query.tokens import Token

__all__ = ["parse"]

DEPTH_LIMIT: Final = 40
PARTS_LIMIT: Final = 200
"""Operators a query may have: enough for people, little enough for the planner of the store."""
_EXAMPLE: Final = "A comparison looks like annotations.car >= 2 or metadata.weather = fog."


def parse(query: str) -> Condition | None:
    """Return the condition of a query, None for an empty one; raises `QueryError`."""
    reader = _TokenReader(query)
    if reader.at_end():
        return None
    found = reader.condition()
    if not reader.at_end():
        raise reader.error("the query goes on where it should end", "Join conditions with AND or OR.")
    return found


class _TokenReader:
    """A parser of the tokens of one query."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens = tokens_of(query)
        self._next = 0
        self._depth = 0
        self._parts = 0

    @property
    def peek(self) -> Token:
        """The token that comes next."""
        return self._tokens[self._next]

    def at_end(self) -> bool:
        """Return whether nothing is left."""
        return self.peek.kind is Kind.END

    def error(self, text: str, hint: str, *, position: int | None = None) -> QueryError:
        """Make the error for the token that comes next, or for a position."""
        where = self.peek.position if position is None else position
        return QueryError(text, query=self._query, position=where, hint=hint)

    def condition(self) -> Condition:
        return self._checked(self._either())

    def _checked(self, found: Condition | Term) -> Condition:
        if isinstance(found, Comparison | Junction):
            return found
        raise self.error("a comparison is missing", _EXAMPLE)

    def _either(self) -> Condition | Term:
        return self._joined(Kind.OR)

    def _joined(self, kind: Kind) -> Condition | Term:
        below = self._comparison if kind is Kind.AND else lambda: self._joined(Kind.AND)
        start = self.peek.position
        found = below()
        if self.peek.kind is not kind:
            return found
        parts = [self._checked(found)]
        while self.peek.kind is kind:
            self._take()
            parts.append(self._checked(below()))
        return Junction(kind.value, tuple(parts), start)

    def _comparison(self) -> Condition | Term:
        left = self._sum()
        token = self.peek
        if token.kind is not Kind.COMPARE:
            return left
        if isinstance(left, Comparison | Junction):
            raise self.error("a condition cannot be compared", "Join conditions with AND or OR.")
        self._take()
        return Comparison(token.text, left, self._value(), token.position)

    def _sum(self) -> Condition | Term:
        return self._calculated("+-")

    def _rest(self) -> Condition | Term:
        return self._calculated("%")

    def _calculated(self, signs: str) -> Condition | Term:
        read = self._rest if signs == "+-" else self._term
        found = read()
        while self.peek.kind is Kind.ARITHMETIC and self.peek.text in signs:
            sign = self._take()
            right = read()
            if isinstance(found, Comparison | Junction) or isinstance(right, Comparison | Junction):
                raise self.error(
                    "a condition cannot be calculated with",
                    "Use +, - and % between paths and numbers.",
                    position=sign.position,
                )
            found = Arithmetic(sign.text, found, right, sign.position)
        return found

    def _term(self) -> Condition | Term:
        token = self._take()
        if token.kind is Kind.PATH:
            return Path(token.segments, token.position)
        if token.kind is Kind.NUMBER:
            return Number(float(token.text), token.position)
        if token.kind is Kind.OPEN:
            return self._group(token)
        raise self.error(
            f"expected a path such as annotations.car, found {token.text or token.kind.value!r}",
            _EXAMPLE,
            position=token.position,
        )

    def _group(self, opened: Token) -> Condition | Term:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise self.error(f"more than {DEPTH_LIMIT} parentheses inside each other", "Simplify the query.")
        found = self._either()
        if self.peek.kind is not Kind.CLOSE:
            raise self.error("a parenthesis is never closed", "Add the missing ).", position=opened.position)
        self._take()
        self._depth -= 1
        return found

    def _value(self) -> Value:
        token = self._take()
        if token.kind is Kind.ARITHMETIC and token.text in "+-" and self.peek.kind is Kind.NUMBER:
            return Number(float(token.text + self._take().text), token.position)
        if token.kind is Kind.NUMBER:
            return Number(float(token.text), token.position)
        if token.kind is Kind.DATE:
            return self._date(token)
        if token.kind is Kind.STRING:
            return Text(unquoted(token.text), token.position)
        if token.kind is Kind.PATH and len(token.segments) == 1:
            return Text(token.segments[0], token.position)
        raise self.error(
            f"expected a value, found {token.text or token.kind.value!r}",
            "A value is a number, a date like 2024-01-31, a bare word or text in double quotes.",
            position=token.position,
        )

    def _date(self, token: Token) -> Date:
        try:
            date.fromisoformat(token.text)
        except ValueError:
            raise self.error(
                "there is no such day", "A date is YYYY-MM-DD.", position=token.position
            ) from None
        return Date(token.text, token.position)

    def _take(self) -> Token:
        token = self.peek
        if token.kind is not Kind.END:
            self._next += 1
        if token.kind in {Kind.AND, Kind.OR, Kind.COMPARE, Kind.ARITHMETIC}:
            self._parts += 1
            if self._parts > PARTS_LIMIT:
                raise self.error(
                    f"it has more than {PARTS_LIMIT} operators",
                    "Split it, or put the items into a slice.",
                    position=token.position,
                )
        return token
