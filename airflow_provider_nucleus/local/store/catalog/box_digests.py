"""Digests of ground truth made inside the database: of plain boxes, the same number as `gating/fingerprint.py` makes of their listing.

A box is plain if its text needs no escapes and is the same here and in Python: no quotes, backslashes or control characters in its names, coordinates that
are written without an exponent, and nothing in its metadata that decides what counts. Others are listed and digested one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["box_digests", "other_objects"]

_COORDINATES: Final = {"height": "h", "width": "w", "x": "x", "y": "y"}
_PLAIN: Final = " AND ".join((
    "o.type = 'box'",
    r"""NOT regexp_matches(concat(i.reference_id, o.label, o.annotation_id), '["\\[:cntrl:]]')""",
    r"NOT regexp_matches(coalesce(o.metadata, ''), 'iscrowd|ignore|\\u')",
    *(f"(o.{name} = 0 OR abs(o.{name}) BETWEEN 1e-4 AND 1e15)" for name in _COORDINATES.values()),
))
_SHAPE: Final = " || ', ' || ".join(
    rf"""'\"{wire}\": ' || CASE WHEN o.{name} = trunc(o.{name}) THEN o.{name}::BIGINT::VARCHAR ELSE o.{name}::VARCHAR END"""
    for wire, name in _COORDINATES.items()
)
_TEXT: Final = (
    """'["' || i.reference_id || '","' || o.label || '","' || o.annotation_id || """
    rf"""'","{{\"geometry\": {{' || {_SHAPE} || '}}, \"type\": \"box\"}}"]'"""
)
_INSIDE: Final = (
    "o.set_no = $1 AND o.item_no BETWEEN $2 AND $3 AND o.item_no IN (SELECT unnest($4::BIGINT[]))"
)
_PARTS: Final = ", ".join(
    f"sum(('0x' || substr(digest, {49 - 16 * part}, 16))::UBIGINT::HUGEINT)" for part in range(4)
)
_DIGESTS: Final = f"""SELECT item_no, count(*), {_PARTS} FROM (
    SELECT o.item_no, sha256({_TEXT}) AS digest FROM objects o JOIN items i USING (item_no) WHERE {_INSIDE} AND {_PLAIN})
    GROUP BY item_no"""
_OTHERS: Final = f"""SELECT o.object_no FROM objects o JOIN items i USING (item_no) WHERE {_INSIDE} AND NOT coalesce({_PLAIN}, false)
    UNION ALL SELECT o.object_no FROM masks o WHERE {_INSIDE}
    UNION ALL SELECT o.object_no FROM categories o WHERE {_INSIDE} ORDER BY 1"""


def box_digests(cursor: Cursor, set_no: int, items: list[int]) -> dict[int, tuple[int, int]]:
    """Return how many plain boxes of a set are on each of some items (ascending), and the sum of their digests."""
    found: list[Any] = cursor.execute(_DIGESTS, [set_no, items[0], items[-1], items]).fetchall()
    return {
        item: (count, sum(value << 64 * part for part, value in enumerate(parts)))
        for item, count, *parts in found
    }


def other_objects(cursor: Cursor, set_no: int, items: list[int]) -> list[int]:
    """Return the numbers of the objects of a set on some items (ascending) that are no plain boxes, in order."""
    found = cursor.execute(_OTHERS, [set_no, items[0], items[-1], items]).fetchall()
    return [number for (number,) in found]
