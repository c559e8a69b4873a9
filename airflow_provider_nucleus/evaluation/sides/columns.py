"""One side of a comparison as a struct of arrays.

A row is one annotation or one prediction. Rows keep the order they were given in, so that a row number is the
caller's way back to its own records; nothing here holds ids or strings.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import (
    BoolArray,
    FloatArray,
    IndexArray,
    IntArray,
    frozen,
    group_sizes,
    group_starts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["INT32_LIMIT", "Columns", "Geometry", "columns", "order_in_image", "rank_in_image"]

INT32_LIMIT = 2**31 - 1


class Geometry(Protocol):
    """Protocol of every kind of shape: a length, an area per row and the choice of rows."""

    def __len__(self) -> int: ...

    @property
    def area(self) -> FloatArray:
        """Area of each row in square pixels (volume in cubic metres for cuboids)."""
        ...

    def take(self, rows: NDArray[np.integer] | slice) -> Self:
        """Return the chosen rows, in the order of *rows*."""
        ...

    def problem(self) -> tuple[int, str] | None:
        """Return the first row that is not a shape, with the reason, or None."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The rows of one side of a dataset, ground truth or predictions; build it with `columns`.

    *image* and *label* are codes >= 0 shared by both sides. *confidence* is NaN where there is none.
    *ordinal* is the rank of the row's id within its image and breaks ties. Rows that are *crowd* or *ignore* are
    regions in which nothing is counted. *area* is what size ranges look at: COCO's area field for ground truth.
    """

    image: IntArray
    label: IntArray
    geometry: Geometry
    confidence: FloatArray
    ordinal: IntArray
    crowd: BoolArray
    ignore: BoolArray
    area: FloatArray
    counted: BoolArray = field(init=False, repr=False)
    """Rows that take part in counting: neither crowd nor ignored."""

    def __len__(self) -> int:
        return int(self.image.size)

    def take(self, rows: NDArray[np.integer] | slice) -> Columns:
        """Return the chosen rows, in the order of *rows*."""
        return Columns(
            image=self.image[rows],
            label=self.label[rows],
            geometry=self.geometry.take(rows),
            confidence=self.confidence[rows],
            ordinal=self.ordinal[rows],
            crowd=self.crowd[rows],
            ignore=self.ignore[rows],
            area=self.area[rows],
        )

    def without_crowds(self) -> Columns:
        """Return the same rows with crowds as objects like any other."""
        return replace(self, crowd=frozen(np.zeros(len(self), dtype=np.bool_)))

    def __post_init__(self) -> None:
        object.__setattr__(self, "counted", frozen(~(self.crowd | self.ignore)))


def columns(
    geometry: Geometry,
    image: ArrayLike,
    *,
    label: ArrayLike,
    confidence: ArrayLike | Sequence[float | None] | None = None,
    ordinal: ArrayLike | None = None,
    crowd: ArrayLike | None = None,
    ignore: ArrayLike | None = None,
    area: ArrayLike | None = None,
    ids: Sequence[Any] | None = None,
) -> Columns:
    """Check the parts of one side and put them together.

    *confidence* may be None (no row has one), a float array in which NaN means missing, or a sequence in which
    None does (then NaN is an error). *ordinal* defaults to the order of the rows within their image. *area*
    defaults to the area of the geometry. *ids* only serve error messages.

    Raises ValueError naming the row and its id: columns of different lengths, negative codes, infinite
    confidence, coordinates that are not finite, negative sizes or areas.
    """
    count = len(geometry)
    name = _naming(ids)
    images = _codes(image, "image", count=count, name=name)
    labels = _codes(label, "label", count=count, name=name)
    wrong_shape = geometry.problem()
    if wrong_shape is not None:
        raise ValueError(f"{name(wrong_shape[0])}: {wrong_shape[1]}; correct the annotation or leave it out")
    areas = geometry.area if area is None else _floats(area, "area", count=count)
    _reject(~(np.isfinite(areas) & (areas >= 0)), areas, "area", name=name)
    ordinals = (
        order_in_image(images) if ordinal is None else _codes(ordinal, "ordinal", count=count, name=name)
    )
    return Columns(
        image=frozen(images),
        label=frozen(labels),
        geometry=geometry,
        confidence=frozen(_confidence(confidence, count=count, name=name)),
        ordinal=frozen(ordinals),
        crowd=frozen(_flags(crowd, "crowd", count=count)),
        ignore=frozen(_flags(ignore, "ignore", count=count)),
        area=frozen(areas),
    )


def order_in_image(image: NDArray[np.integer]) -> IntArray:
    """Count the rows of every image from 0 in the order they come."""
    order = np.argsort(image, kind="stable")
    starts = group_starts(image[order])
    lengths = group_sizes(starts, image.size)
    ordinal = np.empty(image.size, dtype=np.int32)
    ordinal[order] = (np.arange(image.size) - np.repeat(starts, lengths)).astype(np.int32)
    return ordinal


def rank_in_image(image: NDArray[np.integer], ids: Sequence[str]) -> IntArray:
    """Rank the ids of every image from 0 in string order: the tie-breaker that survives any arrival order.

    Raises ValueError when an image holds the same id twice.
    """
    if len(ids) != image.size:
        raise ValueError(f"{len(ids)} ids for {image.size} rows")
    by_id = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    order: IndexArray = by_id[np.argsort(image[by_id], kind="stable")]
    ordinal = np.empty(image.size, dtype=np.int32)
    ordinal[order] = order_in_image(image[order])
    for first, second in zip(order[:-1].tolist(), order[1:].tolist()):
        if image[first] == image[second] and ids[first] == ids[second]:
            raise ValueError(
                f"id {ids[first]!r} is used by rows {first} and {second} of the same image: ids are unique"
            )
    return ordinal


def _naming(ids: Sequence[Any] | None) -> Callable[[int], str]:
    if ids is None:
        return lambda row: f"row {row}"
    return lambda row: f"row {row} (id {ids[row]!r})"


def _codes(values: ArrayLike, column: str, *, count: int, name: Callable[[int], str]) -> IntArray:
    array = np.asarray(values)
    if array.shape != (count,):
        raise ValueError(f"column {column!r} has shape {array.shape}, the geometry has {count} rows")
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"column {column!r} holds {array.dtype} values, codes are integers")
    wrong = (array < 0) | (array > INT32_LIMIT)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{name(row)}: {column} code {array[row]} is outside 0..{INT32_LIMIT}")
    return np.ascontiguousarray(array, dtype=np.int32)


def _floats(values: ArrayLike, column: str, *, count: int) -> FloatArray:
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != (count,):
        raise ValueError(f"column {column!r} has shape {array.shape}, the geometry has {count} rows")
    return array


def _flags(values: ArrayLike | None, column: str, *, count: int) -> BoolArray:
    if values is None:
        return np.zeros(count, dtype=np.bool_)
    array = np.ascontiguousarray(values, dtype=np.bool_)
    if array.shape != (count,):
        raise ValueError(f"column {column!r} has shape {array.shape}, the geometry has {count} rows")
    return array


def _confidence(
    values: ArrayLike | Sequence[float | None] | None, *, count: int, name: Callable[[int], str]
) -> FloatArray:
    if values is None:
        return np.full(count, np.nan)
    if isinstance(values, np.ndarray):
        array = _floats(values, "confidence", count=count)
    else:
        array = _floats(_with_missing(values, name), "confidence", count=count)
    _reject(np.isinf(array), array, "confidence", name=name)
    return array


def _with_missing(values: Any, name: Callable[[int], str]) -> FloatArray:
    """Convert a sequence in which None means missing and NaN is an error."""
    # NumPy turns None into NaN, so only the NaNs are looked at again.
    array = np.array(values, dtype=np.float64)
    for row in np.flatnonzero(np.isnan(array)).tolist():
        if values[row] is not None:
            raise ValueError(f"{name(row)}: confidence is NaN; leave it out when there is none")
    return array


def _reject(wrong: BoolArray, values: FloatArray, column: str, *, name: Callable[[int], str]) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{name(row)}: {column} is {values[row]}; correct the annotation or leave it out")
