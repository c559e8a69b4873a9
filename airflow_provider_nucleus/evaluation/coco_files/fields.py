"""One field of many rows as a column, where every value is in COCO's plain form; else OddRowsError.

This is the fast way. It decides nothing: rows that a column does not take go to the rules (`coco/`), one by one, and come back in plain
form, or as an error with row and field.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.coco.errors import CocoError
from airflow_provider_nucleus.coco.fields import COORDINATE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.coco_files.ids import IdCodes

__all__ = [
    "OddRowsError",
    "Rows",
    "areas",
    "boxes",
    "coordinates",
    "crowds",
    "has_repeated_ids",
    "id_codes",
    "keypoints",
    "label_counts",
    "scores",
]

Rows = list[dict[str, Any]]

_NUMBERS = {int, float}
_NUMBERS_OR_NONE = {int, float, type(None)}


class OddRowsError(Exception):
    """Rows hold values that the columns do not take."""


def _only(values: Iterable[Any], kinds: set[type]) -> None:
    if not set(map(type, values)) <= kinds:
        raise OddRowsError


def id_codes(rows: Rows, key: str, codes: IdCodes) -> IndexArray:
    """Return the codes of ids; -1 for one that is not known."""
    _only(rows, {dict})
    try:
        values = [row[key] for row in rows]
    except KeyError:
        raise OddRowsError from None
    kinds = set(map(type, values))
    try:
        if kinds <= {int}:
            try:
                return codes.encode(np.array(values, dtype=np.int64))
            except OverflowError:
                return codes.encode(values)
        if kinds <= {int, str}:
            return codes.encode(values)
    except CocoError:
        pass
    raise OddRowsError


def has_repeated_ids(rows: Rows, image: IndexArray) -> bool:
    """Return whether two objects of one image may have one id."""
    values = [row.get("id") for row in rows]
    kinds = set(map(type, values))
    if kinds <= {type(None)}:
        return False
    if kinds <= {int}:
        if len(set(values)) == len(values):
            return False
        return len(set(zip(image.tolist(), values, strict=True))) < len(values)
    raise OddRowsError


def crowds(rows: Rows) -> BoolArray:
    """Return the crowd flags."""
    values = [row.get("iscrowd", 0) for row in rows]
    _only(values, {int, bool})
    if not set(values) <= {0, 1}:
        raise OddRowsError
    return np.array(values, dtype=np.bool_)


def areas(rows: Rows, default: FloatArray) -> FloatArray:
    """Return the areas as they are given, else the default's."""
    return np.where(np.isnan(given := _optional([row.get("area") for row in rows], low=0.0)), default, given)


def scores(rows: Rows) -> FloatArray:
    """Return the scores; NaN for a row without one."""
    return _optional([row.get("score") for row in rows], low=-COORDINATE_LIMIT, high=COORDINATE_LIMIT)


def _optional(values: list[Any], *, low: float, high: float = np.inf) -> FloatArray:
    _only(values, _NUMBERS_OR_NONE)
    try:
        array = np.array(values, dtype=np.float64)
    except OverflowError:
        raise OddRowsError from None
    missing = np.isnan(array)
    # At the upper limits a double no longer tells a number within from one beyond: the rules look at those exactly.
    fine = np.isfinite(array) & (array >= low) & (np.abs(array) < high)
    if not (fine | missing).all() or int(missing.sum()) != values.count(None):
        raise OddRowsError
    return array


def coordinates(values: list[Any]) -> FloatArray:
    """Return numbers that may be coordinates."""
    _only(values, _NUMBERS)
    try:
        array = np.fromiter(values, dtype=np.float64, count=len(values))
    except OverflowError:
        raise OddRowsError from None
    if not (np.abs(array) < COORDINATE_LIMIT).all():
        raise OddRowsError
    return array


def boxes(rows: Rows) -> FloatArray:
    """Return x, y, width, height of every row."""
    try:
        values = [row["bbox"] for row in rows]
    except KeyError:
        raise OddRowsError from None
    _only(values, {list})
    if not set(map(len, values)) <= {4}:
        raise OddRowsError
    table = coordinates(list(chain.from_iterable(values))).reshape(-1, 4)
    if (table[:, 2:] < 0).any():
        raise OddRowsError
    return table


def keypoints(rows: Rows) -> FloatArray:
    """Return [row, keypoint, x y visibility]; all rows have as many keypoints."""
    try:
        values = [row["keypoints"] for row in rows]
    except KeyError:
        raise OddRowsError from None
    _only(values, {list})
    lengths = set(map(len, values))
    if len(lengths) > 1 or any(length == 0 or length % 3 for length in lengths):
        raise OddRowsError
    width = lengths.pop() if lengths else 3
    return coordinates(list(chain.from_iterable(values))).reshape(len(rows), width // 3, 3)


def label_counts(rows: Rows, labelled: IndexArray) -> IndexArray:
    """Return how many keypoints of each row are labelled, by its `num_keypoints` where that is 0."""
    values = [row.get("num_keypoints") for row in rows]
    _only(values, {int, type(None)})
    if any(value is not None and value < 0 for value in values):
        raise OddRowsError
    return np.where(np.array([value == 0 for value in values], dtype=np.bool_), 0, labelled)
