"""A profile: distributions of a batch of predictions, known without any ground truth.

It is a document of whole numbers in fixed bins, so that the profiles of parts (shards, mapped tasks) add up to the profile of the whole,
in any order and grouping. Two things cannot be added, and are documented where they are: an item whose predictions lie in two parts counts once in each,
and labels that a compact profile left out stay counted together.

It is of the rows that passed the checks and were sent. Rows that were rejected as bad, and rows that were asked to be left out
(`min_confidence` of a mapping), are in none of its numbers; the upload counts them.
"""

from __future__ import annotations

import json
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from airflow_provider_nucleus.gating.column_bins import CONFIDENCE_BINS, CONFIDENCE_UNITS
from airflow_provider_nucleus.gating.measurement import Document

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AREA_EDGES",
    "ASPECT_EDGES",
    "CONFIDENCE_EDGES",
    "MAX_COMPACT_BYTES",
    "OBJECTS_EDGES",
    "PROFILE_SCHEMA",
    "Profile",
    "merge_profiles",
]

PROFILE_SCHEMA: Final = "nucleus-profile/1"

CONFIDENCE_EDGES: Final = tuple(number / CONFIDENCE_BINS for number in range(1, CONFIDENCE_BINS))
"""Edges between the 20 bins of confidence; a value on an edge belongs to the bin above, 1 to the last."""
AREA_EDGES: Final = tuple(2.0**octave for octave in range(3, 25))
"""Edges between the 23 bins of area, in square pixels: octaves, below 8 one bin, and from 2**24 on one."""
ASPECT_EDGES: Final = tuple(2.0 ** (half / 2 - 1 / 4) for half in range(-7, 9))
"""Edges between the 17 bins of width / height: half octaves around 1/16 ... 1/2, 0.71, 1, 1.41, 2 ... 16, in the outer ones what lies beyond.
A ratio on an edge belongs to the bin that is farther from 1: turned boxes have the same bins in reverse order."""
OBJECTS_EDGES: Final = tuple(2**octave for octave in range(1, 10))
"""Edges between the 10 bins of predictions per item: 1, 2 to 3, 4 to 7, ... and 512 and more."""
MAX_COMPACT_BYTES: Final = 3_500
"""Size of a compact profile, as JSON: less than half of what a task's result may have."""

_LONGEST_LABEL = 100
_Count = Annotated[int, Field(ge=0)]


def _bins(edges: tuple[float, ...]) -> Any:
    size = len(edges) + 1
    return Field(default_factory=lambda: [0] * size, min_length=size, max_length=size)


class Profile(Document):
    """Profile of a batch of predictions.

    Sizes are those of boxes, and of the bounding boxes of polygons, in pixels; other shapes are in `shapes` and `labels` and have no
    size. `items` is how many items the batch has, None where that is not known: an upload sees only items with predictions.
    """

    schema_: Literal["nucleus-profile/1"] = Field(default=PROFILE_SCHEMA, alias="schema")
    parts: int = Field(default=1, ge=0)
    """Profiles that were added up."""
    items: _Count | None = None
    """Items of the batch, those without any prediction included."""
    items_with_predictions: _Count = 0
    """Different items that were predicted on. Of several parts it is the sum: an item in two of them counts twice."""
    objects: _Count = 0
    objects_per_item: list[_Count] = _bins(OBJECTS_EDGES)
    """Items with predictions, by how many they have (`OBJECTS_EDGES`)."""
    shapes: dict[str, _Count] = Field(default_factory=dict)
    """Objects by type: `box`, `polygon`, `line`, ..."""
    labels: dict[str, _Count] = Field(default_factory=dict)
    """Objects by label; of a mask the segments."""
    other_labels: _Count = 0
    """Labels that are not in `labels`, so that the document stays small; those with the fewest objects."""
    other_objects: _Count = 0
    """Objects of those labels."""
    confidence: list[_Count] = _bins(CONFIDENCE_EDGES)
    """Objects by confidence (`CONFIDENCE_EDGES`)."""
    without_confidence: _Count = 0
    confidence_sum: _Count = 0
    """Sum of the confidences in parts of 1/1,310,720, which each is rounded to."""
    least_confidence: float | None = None
    cuts: list[float] = Field(default_factory=list)
    """The least confidences that the sources were cut at (`min_confidence`); empty where none was."""
    left_out: _Count = 0
    """Rows left out by such a cut; they are in no other number."""
    area: list[_Count] = _bins(AREA_EDGES)
    """Objects with a size by area in square pixels (`AREA_EDGES`). Sides are rounded down to eighths of an octave before, and those
    below 2 pixels count as 2."""
    aspect: list[_Count] = _bins(ASPECT_EDGES)
    """Objects with a size by width / height (`ASPECT_EDGES`), of the same rounded sides."""

    @model_validator(mode="after")
    def _items_hold_predictions(self) -> Profile:
        if self.items is not None and self.items < self.items_with_predictions:
            raise ValueError(
                f"items is {self.items}, fewer than the {self.items_with_predictions} with predictions: it must be the number of "
                "all items of the batch"
            )
        return self

    @property
    def mean_confidence(self) -> float | None:
        """Mean confidence of the objects that have one, 0 to 1; None where none has."""
        known = sum(self.confidence)
        return self.confidence_sum / CONFIDENCE_UNITS / known if known else None

    @property
    def empty_items(self) -> int | None:
        """Items without any prediction; None where the number of items is not known."""
        return None if self.items is None else self.items - self.items_with_predictions

    def merged(self, other: Profile) -> Profile:
        """Return the profile of both parts together. The order and the grouping of parts change nothing."""
        return Profile(
            parts=self.parts + other.parts,
            items=None if self.items is None or other.items is None else self.items + other.items,
            items_with_predictions=self.items_with_predictions + other.items_with_predictions,
            objects=self.objects + other.objects,
            objects_per_item=_added(self.objects_per_item, other.objects_per_item),
            shapes=_joined(self.shapes, other.shapes),
            labels=_joined(self.labels, other.labels),
            other_labels=self.other_labels + other.other_labels,
            other_objects=self.other_objects + other.other_objects,
            confidence=_added(self.confidence, other.confidence),
            without_confidence=self.without_confidence + other.without_confidence,
            confidence_sum=self.confidence_sum + other.confidence_sum,
            least_confidence=_least(self.least_confidence, other.least_confidence),
            cuts=sorted({*self.cuts, *other.cuts}),
            left_out=self.left_out + other.left_out,
            area=_added(self.area, other.area),
            aspect=_added(self.aspect, other.aspect),
        )

    def of_items(self, items: int) -> Profile:
        """Return the profile of a batch of so many items; ValueError where more have predictions."""
        return Profile.model_validate(self.to_dict() | {"items": items})

    def compact(self, most: int = MAX_COMPACT_BYTES) -> Profile:
        """Return the profile with as many labels as fit into *most* bytes of JSON: those with most objects; the others are summed.

        Labels of more than a hundred characters are among the others.
        """
        if len(_json(self)) <= most and all(len(label) <= _LONGEST_LABEL for label in self.labels):
            return self
        room = most - len(_json(self._with_labels({}, self.other_labels + len(self.labels), self.objects)))
        kept: dict[str, int] = {}
        for label, count in sorted(self.labels.items(), key=lambda pair: (-pair[1], pair[0])):
            if len(label) > _LONGEST_LABEL:
                continue
            room -= len(json.dumps({label: count}))
            if room < 0:
                break
            kept[label] = count
        left = self.labels.keys() - kept.keys()
        return self._with_labels(
            kept,
            self.other_labels + len(left),
            self.other_objects + sum(self.labels[label] for label in left),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON-ready dict, as it is stored and read again."""
        return self.model_dump(mode="json", by_alias=True)

    def _with_labels(self, labels: dict[str, int], other_labels: int, other_objects: int) -> Profile:
        return self.model_copy(
            update={"labels": labels, "other_labels": other_labels, "other_objects": other_objects}
        )


def merge_profiles(profiles: Iterable[Profile | dict[str, Any]]) -> Profile:
    """Return the profile of all parts together: documents, or what a task's result holds of them. Of no part it is an empty one."""
    parts = [part if isinstance(part, Profile) else Profile.model_validate(part) for part in profiles]
    return reduce(Profile.merged, parts, Profile(parts=0, items=0))


def _json(profile: Profile) -> str:
    return json.dumps(profile.to_dict())


def _added(one: list[int], other: list[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _joined(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """Return counts added by name, names in their order, so that equal profiles are equal as text."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}


def _least(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return min(known, default=None)
