"""Look-up of the item (or scene) and the object set of each parsed row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.annotation_table import STORED_TYPES, sql_list
from airflow_provider_nucleus.local.store.catalog.object_sets import ensure_set
from airflow_provider_nucleus.local.store.database import count_of

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.catalog.object_sets import SetOwner
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["locate_rows"]

_ITEM_NUMBER = (
    "CASE WHEN regexp_full_match(p.item_id, 'di_[0-9a-f]{16}') THEN ('0x' || p.item_id[4:])::BIGINT END"
)

_ON_SCENES: Final = sql_list(kind.name for kind in STORED_TYPES if kind.on_scenes)


def locate_rows(cursor: Cursor, target: SetOwner) -> None:
    """Fill `located` (n, dataset_no, item_no or scene_no, set_no) for the good rows of `parsed`.

    Rows that name no item, or one of several, get their reason. A row with an item id is looked up by it; otherwise
    its reference id counts, in the target's dataset, else in the dataset the row names, else in all of them.
    """
    if target.dataset is not None:
        _locate_in_dataset(cursor, target)
    else:
        _locate_anywhere(cursor)
    _blame_lost(cursor, target)
    cursor.execute("CREATE OR REPLACE TEMP TABLE sets (dataset_no INTEGER, set_no INTEGER)")
    for (dataset_no,) in cursor.execute("SELECT DISTINCT dataset_no FROM found").fetchall():
        cursor.execute("INSERT INTO sets VALUES (?, ?)", [dataset_no, ensure_set(cursor, target, dataset_no)])
    cursor.execute(
        "CREATE OR REPLACE TEMP VIEW located AS SELECT f.*, s.set_no FROM found f JOIN sets s USING (dataset_no)"
    )


def _locate_in_dataset(cursor: Cursor, target: SetOwner) -> None:
    assert target.dataset is not None
    number = target.dataset.number
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE found AS
        SELECT p.n, i.dataset_no, i.item_no, NULL::BIGINT AS scene_no FROM parsed p JOIN items i
            ON i.reference_id = p.reference_id AND i.dataset_no = {number}
            WHERE p.reason IS NULL AND p.item_id IS NULL
        UNION ALL SELECT p.n, i.dataset_no, i.item_no, NULL FROM parsed p JOIN items i
            ON i.item_no = {_ITEM_NUMBER} AND i.dataset_no = {number}
            WHERE p.reason IS NULL AND p.item_id IS NOT NULL"""
    )
    if target.dataset.is_scene:
        cursor.execute(
            f"""INSERT INTO found SELECT p.n, s.dataset_no, NULL, s.scene_no FROM parsed p JOIN scenes s
                ON s.reference_id = p.reference_id AND s.dataset_no = {number}
                WHERE p.reason IS NULL AND p.item_id IS NULL AND p.type IN {_ON_SCENES}
                AND p.n NOT IN (SELECT n FROM found)"""
        )


def _locate_anywhere(cursor: Cursor) -> None:
    cursor.execute(
        f"""CREATE OR REPLACE TEMP TABLE found AS
        SELECT p.n, i.dataset_no, i.item_no, NULL::BIGINT AS scene_no
            FROM parsed p JOIN items i ON i.reference_id = p.reference_id JOIN datasets d USING (dataset_no)
            WHERE p.reason IS NULL AND p.item_id IS NULL AND (p.dataset_id IS NULL OR p.dataset_id = d.dataset_id)
        UNION ALL SELECT p.n, i.dataset_no, i.item_no, NULL FROM parsed p JOIN items i ON i.item_no = {_ITEM_NUMBER}
            WHERE p.reason IS NULL AND p.item_id IS NOT NULL"""
    )
    cursor.execute(
        """UPDATE parsed SET reason = 'Reference id ' || reference_id || ' exists in several datasets; '
            'give dataset_id or item_id.'
        WHERE n IN (SELECT n FROM found GROUP BY n HAVING count(*) > 1)"""
    )
    cursor.execute("DELETE FROM found WHERE n IN (SELECT n FROM found GROUP BY n HAVING count(*) > 1)")


def _blame_lost(cursor: Cursor, target: SetOwner) -> None:
    good = count_of(cursor, "SELECT count(*) FROM parsed WHERE reason IS NULL")
    if good == count_of(cursor, "SELECT count(*) FROM found"):
        return
    place = f" in dataset {target.dataset.id}" if target.dataset is not None else ""
    cursor.execute(
        """UPDATE parsed SET reason = 'Item with id ' || coalesce(item_id, reference_id) || ' doesn''t exist' || ? || '.'
        WHERE reason IS NULL AND n NOT IN (SELECT n FROM found)""",
        [place],
    )
