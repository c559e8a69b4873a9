"""Bodies of Evaluations V2 come in two casings: both are read, one is used."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["snake_keys"]

_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OPAQUE: Final = frozenset({"metadata", "value"})
"""Fields whose content belongs to the user and keeps its keys."""


def snake_keys(value: Any) -> Any:
    """Return JSON with every key in snake_case, except below ``metadata`` and ``value``."""
    if isinstance(value, dict):
        named = {_BOUNDARY.sub("_", key).lower(): entry for key, entry in value.items()}
        return {key: entry if key in _OPAQUE else snake_keys(entry) for key, entry in named.items()}
    if isinstance(value, list):
        return [snake_keys(entry) for entry in value]
    return value
