"""Label configurations: rollup groups kept under an id, so that benchmarks can refer to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.requests.label_taxonomy import LabelGroup
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["create", "groups_of"]


def create(cursor: Cursor, groups: Sequence[LabelGroup]) -> str:
    """Keep groups and return the id of the configuration; it never changes."""
    config_id = new_id("alm")
    text = orjson.dumps([group.to_wire() for group in groups]).decode()
    cursor.execute(
        "INSERT INTO label_configs VALUES (?, ?, ?)",
        [config_id, text, timestamps.now()],
    )
    return config_id


def groups_of(cursor: Cursor, config_id: str) -> tuple[LabelGroup, ...]:
    """Return the groups of a configuration; raises `BadRequestError` if there is none with this id."""
    found = cursor.execute("SELECT groups FROM label_configs WHERE config_id = ?", [config_id]).fetchone()
    if found is None:
        raise BadRequestError(
            f"allowed_label_matches_id {config_id} is unknown. The embedded server makes one from the rollupGroups of a "
            "benchmark: take it from there, or send rollupGroups."
        )
    return tuple(
        LabelGroup(class_name=group["class_name"], labels=tuple(group["labels"]))
        for group in orjson.loads(found[0])
    )
