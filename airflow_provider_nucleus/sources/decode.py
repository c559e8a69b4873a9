"""One JSON decoder for all sources: orjson where it is installed, the standard library otherwise.

Both give the same: whole numbers of any size exactly, where orjson alone would make floats of them beyond 64 bits.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.long_numbers import has_long_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["loads", "loads_lenient", "loads_short"]


def loads_lenient(raw: bytes) -> Any:
    """Decode again what `loads` refused: NaN and Infinity survive here, so that validation can name their field."""
    try:
        return json.loads(raw.decode("utf-8", "surrogatepass"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        if "int_max_str_digits" in str(error):
            raise ValueError("a whole number has more than 4,300 digits") from None
        raise


def loads(raw: bytes) -> Any:
    """Decode one JSON document to the last digit; raises ValueError."""
    return loads_lenient(raw) if has_long_numbers(raw) else loads_short(raw)


loads_short: Callable[[bytes], Any]
"""Decode a document without long numbers (`has_long_numbers`)."""

try:
    from orjson import loads as loads_short
except ImportError:  # the base install has no orjson
    loads_short = loads_lenient
