"""Counts of rows in answers, read by one rule for requests and jobs."""

from __future__ import annotations

from typing import Any

__all__ = ["row_count"]


def row_count(value: Any) -> int | None:
    """Return the count that a server means, None when it is none.

    Whole numbers from zero on are counts, 3.0 and "3" too; null, and a count that is left out, mean 0. Everything else is no
    count: taken for one, a negative number beside one too high would make up for rows that are missing.
    """
    if value is None:
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        return None
    return int(value) if value == int(value) else None
