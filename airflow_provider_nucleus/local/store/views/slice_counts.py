"""Counts and coverage of slices within calculations: what a batch has on its own, of what was matched for a whole run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

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


_COUNTS: Final = """WITH members AS (
        SELECT slice_no, item_no FROM slice_items WHERE slice_no IN (SELECT unnest($slices::INTEGER[])) AND item_no IS NOT NULL
        UNION SELECT e.slice_no, m.item_no FROM slice_items e JOIN items m ON m.scene_no = e.scene_no
            WHERE e.slice_no IN (SELECT unnest($slices::INTEGER[]))),
    sets AS (SELECT match_set_no, dataset_no, created_at FROM match_sets WHERE match_set_no IN (SELECT unnest($sets::BIGINT[]))),
    seen AS (
        SELECT s.match_set_no, m.slice_no, count(*) AS items, count(t.item_no) AS with_truth, sum(t.objects) AS objects,
            bit_xor(t.digest) AS digest
        FROM sets s JOIN items i ON i.dataset_no = s.dataset_no AND i.created_at <= s.created_at JOIN members m USING (item_no)
        LEFT JOIN match_truths t ON t.match_set_no = s.match_set_no AND t.item_no = i.item_no GROUP BY ALL),
    c AS (
        SELECT match_set_no, item_no, truth_label, prediction_label, row_count,
            coalesce(list_filter(correct_overlaps, lambda overlap: overlap >= $iou), []) AS found
        FROM match_counts WHERE match_set_no IN (SELECT unnest($sets::BIGINT[])) AND item_no IN (SELECT item_no FROM members)),
    counts AS (
        SELECT match_set_no, slice_no, sum(len(found)) AS tp,
            sum(row_count - len(found)) FILTER (prediction_label IS NOT NULL) AS fp,
            sum(row_count - len(found)) FILTER (truth_label IS NOT NULL) AS fn, sum(list_sum(found)) AS overlap
        FROM c JOIN members USING (item_no) GROUP BY ALL)
    SELECT match_set_no, slice_no, items, with_truth, coalesce(objects, 0)::BIGINT, coalesce(digest, 0), coalesce(tp, 0)::BIGINT,
        coalesce(fp, 0)::BIGINT, coalesce(fn, 0)::BIGINT, coalesce(overlap, 0)::DOUBLE
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
    found = cursor.execute(_COUNTS, {"slices": list(chosen), "sets": list(sets), "iou": iou}).fetchall()
    result = []
    for set_no, slice_no, items, with_truth, objects, digest, tp, fp, fn, overlap in found:
        recorded = sets[set_no].coverage is not None
        coverage = {
            "items": items,
            "with_ground_truth": with_truth if recorded else None,
            "without_ground_truth": items - with_truth if recorded else None,
            "ground_truth": tp + fn,
            "predictions": tp + fp,
            "ground_truth_digest": f"{objects}-{digest:016x}" if recorded else None,
        }
        counts = ThresholdCounts("", tp, fp, fn, overlap)
        result.append(SliceCounts(sets[set_no], chosen[slice_no], counts, coverage))
    return result
