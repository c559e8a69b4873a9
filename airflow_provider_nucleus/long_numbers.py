"""Numbers that orjson would not keep: whole numbers beyond 64 bits, which it reads as floats."""

from __future__ import annotations

import string
from typing import Final

__all__ = ["has_long_numbers"]

_DIGITS: Final = bytes(ord("0") if chr(octet) in string.digits else ord(" ") for octet in range(256))
_LONG: Final = b"0" * 19


def has_long_numbers(text: bytes) -> bool:
    """Return whether a text of JSON has 19 digits in a row anywhere: such a text is for the standard library, which is exact."""
    return len(text) >= len(_LONG) and _LONG in text.translate(_DIGITS)
