"""Errors of queries: what is wrong, and where."""

from __future__ import annotations

from airflow_provider_nucleus.local.errors import BadRequestError

__all__ = ["QueryError"]


class QueryError(BadRequestError):
    """A query that is not understood: the position of the trouble (characters, from 1), what it is and a way out."""

    def __init__(self, text: str, *, query: str, position: int, hint: str) -> None:
        self.position = position + 1
        self.hint = hint
        near = query[position : position + 24]
        where = f'at character {self.position}, near "{near}"' if near else "at its end"
        super().__init__(f"Query not understood {where}: {text}. {hint}")
