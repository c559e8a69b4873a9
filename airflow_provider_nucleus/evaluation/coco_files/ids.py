"""Ids of COCO files translated to codes.

Codes follow the order of the ids (by number when all are numbers, otherwise as text), because the order of images decides between
predictions of equal confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.coco.ids import Identifier, normal_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import IndexArray

__all__ = ["IdCodes"]

_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class IdCodes:
    """Ids in order; the position of an id is its code. *numbers* holds them as an array when all are numbers of 64 bits."""

    ids: tuple[Identifier, ...]
    codes: Mapping[Identifier, int]
    numbers: IndexArray | None

    @classmethod
    def of(cls, ids: Iterable[Identifier]) -> IdCodes:
        """Order ids in normal form, of which none may appear twice."""
        normal = list(ids)
        numeric = all(isinstance(value, int) for value in normal)
        ordered = tuple(sorted(normal) if numeric else sorted(normal, key=str))
        short = numeric and all(-_LARGEST <= value <= _LARGEST for value in ordered)  # type: ignore[operator]
        return cls(
            ids=ordered,
            codes={value: code for code, value in enumerate(ordered)},
            numbers=np.array(ordered, dtype=np.int64) if short else None,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, values: Sequence[Any] | NDArray[np.int64]) -> IndexArray:
        """Translate ids to codes; an unknown id becomes -1. Raises CocoError for what is no id."""
        if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
            if self.numbers is None:
                return np.array([self.codes.get(int(value), -1) for value in values], dtype=np.int64)
            if self.numbers.size == 0:
                return np.full(values.size, -1, dtype=np.int64)
            place = np.minimum(np.searchsorted(self.numbers, values), self.numbers.size - 1)
            return np.where(self.numbers[place] == values, place, -1).astype(np.int64)
        return np.array([self.codes.get(normal_id(value), -1) for value in values], dtype=np.int64)
