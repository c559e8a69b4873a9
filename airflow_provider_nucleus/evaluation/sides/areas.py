"""Size ranges by area. Both ends of a COCO range belong to it, so an area of exactly 1024 is small and medium."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray

__all__ = ["ALL", "COCO_AREAS", "KEYPOINT_AREAS", "LARGE", "MEDIUM", "SMALL", "AreaRange"]


@dataclass(frozen=True, slots=True)
class AreaRange:
    """A closed range of areas in square pixels, with the name it is published under."""

    name: str
    low: float
    high: float

    def outside(self, area: FloatArray) -> BoolArray:
        """Mark the areas that lie outside; none is below 0."""
        outside: BoolArray = area > self.high
        if self.low > 0:
            outside |= area < self.low
        return outside


ALL = AreaRange("all", 0.0, 1e10)
SMALL = AreaRange("small", 0.0, 32.0**2)
MEDIUM = AreaRange("medium", 32.0**2, 96.0**2)
LARGE = AreaRange("large", 96.0**2, 1e10)

COCO_AREAS = (ALL, SMALL, MEDIUM, LARGE)
KEYPOINT_AREAS = (ALL, MEDIUM, LARGE)
