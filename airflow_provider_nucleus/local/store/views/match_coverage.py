"""Coverage of a calculation, or of some of its items: how many had ground truth, and which ground truth that was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.local.requests.query.compile import EVERYTHING

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.catalog.matches import MatchSet
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["coverage"]


def coverage(cursor: Cursor, match_set: MatchSet, *, items: Fragment = EVERYTHING) -> dict[str, Any]:
    """Return items with and without ground truth, the objects that were compared, and a digest of the ground truth.

    Items are those of the dataset that were there when the calculation began; `items` is a condition on them (`i`). Ground truth are objects with a
    shape; regions in which nothing is counted make an item one with ground truth, and are no object to be found.
    """
    known, with_truth, truths, digest, truth, predictions = cursor.execute(
        f"""WITH chosen AS (SELECT i.item_no FROM items i JOIN match_sets c ON c.dataset_no = i.dataset_no AND c.match_set_no = ?
                WHERE i.created_at <= c.created_at AND {items.sql}),
            t AS (SELECT * FROM match_truths WHERE match_set_no = ? AND item_no IN (SELECT item_no FROM chosen)),
            m AS (SELECT * FROM match_counts WHERE match_set_no = ? AND item_no IN (SELECT item_no FROM chosen))
        SELECT (SELECT count(*) FROM chosen), (SELECT count(*) FROM t), (SELECT sum(objects) FROM t), (SELECT bit_xor(digest) FROM t),
            (SELECT sum(row_count) FROM m WHERE truth_label IS NOT NULL),
            (SELECT sum(row_count) FROM m WHERE prediction_label IS NOT NULL)""",
        [match_set.number, *items.parameters, match_set.number, match_set.number],
    ).fetchall()[0]
    return {
        "items": known,
        "with_ground_truth": with_truth,
        "without_ground_truth": known - with_truth,
        "ground_truth": int(truth or 0),
        "predictions": int(predictions or 0),
        "ground_truth_digest": f"{int(truths or 0)}-{int(digest or 0):016x}",
    }
