"""Sources of a benchmark's items: ids, references, slices, datasets, scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.store.catalog import datasets, slices
from airflow_provider_nucleus.local.store.ids import ITEM, SCENE, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Sources", "find_sources", "select"]

_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Checked sources as internal numbers; small enough for a job's request except for long lists of ids."""

    items: tuple[int, ...] = ()
    slices: tuple[int, ...] = ()
    datasets: tuple[int, ...] = ()
    scenes: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.items or self.slices or self.datasets or self.scenes)

    def to_wire(self) -> dict[str, list[int]]:
        """Return plain data for a job's request."""
        return {
            "items": list(self.items),
            "slices": list(self.slices),
            "datasets": list(self.datasets),
            "scenes": list(self.scenes),
        }


def find_sources(
    cursor: Cursor,
    *,
    item_ids: list[str],
    references: list[tuple[str, str]],
    slice_ids: list[str],
    dataset_ids: list[str],
    scene_ids: list[str],
) -> Sources:
    """Look up sources by their ids; `references` are pairs of dataset id and reference id.

    Raises `BadRequestError` naming unknown ids, and `NotFoundError` for an unknown slice or dataset.
    """
    items = _numbers(cursor, item_ids, ITEM, "items", "item_no", field="item_ids")
    items += _references(cursor, references)
    return Sources(
        items=tuple(dict.fromkeys(items)),
        slices=tuple(slices.find(cursor, slice_id).number for slice_id in dict.fromkeys(slice_ids)),
        datasets=tuple(datasets.find(cursor, dataset_id).number for dataset_id in dict.fromkeys(dataset_ids)),
        scenes=tuple(_numbers(cursor, scene_ids, SCENE, "scenes", "scene_no", field="scene_ids")),
    )


def select(cursor: Cursor, sources: Mapping[str, list[int]]) -> str:
    """Put the items of all sources into a temporary table and return its name."""
    cursor.execute(
        """CREATE OR REPLACE TEMP TABLE source_items AS
        SELECT unnest($items::BIGINT[]) AS item_no
        UNION SELECT item_no FROM items WHERE dataset_no IN (SELECT unnest($datasets::INTEGER[]))
        UNION SELECT item_no FROM items WHERE scene_no IN (SELECT unnest($scenes::BIGINT[]))
        UNION SELECT item_no FROM slice_items WHERE item_no IS NOT NULL AND slice_no IN (SELECT unnest($slices::INTEGER[]))
        UNION SELECT i.item_no FROM slice_items e JOIN items i ON i.scene_no = e.scene_no
            WHERE e.slice_no IN (SELECT unnest($slices::INTEGER[]))""",
        {name: sources[name] for name in ("items", "datasets", "scenes", "slices")},
    )
    return "source_items"


def _numbers(
    cursor: Cursor, ids: list[str], prefix: str, table: str, column: str, *, field: str
) -> list[int]:
    if not ids:
        return []
    numbers = {name: number_of(prefix, name) for name in ids}
    found = cursor.execute(
        f"SELECT {column} FROM {table} WHERE {column} IN (SELECT unnest(?::BIGINT[]))",
        [[number for number in numbers.values() if number is not None]],
    ).fetchall()
    known = {number for (number,) in found}
    _refuse(field, [name for name, number in numbers.items() if number not in known])
    return [number for number in numbers.values() if number is not None]


def _references(cursor: Cursor, references: list[tuple[str, str]]) -> list[int]:
    wanted: dict[str, list[str]] = {}
    for dataset_id, reference_id in references:
        wanted.setdefault(dataset_id, []).append(reference_id)
    numbers: list[int] = []
    for dataset_id, names in wanted.items():
        dataset = datasets.find(cursor, dataset_id)
        found = dict(
            cursor.execute(
                "SELECT reference_id, item_no FROM items WHERE dataset_no = ? "
                "AND reference_id IN (SELECT unnest(?::VARCHAR[]))",
                [dataset.number, names],
            ).fetchall()
        )
        _refuse(f"items of {dataset_id}", [name for name in names if name not in found])
        numbers += [found[name] for name in names]
    return numbers


def _refuse(field: str, unknown: list[str]) -> None:
    if unknown:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise BadRequestError(f"{field}: unknown {', '.join(unknown[:_NAMED])}{more}; nothing was added.")
