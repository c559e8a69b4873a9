"""Ids as clients see them.

Few and long-lived things (datasets, models, runs, jobs ...) have random ids that are stored. Items and objects are many:
theirs are their row number, written in hexadecimal behind the prefix, so that no id string is stored or joined.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

__all__ = ["ANNOTATION", "ITEM", "PREDICTION", "SCENE", "new_id", "number_of", "numbered"]

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"

ITEM: Final = "di"
ANNOTATION: Final = "ann"
PREDICTION: Final = "pred"
SCENE: Final = "scn"

_NUMBER: Final = re.compile(r"[0-9a-f]{16}")
_LARGEST: Final = 2**63 - 1
"""Largest number that the store can hold."""


def new_id(prefix: str) -> str:
    """Return a fresh random id such as `ds_c9b3...`; 100 random bits."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(20))


def numbered(prefix: str, number: int) -> str:
    """Return the public id of a numbered row."""
    return f"{prefix}_{number:016x}"


def number_of(prefix: str, public_id: str) -> int | None:
    """Return the row number behind a public id, or None if it cannot be one."""
    head, _, tail = public_id.partition("_")
    if head != prefix or not _NUMBER.fullmatch(tail):
        return None
    number = int(tail, 16)
    return number if number <= _LARGEST else None
