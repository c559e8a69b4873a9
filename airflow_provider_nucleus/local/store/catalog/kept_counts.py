"""Counts and ground truth of calculations by item, each kept once for all calculations in a row that have it.

A calculation is counted beside the store (`stage`) and takes its place in two lines (`keep`): that of the same predictions with the same
options, and that of the same ground truth. What the one before had as well goes on; the rest ends or begins there. Places follow the order
in which calculations end, one at a time, so whichever ends first, each is compared with all that the one before it had. `forget` takes
away what no calculation has any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from airflow_provider_nucleus.gating.fingerprint import digest_text, listed_object, summed_digests
from airflow_provider_nucleus.local.store.catalog.box_digests import box_digests, other_objects
from airflow_provider_nucleus.local.store.tables_matches import COUNTS_OF_ROWS, OPEN

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "COUNTS_AT", "TRUTHS_AT", "TRUTH_SUMS", "ListTruth", "forget", "keep", "places_of", "stage", "truth_digest",
]  # fmt: skip

ListTruth = Callable[["Cursor", int, list[int]], Iterator[tuple[int, Mapping[str, Any]]]]
"""Lists some objects of a set by number (ascending), each with the number of its item, as parsed JSON of what clients read."""

COUNTS_AT: Final = "k.line_no = {0}.line_no AND k.first_place <= {0}.place AND k.until_place > {0}.place"
"""Condition on rows `k` of `kept_counts`: those of a calculation (a row of `match_sets`)."""
TRUTHS_AT: Final = "k.truth_set_no = {0}.truth_set_no AND k.first_place <= {0}.truth_place AND k.until_place > {0}.truth_place"
"""Condition on rows `k` of `kept_truths`: those of a calculation (a row of `match_sets`)."""
TRUTH_SUMS: Final = """count(*) FILTER (k.objects > 0) AS with_truth, coalesce(sum(k.objects), 0)::BIGINT AS objects,
    bool_or(k.item_no IS NOT NULL AND k.listed IS NULL) AS former, bit_xor(k.state) AS state, coalesce(sum(k.listed), 0)::BIGINT AS listed,
    [sum(k.part_0), sum(k.part_1), sum(k.part_2), sum(k.part_3)] AS parts"""
"""What a query of rows `k` of `kept_truths` has of them together; `truth_digest` reads it."""

_OBJECTS_AT_ONCE: Final = 200_000
_LISTED_AT_ONCE: Final = 20_000
_PARTS: Final = range(4)
_TRUTHS: Final = """SELECT item_no, count(*) FILTER (shaped)::INTEGER AS objects,
        (sum(md5_number_lower(what)::HUGEINT) % (1::HUGEINT << 64))::UBIGINT AS state, count(*) AS all_objects
    FROM (
        SELECT item_no, true AS shaped, concat_ws('|', length(annotation_id), annotation_id, type, length(label), label, x, y, w, h, geometry,
            'c' || json_extract(metadata, '$.iscrowd'), 'i' || json_extract(metadata, '$.ignore')) AS what FROM objects WHERE set_no = $1
        UNION ALL SELECT item_no, true, concat_ws('|', length(annotation_id), annotation_id, length(mask_url), mask_url, blob, segments)
            FROM masks WHERE set_no = $1
        UNION ALL SELECT item_no, false, concat_ws('|', object_no, type, length(label), label, 'l' || labels, length(taxonomy_name),
            taxonomy_name, metadata) FROM categories WHERE set_no = $1 AND item_no IS NOT NULL)
    GROUP BY item_no ORDER BY item_no"""
# A sum and lengths: equal objects of two tasks are two, and no name looks like two parts.
_KNOWN: Final = (
    f"(SELECT item_no, state FROM kept_truths WHERE truth_set_no = $1 AND until_place = {OPEN} AND listed IS NOT NULL) o "
    "ON o.item_no = n.item_no AND o.state = n.state"
)
_SAME: Final = " AND ".join(
    f"o.{name} IS NOT DISTINCT FROM n.{name}"
    for name in ("truth_label", "prediction_label", "row_count", "correct_overlaps")
)


def stage(session: Cursor, number: int, *, truth: int | None, snapshot: Cursor, listing: ListTruth) -> None:
    """Count the rows of a match set, and the ground truth (a set) that it saw in its snapshot, into temporary tables of a session."""
    counted = COUNTS_OF_ROWS.format("", f"WHERE match_set_no = {int(number)}")
    session.execute(f"CREATE OR REPLACE TEMP TABLE new_counts AS {counted}")
    truths = snapshot.sql(_TRUTHS, params=[truth]).to_arrow_table()
    session.register("seen_truths", truths)
    session.execute("CREATE OR REPLACE TEMP TABLE new_truths AS SELECT * FROM seen_truths")
    session.unregister("seen_truths")
    parts = ", ".join(f"part_{part} UBIGINT" for part in _PARTS)
    session.execute(f"CREATE OR REPLACE TEMP TABLE new_digests (item_no BIGINT, listed INTEGER, {parts})")
    _digest(session, truth, snapshot=snapshot, listing=listing)


def _digest(session: Cursor, truth: int | None, *, snapshot: Cursor, listing: ListTruth) -> None:
    """Digest the ground truth of the items on which the newest calculation saw another, or none."""
    if truth is None:
        return
    wanted = session.execute(
        f"SELECT n.item_no, n.all_objects FROM new_truths n ANTI JOIN {_KNOWN} "
        "WHERE n.item_no NOT IN (SELECT item_no FROM new_digests) ORDER BY n.item_no",
        [truth],
    ).fetchall()
    for items in _portions(wanted):
        found = box_digests(snapshot, truth, items)
        others = other_objects(snapshot, truth, items)
        for begin in range(0, len(others), _LISTED_AT_ONCE):
            for item, wire in listing(snapshot, truth, others[begin : begin + _LISTED_AT_ONCE]):
                count, total = found.get(item, (0, 0))
                one, digest = summed_digests([listed_object(wire)])
                found[item] = count + one, total + digest
        sums = [found.get(item, (0, 0)) for item in items]
        columns: dict[str, Any] = {
            "item_no": pa.array(items, pa.int64()),
            "listed": pa.array([count for count, _ in sums], pa.int32()),
        }
        for part in _PARTS:
            split = [(total >> 64 * part) & (2**64 - 1) for _, total in sums]
            columns[f"part_{part}"] = pa.array(split, pa.uint64())
        session.register("made_digests", pa.table(columns))
        session.execute("INSERT INTO new_digests SELECT * FROM made_digests")
        session.unregister("made_digests")


def _portions(wanted: list[tuple[int, int]]) -> Iterator[list[int]]:
    items: list[int] = []
    objects = 0
    for item, count in wanted:
        items.append(item)
        objects += count
        if objects >= _OBJECTS_AT_ONCE:
            yield items
            items, objects = [], 0
    if items:
        yield items


def keep(cursor: Cursor, number: int, *, truth: int | None, snapshot: Cursor, listing: ListTruth) -> None:
    """Give a match set its places and keep what was staged for it, in the writer's transaction.

    `cursor` is the session in which it was staged.
    """
    # What has ended since it was staged may have changed what is known.
    _digest(cursor, truth, snapshot=snapshot, listing=listing)
    line, place, truth_place = _next_places(cursor, number)
    cursor.execute(
        "UPDATE match_sets SET line_no = ?, place = ?, truth_place = ? WHERE match_set_no = ?",
        [line, place, truth_place, number],
    )
    newest = f"line_no = $1 AND until_place = {OPEN}"
    cursor.execute(
        "UPDATE kept_counts SET until_place = $2 WHERE rowid IN (SELECT o.row FROM "
        f"(SELECT rowid AS row, * FROM kept_counts WHERE {newest}) o ANTI JOIN new_counts n ON o.item_no = n.item_no AND {_SAME})",
        [line, place],
    )
    cursor.execute(
        f"INSERT INTO kept_counts SELECT $1, $2, {OPEN}, n.* FROM new_counts n ANTI JOIN "
        f"(SELECT * FROM kept_counts WHERE {newest}) o ON o.item_no = n.item_no AND {_SAME} ORDER BY n.item_no",
        [line, place],
    )
    if truth is not None:
        _keep_truths(cursor, truth, truth_place)


def _keep_truths(cursor: Cursor, truth: int, place: int) -> None:
    cursor.execute(
        "UPDATE kept_truths SET until_place = $2 WHERE rowid IN (SELECT o.row FROM "
        f"(SELECT rowid AS row, * FROM kept_truths WHERE truth_set_no = $1 AND until_place = {OPEN}) o ANTI JOIN new_truths n "
        "ON o.item_no = n.item_no AND o.state = n.state AND o.listed IS NOT NULL)",
        [truth, place],
    )
    cursor.execute(
        f"INSERT INTO kept_truths SELECT $1, $2, {OPEN}, n.item_no, n.objects, n.state, d.* EXCLUDE (item_no) "
        f"FROM (SELECT n.* FROM new_truths n ANTI JOIN {_KNOWN}) n JOIN new_digests d ON d.item_no = n.item_no ORDER BY n.item_no",
        [truth, place],
    )


def _next_places(cursor: Cursor, number: int) -> tuple[int, int, int]:
    line, place, truth_place = cursor.execute(
        """WITH own AS (SELECT * FROM match_sets WHERE match_set_no = ?),
            line AS (SELECT m.line_no, m.place FROM match_sets m JOIN own USING (set_no, options) WHERE m.place IS NOT NULL)
        SELECT (SELECT min(line_no) FROM line), (SELECT max(place) FROM line),
            (SELECT max(m.truth_place) FROM match_sets m JOIN own USING (truth_set_no))""",
        [number],
    ).fetchall()[0]
    return number if line is None else line, (place or 0) + 1, (truth_place or 0) + 1


Places = tuple[int | None, int | None, int | None, int | None]
"""Line and place of a calculation, its ground truth and its place there."""


def places_of(cursor: Cursor, numbers: list[int]) -> list[Places]:
    """Return where calculations stand that are about to be deleted."""
    return cursor.execute(
        "SELECT line_no, place, truth_set_no, truth_place FROM match_sets WHERE match_set_no IN (SELECT unnest(?::BIGINT[]))",
        [numbers],
    ).fetchall()


def forget(cursor: Cursor, deleted: list[Places]) -> None:
    """Delete what only calculations had that are deleted; `deleted` says where they stood."""
    _forget(
        cursor, "kept_counts", "line_no", "place", places=[(line, place) for line, place, _, _ in deleted]
    )
    _forget(
        cursor,
        "kept_truths",
        "truth_set_no",
        "truth_place",
        places=[(truth, place) for _, _, truth, place in deleted],
    )


def _forget(
    cursor: Cursor, table: str, line: str, place: str, *, places: list[tuple[int | None, int | None]]
) -> None:
    for number in sorted({each for each, at in places if each is not None and at is not None}):
        left = [
            at
            for (at,) in cursor.execute(
                f"SELECT {place} FROM match_sets WHERE {line} = ? AND {place} IS NOT NULL ORDER BY 1",
                [number],
            ).fetchall()
        ]
        gaps = {
            (
                max((at for at in left if at < gone), default=0),
                min((at for at in left if at > gone), default=OPEN),
            )
            for each, gone in places
            if each == number and gone is not None
        }
        for before, after in sorted(gaps):
            cursor.execute(
                f"DELETE FROM {table} WHERE {line} = ? AND first_place > ? AND first_place < ? AND until_place <= ?",
                [number, before, after, after],
            )
            if after == OPEN:
                # The next calculation takes the place after the last one that is left: what had ended further on is none of its own.
                cursor.execute(
                    f"UPDATE {table} SET until_place = ? WHERE {line} = ? AND until_place > ? AND until_place < ?",
                    [before + 1, number, before + 1, after],
                )


def truth_digest(sums: Mapping[str, Any]) -> str:
    """Return the digest of ground truth from `TRUTH_SUMS`: that of `gating/fingerprint.py`, or the one that a former layout had."""
    if sums["former"]:
        return f"{sums['objects']}-{sums['state'] or 0:016x}"
    total = sum((value or 0) << 64 * part for part, value in zip(_PARTS, sums["parts"], strict=True))
    return digest_text(sums["listed"], total)
