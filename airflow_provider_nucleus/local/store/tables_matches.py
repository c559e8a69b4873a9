"""The tables of matches: what `calculateEvaluationMetrics` leaves behind.

A *match set* is the result of one calculation, and is kept. Its rows are written while readers still see the set before; the last
transaction makes it the current one, so nobody ever sees half of one. Of earlier calculations the rows of a few are kept
(`Settings.kept_matches`); what they are counted from (`match_counts`, `match_truths`) is kept of all of them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COUNTS_OF_ROWS", "MATCH_TABLES", "TO_LAYOUT_4"]

MATCH_TABLES: Final = (
    # set_no: the predictions, truth_set_no: the ground truth (null if the dataset has none). options, summary: JSON. published_at is null
    # while the rows are being written. totals: JSON, the counts at usual thresholds; null in sets of a former layout.
    """CREATE TABLE IF NOT EXISTS match_sets (
        match_set_no BIGINT NOT NULL, set_no INTEGER NOT NULL, truth_set_no INTEGER, dataset_no INTEGER NOT NULL,
        job_no BIGINT NOT NULL, current BOOLEAN NOT NULL, options VARCHAR NOT NULL, summary VARCHAR NOT NULL,
        created_at TIMESTAMP NOT NULL, published_at TIMESTAMP, rows_kept BOOLEAN, totals VARCHAR)""",
    # kind: 'matched', 'false_positive' (no truth) or 'false_negative' (no prediction). family: what was compared with
    # what (area, cuboid, mask). A segment is the index of a mask's segment, null for everything else. iou is 0 for
    # unmatched rows. beside_*: the unmatched ground truth shown next to an unmatched prediction, never a true positive.
    """CREATE TABLE IF NOT EXISTS matches (
        match_set_no BIGINT NOT NULL, match_no BIGINT NOT NULL, item_no BIGINT NOT NULL, kind VARCHAR NOT NULL,
        family VARCHAR NOT NULL, prediction_no BIGINT, truth_no BIGINT, prediction_segment INTEGER, truth_segment INTEGER,
        prediction_label VARCHAR, truth_label VARCHAR, confidence DOUBLE, iou DOUBLE NOT NULL,
        true_positive BOOLEAN NOT NULL, beside_no BIGINT, beside_label VARCHAR, beside_iou DOUBLE)""",
    # The rows above by item and pair of labels (null: no such side). correct_overlaps: those of true positives, ascending; null for the rest.
    # Exact at any threshold. Rows of one item and pair may be several, one for each family.
    """CREATE TABLE IF NOT EXISTS match_counts (
        match_set_no BIGINT NOT NULL, item_no BIGINT NOT NULL, truth_label VARCHAR, prediction_label VARCHAR, row_count INTEGER NOT NULL,
        correct_overlaps DOUBLE[])""",
    # The ground truth that a calculation saw, by item: objects and a digest of what they are.
    """CREATE TABLE IF NOT EXISTS match_truths (
        match_set_no BIGINT NOT NULL, item_no BIGINT NOT NULL, objects INTEGER NOT NULL, digest UBIGINT NOT NULL)""",
)
"""Every statement that creates them."""

COUNTS_OF_ROWS: Final = """INSERT INTO match_counts
    SELECT {0} AS match_set_no, item_no, truth_label, prediction_label, count(*)::INTEGER,
        CASE WHEN true_positive THEN list(iou ORDER BY iou) END
    FROM {1} GROUP BY match_set_no, item_no, truth_label, prediction_label, true_positive ORDER BY match_set_no, item_no"""
"""Statement that counts rows of matches (a table, and the number of its match set)."""

TO_LAYOUT_4: Final = (
    "DELETE FROM matches WHERE match_set_no NOT IN (SELECT match_set_no FROM match_sets WHERE current)",
    "DELETE FROM match_sets WHERE NOT current",
    "UPDATE match_sets SET published_at = created_at, rows_kept = true",
    COUNTS_OF_ROWS.format("match_set_no", "matches"),
)
"""Statements that bring the rows of an older store up to date: it kept one calculation of each run, and no counts."""
