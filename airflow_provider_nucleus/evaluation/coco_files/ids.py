"""Ids of COCO files: numbers, or strings of digits that mean the same numbers, translated to codes.

Real files mix 2299 and "2299"; both name the same image. Codes follow the order of the ids (by number when all are
numbers, otherwise as text), because the order of images decides between predictions of equal confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import IndexArray

__all__ = ["IdCodes", "Identifier", "normal_id"]

Identifier = int | str


def normal_id(value: Any) -> Identifier:
    """Return a number for a number or a string of digits, other strings as they are; anything else raises."""
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise ValueError(f"{value!r} is not an id: ids are numbers or strings")  # ruff: ignore[type-check-without-type-error]
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError(f"{value!r} is not an id: ids are whole numbers or strings")
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and (value == "0" or value[0] != "0"):
        return int(value)
    return value


@dataclass(frozen=True, slots=True, eq=False)
class IdCodes:
    """Ids in order; the position of an id is its code. *numbers* holds them as an array when all are numbers."""

    ids: tuple[Identifier, ...]
    codes: Mapping[Identifier, int]
    numbers: IndexArray | None

    @classmethod
    def of(cls, values: Iterable[Any], *, what: str) -> IdCodes:
        """Order the ids of a list in which none may appear twice; *what* names the list in the error."""
        normal = [normal_id(value) for value in values]
        seen: dict[Identifier, int] = {}
        for value in normal:
            if value in seen:
                raise ValueError(f"{what} id {value!r} appears twice: ids must be unique")
            seen[value] = 0
        numeric = all(isinstance(value, int) for value in normal)
        ordered = tuple(sorted(normal) if numeric else sorted(normal, key=str))
        return cls(
            ids=ordered,
            codes={value: code for code, value in enumerate(ordered)},
            numbers=np.array(ordered, dtype=np.int64) if numeric else None,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, values: Sequence[Any] | NDArray[np.int64]) -> IndexArray:
        """Translate ids to codes; an unknown id becomes -1."""
        if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
            if self.numbers is None:
                return np.array([self.codes.get(int(value), -1) for value in values], dtype=np.int64)
            if self.numbers.size == 0:
                return np.full(values.size, -1, dtype=np.int64)
            place = np.minimum(np.searchsorted(self.numbers, values), self.numbers.size - 1)
            return np.where(self.numbers[place] == values, place, -1).astype(np.int64)
        return np.array([self.codes.get(normal_id(value), -1) for value in values], dtype=np.int64)
