"""The words of a query and where they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from airflow_provider_nucleus.local.requests.query.errors import QueryError

__all__ = ["QUERY_LIMIT", "Kind", "Token", "tokens_of", "unquoted"]

QUERY_LIMIT: Final = 10_000
"""Characters of the longest query that is read."""


class Kind(Enum):
    """Kinds of tokens."""

    PATH = "path"
    STRING = "string"
    NUMBER = "number"
    DATE = "date"
    COMPARE = "comparison"
    ARITHMETIC = "arithmetic"
    AND = "AND"
    OR = "OR"
    OPEN = "("
    CLOSE = ")"
    END = "end of the query"


@dataclass(frozen=True, slots=True)
class Token:
    """A word with its position (from 0). `segments` are the parts of a path, without quotes."""

    kind: Kind
    text: str
    position: int
    segments: tuple[str, ...] = ()


_SPACE: Final = re.compile(r"\s+")
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_SEGMENT: Final = re.compile(rf"\w+|{_QUOTED}", re.DOTALL)
_PATH: Final = re.compile(rf"[^\W\d]\w*(?:\.(?:\w+|{_QUOTED}))*", re.DOTALL)
_PLAIN: Final = (
    (Kind.STRING, re.compile(_QUOTED, re.DOTALL)),
    (Kind.DATE, re.compile(r"\d{4}-\d{2}-\d{2}(?![\w-])")),
    (Kind.NUMBER, re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")),
    (Kind.COMPARE, re.compile(r"!=|<=|>=|=|<|>")),
    (Kind.ARITHMETIC, re.compile(r"[%+-]")),
    (Kind.OPEN, re.compile(r"\(")),
    (Kind.CLOSE, re.compile(r"\)")),
)
_KEYWORDS: Final = {"and": Kind.AND, "or": Kind.OR}


def tokens_of(query: str) -> list[Token]:
    """Split a query into tokens, the last of which is the end; raises `QueryError` at the first stranger."""
    if len(query) > QUERY_LIMIT:
        raise QueryError(
            f"it has {len(query)} characters",
            query=query,
            position=QUERY_LIMIT,
            hint=f"A query may have {QUERY_LIMIT}; split it, or put the items into a slice.",
        )
    found: list[Token] = []
    position = 0
    while position < len(query):
        if space := _SPACE.match(query, position):
            position = space.end()
            continue
        token = _path(query, position) or _plain(query, position)
        found.append(token)
        position += len(token.text)
    return [*found, Token(Kind.END, "", len(query))]


def _path(query: str, position: int) -> Token | None:
    match = _PATH.match(query, position)
    if match is None:
        return None
    text = match[0]
    if keyword := _KEYWORDS.get(text.lower()):
        return Token(keyword, text, position)
    if query.startswith(".", match.end()):
        raise QueryError(
            "a path ends in a dot or goes on with a character that needs quotes",
            query=query,
            position=match.end(),
            hint='Write annotations."traffic light" for names with spaces, hyphens or other signs.',
        )
    return Token(Kind.PATH, text, position, tuple(unquoted(part) for part in _SEGMENT.findall(text)))


def _plain(query: str, position: int) -> Token:
    for kind, pattern in _PLAIN:
        if match := pattern.match(query, position):
            return Token(kind, match[0], position)
    sign = query[position]
    if sign == '"':
        text, hint = "a double quote is never closed", 'Close it, and write \\" for a quote inside.'
    elif sign.isdigit():
        text, hint = "a word starts with a digit", 'Put it into double quotes: metadata.camera = "3d".'
    else:
        text = f"the character {sign!r} has no meaning here"
        hint = "Put text with spaces, hyphens or other signs into double quotes."
    raise QueryError(text, query=query, position=position, hint=hint)


def unquoted(text: str) -> str:
    """Return a segment or string without its double quotes and escapes."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if text.startswith('"') else text
