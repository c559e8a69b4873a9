"""Counts and coverage of slices within calculations: what a batch has on its own, of what was matched for a whole run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.store.catalog.kept_counts import (
    COUNTS_AT,
    TRUTH_SUMS,
    TRUTHS_AT,
    truth_digest,
)
from airflow_provider_nucleus.local.store.database import rows
from airflow_provider_nucleus.local.store.views.match_counts import ThresholdCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.local.store.catalog.matches import MatchSet
    from airflow_provider_nucleus.local.store.catalog.slices import SliceRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["SliceCounts", "slice_counts"]


@dataclass(frozen=True, slots=True)
class SliceCounts:
    """A slice within a calculation: the counts of all labels of its items, and their coverage."""

    match_set: MatchSet
    slice: SliceRecord
    counts: ThresholdCounts
    coverage: dict[str, Any]


# Rows of the same stretch of calculations are added up first: a year of calculations is one scan.
_COUNTS: Final = f"""WITH members AS (
        SELECT slice_no, item_no FROM slice_items WHERE slice_no IN (SELECT unnest($slices::INTEGER[])) AND item_no IS NOT NULL
        UNION SELECT e.slice_no, m.item_no FROM slice_items e JOIN items m ON m.scene_no = e.scene_no
            WHERE e.slice_no IN (SELECT unnest($slices::INTEGER[]))),
    s AS (SELECT * FROM match_sets WHERE match_set_no IN (SELECT unnest($sets::BIGINT[]))),
    seen AS (
        SELECT s.match_set_no, m.slice_no, count(*) AS items, {TRUTH_SUMS}
        FROM s JOIN items i ON i.dataset_no = s.dataset_no AND i.created_at <= s.created_at JOIN members m USING (item_no)
        LEFT JOIN kept_truths k ON k.item_no = i.item_no AND {TRUTHS_AT.format("s")} GROUP BY s.match_set_no, m.slice_no),
    c AS (
        SELECT line_no, first_place, until_place, item_no, truth_label, prediction_label, row_count,
            coalesce(list_filter(correct_overlaps, lambda overlap: overlap >= $iou), []) AS found
        FROM kept_counts WHERE line_no IN (SELECT line_no FROM s) AND item_no IN (SELECT item_no FROM members)),
    k AS (
        SELECT line_no, first_place, until_place, slice_no, sum(len(found)) AS tp,
            sum(row_count - len(found)) FILTER (prediction_label IS NOT NULL) AS fp,
            sum(row_count - len(found)) FILTER (truth_label IS NOT NULL) AS fn, sum(list_sum(found)) AS overlap
        FROM c JOIN members USING (item_no) GROUP BY ALL),
    counts AS (
        SELECT s.match_set_no, k.slice_no, sum(tp) AS tp, sum(fp) AS fp, sum(fn) AS fn, sum(overlap) AS overlap
        FROM s JOIN k ON {COUNTS_AT.format("s")} GROUP BY s.match_set_no, k.slice_no)
    SELECT match_set_no, slice_no, items, with_truth, objects, former, state, listed, parts, coalesce(tp, 0)::BIGINT AS tp,
        coalesce(fp, 0)::BIGINT AS fp, coalesce(fn, 0)::BIGINT AS fn, coalesce(overlap, 0)::DOUBLE AS overlap
    FROM seen LEFT JOIN counts USING (match_set_no, slice_no) ORDER BY match_set_no, slice_no"""


def slice_counts(
    cursor: Cursor, match_sets: Sequence[MatchSet], slices: Sequence[SliceRecord], *, iou: float
) -> list[SliceCounts]:
    """Return the slices that had items when the calculations began, in order of calculation and slice.

    A slice is what it is now: items that were added to it or taken out of the dataset since are, or are not, in its numbers.
    """
    if not match_sets or not slices:
        return []
    sets = {each.number: each for each in match_sets}
    chosen = {each.number: each for each in slices}
    result = []
    for row in rows(cursor, _COUNTS, {"slices": list(chosen), "sets": list(sets), "iou": iou}):
        match_set = sets[row["match_set_no"]]
        recorded = match_set.coverage is not None
        counts = ThresholdCounts("", row["tp"], row["fp"], row["fn"], row["overlap"])
        coverage = {
            "items": row["items"],
            "with_ground_truth": row["with_truth"] if recorded else None,
            "without_ground_truth": row["items"] - row["with_truth"] if recorded else None,
            "ground_truth": counts.ground_truth,
            "predictions": counts.predictions,
            "ground_truth_digest": truth_digest(row) if recorded else None,
        }
        result.append(SliceCounts(match_set, chosen[row["slice_no"]], counts, coverage))
    return result
