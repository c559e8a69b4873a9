"""Bins of whole columns of numbers, found in C and without need of NumPy: the bytes of floating-point numbers say which bin they belong to.

Two Python expressions a value cost more than a profile may. Added to a power of two, a confidence becomes a whole number in the low
bytes of the sum. The high bytes of a side are its logarithm: exponent and leading digits. Sums and differences of such logarithms are
taken for a whole column at once, as one long whole number with a byte for each value. Bytes become bins by a table, and are counted
bin by bin: to look a column through for one byte takes a fraction of a nanosecond a value, and there are few bins.
NumPy adds and counts faster still, and does so where something else has loaded it, as PyArrow does; the numbers are the same.
"""

from __future__ import annotations

import sys
from array import array
from math import log2
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AREA_BINS",
    "ASPECT_BINS",
    "CONFIDENCE_BINS",
    "CONFIDENCE_UNITS",
    "GREATEST_SIDE",
    "LEAST_SIDE",
    "count_confidences",
    "count_sizes",
    "leading_bytes",
    "side_steps",
]

CONFIDENCE_BINS: Final = 20
CONFIDENCE_UNITS: Final = CONFIDENCE_BINS * 2**16
"""Parts of 1 that confidences are rounded to: whole numbers, whose sums do not depend on their order."""
AREA_BINS: Final = 23
"""Octaves of square pixels; the first ends at 8."""
ASPECT_BINS: Final = 17
"""Half octaves around the powers of the root of two, with the squares in the middle."""
LEAST_SIDE: Final = 2.0
GREATEST_SIDE: Final = 2.0**17
"""Sides outside of these, in pixels, count as these: what is smaller is a point, what is larger is no box of an image."""

_STEPS = 8
"""Steps of an octave that logarithms of sides are rounded down to."""
_MOST = 127
"""Largest logarithm of a side, so that the sum of two fits a byte."""
_FACTOR = float(CONFIDENCE_BINS)
_SHIFT = 2.0**36
"""A number of 0 to 20 added to this is rounded to 2**-16; its whole part is byte 2 of the sum, its fraction bytes 1 and 0."""


def _step(byte: int) -> int:
    """Return the logarithm of a side in steps above `LEAST_SIDE`, from byte 6: four bits of the exponent, four digits."""
    return int(_STEPS * (byte // 16 + log2(1 + byte % 16 / 16)))


def _aspect_bin(step: int) -> int:
    """Return the bin of a ratio, from its logarithm in steps plus 127."""
    half, middle = _STEPS // 2, ASPECT_BINS // 2
    away = min((abs(step - _MOST) + half // 2) // half, middle)
    return middle + away if step > _MOST else middle - away


_STEP_OF = bytes(map(_step, range(256)))
_COMPLEMENT = bytes(_MOST - min(step, _MOST) for step in range(256))
_AREA_BIN_OF = bytes(min(step // _STEPS, AREA_BINS - 1) for step in range(256))
"""Of the logarithm of an area in steps; step 0 is an area of 4."""
_ASPECT_BIN_OF = bytes(map(_aspect_bin, range(256)))
_IS_WITHIN = bytes(255 if byte == 0x40 else 0 for byte in range(256))
"""Of byte 7: numbers from 2 to 2**17 have one and the same."""
_IF_ABOVE = bytes(_MOST if 0x40 < byte < 0x80 else 0 for byte in range(256))


def leading_bytes(sides: Sequence[float]) -> tuple[bytes, bytes]:
    """Return the highest bytes of numbers as doubles, and those after them: sign and exponent, and four binary digits."""
    raw = _bytes(array("d", sides))
    return raw[7::8], raw[6::8]


def side_steps(leading: tuple[bytes, bytes]) -> bytes:
    """Return log2(side / 2) of each side in steps of an eighth, rounded down, 0 to 127; sides are in pixels and not negative.

    The side is first rounded down to five binary digits, so that a step lies up to 1/16 of its value above its edge.
    """
    high, steps = leading[0], leading[1].translate(_STEP_OF)
    if high.count(0x40) == len(high):
        return steps
    return _lanes(
        (_number(steps) & _number(high.translate(_IS_WITHIN))) | _number(high.translate(_IF_ABOVE)), len(high)
    )


def count_sizes(widths: tuple[bytes, bytes], heights: tuple[bytes, bytes]) -> tuple[list[int], list[int]]:
    """Return how many boxes are in each bin of width x height, and in each of width / height; of sides the leading bytes."""
    across, up = side_steps(widths), side_steps(heights)
    first, size = _number(across), len(across)
    areas = _lanes(first + _number(up), size)
    aspects = _lanes(first + _number(up.translate(_COMPLEMENT)), size)
    return (
        _histogram(areas.translate(_AREA_BIN_OF), AREA_BINS),
        _histogram(aspects.translate(_ASPECT_BIN_OF), ASPECT_BINS),
    )


def count_confidences(values: Sequence[float]) -> tuple[list[int], int]:
    """Return how many confidences are in each bin (a 1 is in the last), and their sum in `CONFIDENCE_UNITS`."""
    raw = _shifted(values)
    bins = _histogram(raw[2::8], CONFIDENCE_BINS + 1)
    total = 2**16 * sum(at * count for at, count in enumerate(bins)) + 2**8 * sum(raw[1::8]) + sum(raw[::8])
    ones = bins.pop()
    bins[-1] += ones
    return bins, total


def _shifted(values: Sequence[float]) -> bytes:
    """Return the bytes of each value times `CONFIDENCE_BINS` plus `_SHIFT`."""
    factor, shift = _FACTOR, _SHIFT
    if (numpy := _loaded_numpy()) is None:
        return _bytes(array("d", [value * factor + shift for value in values]))
    shifted = numpy.frombuffer(array("d", values)) * factor
    shifted += shift
    raw: bytes = shifted.astype("<f8", copy=False).tobytes()
    return raw


def _histogram(lanes: bytes, bins: int) -> list[int]:
    """Return how often each of the numbers below *bins* occurs."""
    if (numpy := _loaded_numpy()) is None:
        return list(map(lanes.count, range(bins)))
    counts: list[int] = numpy.bincount(numpy.frombuffer(lanes, numpy.uint8), minlength=bins).tolist()
    return counts


def _loaded_numpy() -> Any:
    """Return NumPy if it is loaded already: to load it would cost more than it saves an upload of usual size."""
    numpy = sys.modules.get("numpy")
    return numpy if hasattr(numpy, "bincount") else None


def _bytes(numbers: array[float]) -> bytes:
    """Return numbers as bytes, the lowest first on every machine."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _number(lanes: bytes) -> int:
    return int.from_bytes(lanes, "little")


def _lanes(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little")
