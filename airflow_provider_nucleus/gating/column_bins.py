"""Bins of whole columns of numbers, found in C without NumPy: the bytes of floating-point numbers say which bin they belong to.

A Python expression a value costs more than a profile may. Added to a power of two, a confidence becomes a whole number in the low
bytes of the sum. The high bytes of a side are its logarithm: exponent and leading digits. Sums and differences of such logarithms are
taken for a whole column at once, as one long whole number with a byte for each value.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from math import log2
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CONFIDENCE_BINS",
    "CONFIDENCE_UNITS",
    "GREATEST_SIDE",
    "LEAST_SIDE",
    "STEPS",
    "count_confidences",
    "count_sizes",
    "side_steps",
]

CONFIDENCE_BINS: Final = 20
CONFIDENCE_UNITS: Final = CONFIDENCE_BINS * 2**16
"""Parts of 1 that confidences are rounded to: whole numbers, whose sums do not depend on their order."""
STEPS: Final = 8
"""Steps of an octave that logarithms of sides are rounded down to."""
LEAST_SIDE: Final = 2.0
GREATEST_SIDE: Final = 2.0**17
"""Sides outside of these, in pixels, count as these: what is smaller is a point, what is larger is no box of an image."""

_MOST = 127
"""Largest logarithm of a side, so that the sum of two fits a byte."""
_SHIFT = 2.0**36
"""A number of 0 to 20 added to this is rounded to 2**-16; its whole part is byte 2 of the sum, its fraction bytes 1 and 0."""


def _step(byte: int) -> int:
    """Return the logarithm of a side in steps above `LEAST_SIDE`, from byte 6: four bits of the exponent, four digits."""
    return int(STEPS * (byte // 16 + log2(1 + byte % 16 / 16)))


_STEP_OF = bytes(map(_step, range(256)))
_COMPLEMENT = bytes(_MOST - min(step, _MOST) for step in range(256))
_IS_WITHIN = bytes(255 if byte == 0x40 else 0 for byte in range(256))
"""Of byte 7: numbers from 2 to 2**17 have one and the same."""
_IF_ABOVE = bytes(_MOST if 0x40 < byte < 0x80 else 0 for byte in range(256))


def side_steps(sides: Sequence[float]) -> bytes:
    """Return log2(side / 2) of each side in steps of an eighth, rounded down, 0 to 127; sides are in pixels and not negative.

    The side is first rounded down to five binary digits, so that a step lies up to 1/16 of its value above its edge.
    """
    raw = _bytes(array("d", sides))
    high, steps = raw[7::8], raw[6::8].translate(_STEP_OF)
    if high.count(0x40) == len(high):
        return steps
    return _lanes(
        (_number(steps) & _number(high.translate(_IS_WITHIN))) | _number(high.translate(_IF_ABOVE)), len(high)
    )


def count_sizes(widths: Sequence[float], heights: Sequence[float]) -> tuple[Counter[int], Counter[int]]:
    """Return how often each logarithm occurs, in steps: of width x height / 4 (0 to 254), and of width / height plus 127."""
    across, up = side_steps(widths), side_steps(heights)
    first, size = _number(across), len(across)
    areas = _lanes(first + _number(up), size)
    aspects = _lanes(first + _number(up.translate(_COMPLEMENT)), size)
    return Counter(areas), Counter(aspects)


def count_confidences(values: Sequence[float]) -> tuple[Counter[int], int]:
    """Return how often each bin of confidence occurs, 0 to 20 (a 1 alone is in the last), and the sum in `CONFIDENCE_UNITS`."""
    raw = _bytes(array("d", [value * CONFIDENCE_BINS + _SHIFT for value in values]))
    units = array("I", raw)
    if sys.byteorder == "big":
        units.byteswap()
    return Counter(raw[2::8]), sum(units[::2])


def _bytes(numbers: array[float]) -> bytes:
    """Return numbers as bytes, the lowest first on every machine."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _number(lanes: bytes) -> int:
    return int.from_bytes(lanes, "little")


def _lanes(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little")
