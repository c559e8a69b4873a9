"""The ids that no address can hold; client, schema and embedded server refuse the same ones with the same words."""

from __future__ import annotations

from typing import Final

__all__ = ["DOT_IDS", "DOT_ID_PROBLEM"]

DOT_IDS: Final = frozenset({".", ".."})
DOT_ID_PROBLEM: Final = (
    "must not be . or .., which HTTP libraries resolve: a request for it would reach another object"
)
