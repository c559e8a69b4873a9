"""One JSON decoder for all sources: orjson where it is installed, the standard library otherwise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.long_numbers import has_long_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["loads", "loads_lenient"]


def loads_lenient(raw: bytes) -> Any:
    """Decode again what `loads` refused: NaN and Infinity survive here, so that validation can name their field."""
    try:
        return json.loads(raw)
    except RecursionError:
        raise ValueError("nested too deeply") from None


loads: Callable[[bytes], Any]
"""Decode one JSON document to the last digit; raises ValueError."""

try:
    import orjson
except ImportError:  # the base install has no orjson
    loads = loads_lenient
else:

    def _fast_and_exact(raw: bytes) -> Any:
        return loads_lenient(raw) if has_long_numbers(raw) else orjson.loads(raw)

    loads = _fast_and_exact
