"""Numbers that orjson would not keep: whole numbers beyond 64 bits, which it reads as floats."""

from __future__ import annotations

import string
from typing import Final

__all__ = ["has_long_numbers"]

_DIGITS: Final = bytes(
    ord("0") if chr(octet) in string.digits else ord(".") if octet == ord(".") else ord(" ")
    for octet in range(256)
)
_LONG: Final = b"0" * 19


def has_long_numbers(text: bytes) -> bool:
    """Return whether a text of JSON may have a number of 19 digits before its point: such a text is for the standard library, which is exact.

    Digits after a point are many in any small fraction, and orjson reads those as well.
    """
    if len(text) < len(_LONG):
        return False
    digits = text.translate(_DIGITS)
    return _LONG in digits and (digits.startswith(_LONG) or b" " + _LONG in digits)
