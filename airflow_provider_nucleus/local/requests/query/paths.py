"""Paths of a query, resolved: what each of its names stands for.

=========================================  =====================================================================
path                                       meaning
=========================================  =====================================================================
`annotations.count`                      objects of the item, a mask counting as one; categories do not count
`annotations.<class>`                    objects, and segments of its mask, with this label
`annotations.<type>[.count]`             objects of a type
`annotations.<type>.<class>`             objects of a type with this label
`annotations.<taxonomy> = label`         the item's category (a comparison with text says that it is one)
`annotations.metadata.<field>`           metadata of any annotation
`annotations.<class>.<field>`            metadata of an annotation with this label
`annotations.position.x|y|z`             left and top of a box, centre of a cuboid
`annotations.dimensions.x|y|z`           width and height of a box, size of a cuboid
`predictions. ...`                       the same for the selected model run
`metadata.<field>`                       metadata of the item; more segments reach into nested objects
`scene.metadata.<field>`                 metadata of the item's scene
`reference_id` or `ref_id`             the item's reference id
`slice`                                  name or id of a slice that holds the item
=========================================  =====================================================================

Where an item may have several values (metadata and places of annotations) a comparison holds if it holds for one of
them. A field that is missing satisfies no comparison, `!=` included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from airflow_provider_nucleus.local.annotation_table import EXPORT_KEYS, STORED_TYPES
from airflow_provider_nucleus.local.requests.query.ast import Text

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.requests.query.ast import Path, Value

__all__ = [
    "CategoryPath",
    "CountPath",
    "MetadataPath",
    "ObjectField",
    "ObjectPlace",
    "PathTarget",
    "Reference",
    "SliceName",
    "resolve_path",
]  # fmt: skip

_TYPES: Final = frozenset(EXPORT_KEYS[kind.name] for kind in STORED_TYPES if kind.table != "categories")
_SIDES: Final = frozenset({"annotations", "predictions"})
_AXES: Final = frozenset("xyz")
_ABSENT: Final = {
    "scale_metadata": "labelling projects",
    "autotag": "autotags",
}


@dataclass(frozen=True, slots=True)
class CountPath:
    """Number of objects of an item, of a type or label if given."""

    predictions: bool
    type: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class CategoryPath:
    """The category of an item in a taxonomy."""

    predictions: bool
    taxonomy: str


@dataclass(frozen=True, slots=True)
class ObjectField:
    """A metadata field of an object, with a certain label if given."""

    predictions: bool
    label: str | None
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """A coordinate of a box or cuboid: `part` is position or dimensions."""

    predictions: bool
    part: str
    axis: str


@dataclass(frozen=True, slots=True)
class MetadataPath:
    """A metadata field of the item or of its scene."""

    scene: bool
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference id of the item."""


@dataclass(frozen=True, slots=True)
class SliceName:
    """The slices that hold the item."""


PathTarget: TypeAlias = (
    CountPath | CategoryPath | ObjectField | ObjectPlace | MetadataPath | Reference | SliceName
)


def resolve_path(path: Path, *, compared_with: Value | None) -> PathTarget | str:
    """Return what a path stands for, or a text saying why it stands for nothing.

    `compared_with` is the value of the comparison if the path is all of its left side.
    """
    head, rest = path.segments[0], path.segments[1:]
    if head in _SIDES and rest:
        return _of_objects(head == "predictions", rest, is_text=isinstance(compared_with, Text))
    if head == "metadata" and rest:
        return MetadataPath(scene=False, keys=rest)
    if head == "scene" and len(rest) > 1 and rest[0] == "metadata":
        return MetadataPath(scene=True, keys=rest[1:])
    if head in {"reference_id", "ref_id"} and not rest:
        return Reference()
    if head == "slice" and not rest:
        return SliceName()
    if head in _ABSENT:
        return f"the embedded Nucleus has no {_ABSENT[head]}"
    return "no such path; one begins with annotations., predictions., metadata., scene.metadata., or is reference_id or slice"


def _of_objects(predictions: bool, rest: tuple[str, ...], *, is_text: bool) -> PathTarget | str:
    first, tail = rest[0], rest[1:]
    if not tail:
        if first == "count":
            return CountPath(predictions)
        if is_text:
            return CategoryPath(predictions, first)
        return CountPath(predictions, type=first) if first in _TYPES else CountPath(predictions, label=first)
    if first == "metadata":
        return ObjectField(predictions, None, tail)
    if first in {"position", "dimensions"} and len(tail) == 1 and tail[0] in _AXES:
        return ObjectPlace(predictions, first, tail[0])
    if first in _TYPES and len(tail) == 1:
        return CountPath(predictions, type=first, label=None if tail == ("count",) else tail[0])
    return ObjectField(predictions, first, tail)
