"""Presets: label groups and exclusion rules kept under a name; clients copy them into the evaluations they start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError, NotFoundError
from airflow_provider_nucleus.local.requests.exclusion_rules import exclusion_rules
from airflow_provider_nucleus.local.requests.label_taxonomy import rollup_groups
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.database import one, rows
from airflow_provider_nucleus.local.store.ids import new_id
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Preset", "create", "delete", "find", "listing", "update"]

_FIELDS: Final = ("name", "rollup_groups", "exclusion_rules")


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
    """Return a preset; raises :class:`NotFoundError` if there is none with this id."""
    row = one(cursor, f"{_PRESET} WHERE preset_id = ?", [preset_id])
    if row is None:
        raise NotFoundError(f"Evaluation preset {preset_id} does not exist.")
    return Preset(**row)


def create(cursor: Cursor, body: Mapping[str, Any]) -> Preset:
    """Keep a preset (keys in snake_case); raises :class:`ConflictError` if its name is taken."""
    values = _values(cursor, {"name": None, **body}, None)
    preset_id, now = new_id("evp"), timestamps.now()
    cursor.execute(
        "INSERT INTO evaluation_presets VALUES (?, ?, ?, ?, ?, ?, ?)",
        [reserve(cursor, "preset"), preset_id, *(values.get(field) for field in _FIELDS), now, now],
    )
    return find(cursor, preset_id)


def update(cursor: Cursor, preset: Preset, body: Mapping[str, Any]) -> Preset:
    """Change the fields that the body has; null clears groups or rules."""
    for column, value in _values(cursor, body, preset).items():
        cursor.execute(
            f"UPDATE evaluation_presets SET {column} = ?, updated_at = ? WHERE preset_id = ?",
            [value, timestamps.now(), preset.id],
        )
    return find(cursor, preset.id)


def delete(cursor: Cursor, preset: Preset) -> None:
    """Delete a preset; evaluations made with it keep its values."""
    cursor.execute("DELETE FROM evaluation_presets WHERE preset_id = ?", [preset.id])


def _values(cursor: Cursor, body: Mapping[str, Any], preset: Preset | None) -> dict[str, str | None]:
    if unknown := sorted(set(body) - set(_FIELDS)):
        raise BadRequestError(f"Unknown fields {unknown}; a preset has {', '.join(_FIELDS)}.")
    values: dict[str, str | None] = {}
    if "name" in body:
        values["name"] = _name(cursor, body["name"], preset)
    for field, read in (("rollup_groups", rollup_groups), ("exclusion_rules", exclusion_rules)):
        if field in body:
            given = body[field]
            entries = [] if given is None else [entry.to_wire() for entry in read(given)]
            values[field] = None if given is None else orjson.dumps(entries).decode()
    return values


def _name(cursor: Cursor, name: Any, preset: Preset | None) -> str:
    if not isinstance(name, str) or not name.strip():
        raise BadRequestError("A preset needs a name: a non-empty string.")
    taken = one(cursor, f"{_PRESET} WHERE name = ?", [name])
    if taken is not None and (preset is None or taken["id"] != preset.id):
        raise ConflictError(
            f"A preset called {name!r} exists: {taken['id']}. Change it or choose another name."
        )
    return name
