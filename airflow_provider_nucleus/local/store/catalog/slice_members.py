"""Members of a slice, looked up by their ids: all of one kind, all in the dataset, each once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.store.ids import ANNOTATION, ITEM, PREDICTION, SCENE, number_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ITEMS", "OBJECTS", "SCENES", "Members", "by_id", "by_reference", "no_members", "sample"]

ITEMS: Final = "dataset_item"
OBJECTS: Final = "object"
SCENES: Final = "scene"

_COLUMNS: Final = {ITEMS: "item_no", OBJECTS: "object_no", SCENES: "scene_no"}
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Members:
    """Members of one type as rows (item, object, scene); `names` are the ids they were looked up by."""

    type: str
    rows: tuple[tuple[int | None, int | None, int | None], ...]
    names: tuple[str, ...]

    @property
    def column(self) -> str:
        """The column of `slice_items` that identifies a member."""
        return _COLUMNS[self.type]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the members in that column."""
        place = list(_COLUMNS.values()).index(self.column)
        return [number for row in self.rows if (number := row[place]) is not None]


def by_id(cursor: Cursor, dataset: DatasetRecord, kind: str, names: Sequence[str]) -> Members:
    """Look up the members of one type by their ids; raises `BadRequestError` naming those the dataset has not."""
    if kind == OBJECTS:
        return _objects(cursor, dataset, names)
    is_scene = kind == SCENES
    table, prefix, column = ("scenes", SCENE, "scene_no") if is_scene else ("items", ITEM, "item_no")
    numbers = {name: number_of(prefix, name) for name in names}
    known = _known(
        cursor, f"SELECT {column} FROM {table} WHERE dataset_no = ? AND {column} IN (SELECT unnest(?::BIGINT[]))",
        [dataset.number, [number for number in numbers.values() if number is not None]],
    )  # fmt: skip
    _refuse_unknown(dataset, [name for name, number in numbers.items() if number not in known])
    if is_scene:
        return Members(SCENES, tuple((None, None, number) for number in numbers.values()), tuple(numbers))
    return Members(ITEMS, tuple((number, None, None) for number in numbers.values()), tuple(numbers))


def no_members(dataset: DatasetRecord) -> Members:
    """Return no members, of the type a dataset has most of."""
    return Members(SCENES if dataset.is_scene else ITEMS, (), ())


def by_reference(
    cursor: Cursor, dataset: DatasetRecord, names: Sequence[str], *, kind: str | None = None
) -> Members:
    """Look up reference ids: of items, or of scenes if a scene dataset has scenes of all these names.

    `kind` is the type a slice has already.
    """
    for table, column, found_kind in _tables(dataset, kind):
        found = dict(
            cursor.execute(
                f"SELECT reference_id, {column} FROM {table} WHERE dataset_no = ? "
                "AND reference_id IN (SELECT unnest(?::VARCHAR[]))",
                [dataset.number, list(names)],
            ).fetchall()
        )
        unknown = [name for name in names if name not in found]
        if not unknown:
            place = found_kind == SCENES
            rows = tuple((None, None, found[name]) if place else (found[name], None, None) for name in names)
            return Members(found_kind, rows, tuple(names))
    _refuse_unknown(dataset, unknown)
    raise AssertionError("a dataset has items")


def sample(cursor: Cursor, dataset: DatasetRecord, condition: Fragment, *, size: int) -> Members:
    """Draw up to `size` items at random among those that satisfy a condition, in order of insertion."""
    found = cursor.execute(
        "SELECT item_no FROM (SELECT i.item_no FROM items i WHERE i.dataset_no = ? "
        f"AND {condition.sql} ORDER BY random() LIMIT ?) ORDER BY item_no",
        [dataset.number, *condition.parameters, size],
    ).fetchall()
    return Members(ITEMS, tuple((number, None, None) for (number,) in found), ())


def _tables(dataset: DatasetRecord, kind: str | None) -> list[tuple[str, str, str]]:
    every = [("scenes", "scene_no", SCENES)] if dataset.is_scene else []
    every.append(("items", "item_no", ITEMS))
    if kind == OBJECTS:
        raise BadRequestError("An object slice takes no reference ids; create a new one with object_ids.")
    return [entry for entry in every if kind in {None, entry[2]}]


def _objects(cursor: Cursor, dataset: DatasetRecord, names: Sequence[str]) -> Members:
    rows: dict[str, tuple[int | None, int | None, int | None]] = {}
    for prefix, role in ((ANNOTATION, "role = 'truth'"), (PREDICTION, "role <> 'truth'")):
        numbers = {number: name for name in names if (number := number_of(prefix, name)) is not None}
        found = cursor.execute(
            "SELECT o.object_no, o.item_no FROM (SELECT object_no, set_no, item_no FROM objects UNION ALL "
            "SELECT object_no, set_no, item_no FROM categories UNION ALL SELECT object_no, set_no, item_no FROM masks) o "
            f"JOIN object_sets s USING (set_no) WHERE s.dataset_no = ? AND {role} "
            "AND o.object_no IN (SELECT unnest(?::BIGINT[])) AND o.item_no IS NOT NULL",
            [dataset.number, list(numbers)],
        ).fetchall()
        rows.update({numbers[object_no]: (item_no, object_no, None) for object_no, item_no in found})
    _refuse_unknown(dataset, [name for name in names if name not in rows])
    return Members(OBJECTS, tuple(rows[name] for name in names), tuple(names))


def _known(cursor: Cursor, sql: str, parameters: list[Any]) -> set[int]:
    return {number for (number,) in cursor.execute(sql, parameters).fetchall()}


def _refuse_unknown(dataset: DatasetRecord, unknown: list[str]) -> None:
    if unknown:
        named = ", ".join(unknown[:_NAMED]) + (
            f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        )
        raise BadRequestError(f"Dataset {dataset.id} does not have {named}; nothing was added to a slice.")
