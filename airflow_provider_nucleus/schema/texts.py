"""Texts of answers, made fit for logs and for every database of Airflow."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["storable"]

_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""NUL and lone surrogates, which PostgreSQL's JSON refuses, and the control characters that no text needs."""


def storable(value: Any) -> Any:
    """Return JSON-ready *value* with U+FFFD for every character in its texts that a database of Airflow may refuse.

    Texts of answers (a job's status or message, a row's error, a label) hold whatever the server, or the file behind it, held. Line
    breaks and tabs stay.
    """
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(name): storable(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(member) for member in value]
    return value
