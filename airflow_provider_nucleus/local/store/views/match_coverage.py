"""Coverage of a calculation: how many items had ground truth, and which ground truth that was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.store.catalog.kept_counts import TRUTH_SUMS, TRUTHS_AT, truth_digest
from airflow_provider_nucleus.local.store.database import rows

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.catalog.matches import MatchSet
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["coverage"]

_COVERAGE: Final = f"""WITH s AS (SELECT * FROM match_sets WHERE match_set_no = $1),
        chosen AS (SELECT i.item_no FROM items i JOIN s ON i.dataset_no = s.dataset_no WHERE i.created_at <= s.created_at),
        t AS (SELECT {TRUTH_SUMS} FROM kept_truths k JOIN s ON {TRUTHS_AT.format("s")} WHERE k.item_no IN (SELECT item_no FROM chosen))
    SELECT t.*, (SELECT count(*) FROM chosen) AS items,
        (SELECT sum(row_count) FROM new_counts WHERE truth_label IS NOT NULL AND item_no IN (SELECT item_no FROM chosen)) AS truth,
        (SELECT sum(row_count) FROM new_counts WHERE prediction_label IS NOT NULL AND item_no IN (SELECT item_no FROM chosen))
            AS predictions
    FROM t"""


def coverage(session: Cursor, match_set: MatchSet) -> dict[str, Any]:
    """Return items with and without ground truth, the objects that were compared, and a digest of the ground truth.

    `session` is the one in which the calculation was counted; it has its places. Items are those of the dataset that were there when it
    began. Ground truth are objects with a shape; regions in which nothing is counted make an item one with ground truth, and are no object
    to be found. The digest is of everything that a listing of the ground truth has, categories too.
    """
    (found,) = rows(session, _COVERAGE, [match_set.number])
    return {
        "items": found["items"],
        "with_ground_truth": found["with_truth"],
        "without_ground_truth": found["items"] - found["with_truth"],
        "ground_truth": int(found["truth"] or 0),
        "predictions": int(found["predictions"] or 0),
        "ground_truth_digest": truth_digest(found),
    }
