"""Presets: label groups and exclusion rules kept under a name; clients copy them into the evaluations they start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.errors import ConflictError, NotFoundError
from airflow_provider_nucleus.local.exact_json import json_text
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.database import one, rows
from airflow_provider_nucleus.local.store.ids import new_id
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Preset", "create", "delete", "find", "listing", "update"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A preset; groups and rules are JSON, None where there are none."""

    id: str
    name: str
    rollup_groups: str | None
    exclusion_rules: str | None
    created_at: datetime
    updated_at: datetime

    def to_wire(self) -> dict[str, Any]:
        """Return the preset as clients read it."""
        return {
            "id": self.id,
            "name": self.name,
            "rollup_groups": None if self.rollup_groups is None else orjson.Fragment(self.rollup_groups),
            "exclusion_rules": None
            if self.exclusion_rules is None
            else orjson.Fragment(self.exclusion_rules),
            "created_by_user_id": None,
            "created_at": timestamps.to_wire(self.created_at),
            "updated_at": timestamps.to_wire(self.updated_at),
            "deleted_at": None,
        }


_PRESET: Final = "SELECT preset_id AS id, name, rollup_groups, exclusion_rules, created_at, updated_at FROM evaluation_presets"


def listing(cursor: Cursor) -> list[Preset]:
    """Return all presets, oldest first."""
    return [Preset(**row) for row in rows(cursor, f"{_PRESET} ORDER BY preset_no")]


def find(cursor: Cursor, preset_id: str) -> Preset:
    """Return a preset; raises `NotFoundError` if there is none with this id."""
    row = one(cursor, f"{_PRESET} WHERE preset_id = ?", [preset_id])
    if row is None:
        raise NotFoundError(f"Evaluation preset {preset_id} does not exist.")
    return Preset(**row)


def create(cursor: Cursor, values: Mapping[str, Any]) -> Preset:
    """Keep a preset of a name, groups and rules, as plain data; raises `ConflictError` if its name is taken."""
    _require_free(cursor, values["name"], None)
    preset_id, now = new_id("evp"), timestamps.now()
    cursor.execute(
        "INSERT INTO evaluation_presets VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            reserve(cursor, "preset"), preset_id, values["name"],
            *(_json(values.get(column)) for column in ("rollup_groups", "exclusion_rules")), now, now,
        ],
    )  # fmt: skip
    return find(cursor, preset_id)


def update(cursor: Cursor, preset: Preset, values: Mapping[str, Any]) -> Preset:
    """Change the given columns, as plain data; null clears groups or rules."""
    if "name" in values:
        _require_free(cursor, values["name"], preset)
    for column, value in values.items():
        assert column in {"name", "rollup_groups", "exclusion_rules"}
        cursor.execute(
            f"UPDATE evaluation_presets SET {column} = ?, updated_at = ? WHERE preset_id = ?",
            [value if column == "name" else _json(value), timestamps.now(), preset.id],
        )
    return find(cursor, preset.id)


def delete(cursor: Cursor, preset: Preset) -> None:
    """Delete a preset; evaluations made with it keep its values."""
    cursor.execute("DELETE FROM evaluation_presets WHERE preset_id = ?", [preset.id])


def _json(value: Any) -> str | None:
    return None if value is None else json_text(value)


def _require_free(cursor: Cursor, name: str, preset: Preset | None) -> None:
    taken = one(cursor, f"{_PRESET} WHERE name = ?", [name])
    if taken is not None and (preset is None or taken["id"] != preset.id):
        raise ConflictError(
            f"A preset called {name!r} exists: {taken['id']}. Change it or choose another name."
        )
