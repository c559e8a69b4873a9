"""Array types of the engine, and the few vectorised steps it is built on."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NONE",
    "BoolArray",
    "FloatArray",
    "IndexArray",
    "IntArray",
    "descending",
    "frozen",
    "group_sizes",
    "group_starts",
    "ranges",
    "segment_best",
    "stable_order",
]

IntArray: TypeAlias = NDArray[np.int32]
IndexArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]

NONE = -1
"""The row number that means "no such row" in every index column."""

Element = TypeVar("Element", bound=np.generic)


def frozen(array: NDArray[Element]) -> NDArray[Element]:
    """Return a read-only view, so that a result can be shared without being copied."""
    view = array.view()
    view.flags.writeable = False
    return view


def ranges(starts: IndexArray, lengths: IndexArray) -> IndexArray:
    """Concatenate `arange(start, start + length)` for every pair, without a loop."""
    total = int(lengths.sum())
    ends = np.cumsum(lengths)
    shift: IndexArray = np.repeat(starts - (ends - lengths), lengths)
    shift += np.arange(total, dtype=np.int64)
    return shift


def group_starts(keys: NDArray[np.generic]) -> IndexArray:
    """Return the positions where a new group begins in an array whose equal keys lie together."""
    if keys.size == 0:
        return np.zeros(0, dtype=np.int64)
    changed = np.empty(keys.size, dtype=np.bool_)
    changed[0] = True
    np.not_equal(keys[1:], keys[:-1], out=changed[1:])
    return np.flatnonzero(changed)


def group_sizes(starts: IndexArray, total: int) -> IndexArray:
    """Return how many elements each group has, given where the groups begin and the number of elements."""
    return np.diff(starts, append=total)


def descending(values: FloatArray) -> IndexArray:
    """Order by value, largest first, equal values in the order they come. NaN is not allowed.

    Equal values are numbered alike after a quick unstable sort, and the numbers are sorted once more together with
    the positions: two vectorised sorts are five times faster than NumPy's stable sort of floats.
    """
    order = np.argsort(-values)
    ranked = values[order]
    equal = ranked[1:] == ranked[:-1]
    if not equal.any():
        return order
    run = np.zeros(values.size, dtype=np.int64)
    np.cumsum(~equal, out=run[1:])
    return order[stable_order(run, positions=order)]


def stable_order(keys: NDArray[np.integer], *, positions: IndexArray | None = None) -> IndexArray:
    """Order by keys >= 0, smallest first, equal keys by *positions* (by default the order they come in).

    *positions* must be a permutation of 0 .. n - 1.
    """
    bits = int(keys.size).bit_length()
    if keys.size == 0 or int(keys.max()) >> (62 - bits):
        return np.lexsort((keys,) if positions is None else (positions, keys))
    packed: IndexArray = keys.astype(np.int64) << bits
    packed |= np.arange(keys.size) if positions is None else positions
    if positions is None:
        packed.sort()
        packed &= (1 << bits) - 1
        return packed
    place = np.empty(keys.size, dtype=np.int64)
    place[positions] = np.arange(keys.size)
    packed.sort()
    packed &= (1 << bits) - 1
    result: IndexArray = place[packed]
    return result


def segment_best(values: FloatArray, keys: NDArray[np.integer]) -> tuple[IndexArray, IndexArray]:
    """Find, for each run of equal keys, the position of its largest value (the first one on ties).

    Returns the position at which each run begins and the position of its best element.
    """
    starts = group_starts(keys)
    if starts.size == 0:
        return starts, starts
    lengths = group_sizes(starts, keys.size)
    peak = np.repeat(np.maximum.reduceat(values, starts), lengths)
    hits = np.flatnonzero(values == peak)
    run_of_hit = np.repeat(np.arange(starts.size), lengths)[hits]
    return starts, hits[group_starts(run_of_hit)]
