"""Numbers for new rows, handed out inside the transaction that uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["reserve"]


def reserve(cursor: Cursor, name: str, *, count: int = 1) -> int:
    """Reserve `count` consecutive numbers of a kind and return the first, starting at 1.

    Must run inside the writer's transaction: if that is undone, so is the reservation.
    """
    found = cursor.execute("SELECT next FROM counters WHERE name = ?", [name]).fetchone()
    if found is None:
        cursor.execute("INSERT INTO counters VALUES (?, ?)", [name, 1 + count])
        return 1
    cursor.execute("UPDATE counters SET next = next + ? WHERE name = ?", [count, name])
    return int(found[0])
