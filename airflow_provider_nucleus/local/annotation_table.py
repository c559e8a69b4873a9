"""The table of annotation types: where the server stores a type, how its rows arrive and leave, what it is compared with.

The lists of types, SQL and Python, in requests, store, engine and evaluations are made from it. A new type is one record here and,
if it has a geometry, its check in `store.geometry_rules` and its shape in `engine.shapes`. What clients make of a type stands
in `schema.annotation_table`; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "CATEGORY_LABELS", "EXPORT_KEYS", "FAMILIES", "FAMILY_NAMES", "GEOMETRY_TYPES", "OBJECT_TABLES", "RANKED_FAMILIES",
    "STORED_TYPES", "AnnotationFamily", "FamilyName", "ObjectTable", "StoredType", "accepted_names", "sql_list", "types_in",
    "types_of_family",
]  # fmt: skip

ObjectTable = Literal["objects", "categories", "masks"]
"""A table of the store: one row per object with a geometry, per item and taxonomy, per item."""

OBJECT_TABLES: Final[tuple[ObjectTable, ...]] = ("objects", "categories", "masks")
"""The tables that together hold what is uploaded to an object set."""

FamilyName = Literal["area", "cuboid", "keypoints", "mask", "category"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationFamily:
    """Types that are compared with each other."""

    name: FamilyName
    ranked: bool
    """Place in AP: its objects have a confidence and a place on the item."""


FAMILIES: Final = (
    AnnotationFamily(name="area", ranked=True),
    AnnotationFamily(name="cuboid", ranked=True),
    AnnotationFamily(name="keypoints", ranked=True),
    AnnotationFamily(name="mask", ranked=False),
    AnnotationFamily(name="category", ranked=False),
)

FAMILY_NAMES: Final[tuple[str, ...]] = tuple(family.name for family in FAMILIES)
"""The names behind the family codes of stored results."""

RANKED_FAMILIES: Final[tuple[str, ...]] = tuple(family.name for family in FAMILIES if family.ranked)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredType:
    """One type of annotation as the server stores it."""

    name: str
    """The value of `type` on the wire and in the store."""

    table: ObjectTable

    family: FamilyName | None
    """The family it is compared within, None if it has no overlap to match by."""

    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Numbers of the geometry that are columns of `objects`; without any the geometry is stored as the client's JSON."""

    sizes: frozenset[str] = frozenset()
    """Those of them that must not be negative."""

    labels_field: Literal["label", "labels"] | None = "label"
    """The field with its label or labels; None: segments have theirs."""

    export_key: str = ""
    """The key of its list in exports and single reads, if it is not the name; uploads may call it so as well."""

    predicted: bool = True
    run_free: bool = False
    """Predictions that models take without a run."""

    on_scenes: bool = False
    """Permission to stand on a whole scene."""


STORED_TYPES: Final = (
    StoredType(
        name="box",
        table="objects",
        family="area",
        columns=MappingProxyType({"x": "x", "y": "y", "width": "w", "height": "h"}),
        sizes=frozenset({"width", "height"}),
        run_free=True,
    ),
    StoredType(name="line", table="objects", family=None),
    StoredType(name="polygon", table="objects", family="area", run_free=True),
    StoredType(name="keypoints", table="objects", family="keypoints"),
    StoredType(name="cuboid", table="objects", family="cuboid", run_free=True),
    StoredType(name="mask", table="masks", family="mask", labels_field=None, export_key="segmentation"),
    StoredType(name="category", table="categories", family="category", on_scenes=True),
    StoredType(
        name="multicategory", table="categories", family="category", labels_field="labels", predicted=False
    ),
)

EXPORT_KEYS: Final[Mapping[str, str]] = MappingProxyType({
    kind.name: kind.export_key or kind.name for kind in STORED_TYPES
})
"""The key of each type in exports and single reads."""


def types_in(table: ObjectTable) -> tuple[str, ...]:
    """Return the types that a table of the store holds."""
    return tuple(kind.name for kind in STORED_TYPES if kind.table == table)


def types_of_family(name: str) -> tuple[str, ...]:
    """Return the types of a family."""
    return tuple(kind.name for kind in STORED_TYPES if kind.family == name)


def accepted_names(*, predictions: bool, run_free: bool = False) -> tuple[str, ...]:
    """Return the names by which an upload may call the types that it may hold."""
    kinds = [
        kind for kind in STORED_TYPES if not predictions or (kind.run_free if run_free else kind.predicted)
    ]
    return tuple(name for kind in kinds for name in (kind.name, kind.export_key) if name)


def sql_list(names: Iterable[str]) -> str:
    """Return names of the table as an SQL list."""
    return f"({', '.join(repr(name) for name in names)})"


GEOMETRY_TYPES: Final = tuple(
    kind.name for kind in STORED_TYPES if kind.table == "objects" and not kind.columns
)
"""The types whose geometry is stored as the client's JSON."""

_LISTED: Final = tuple(kind.name for kind in STORED_TYPES if kind.labels_field == "labels")
CATEGORY_LABELS: Final = (
    f"CASE WHEN type NOT IN {sql_list(_LISTED)} THEN [label] ELSE from_json(labels, '[\"VARCHAR\"]') END"
)
"""The labels of a row of `categories` as an SQL list."""
