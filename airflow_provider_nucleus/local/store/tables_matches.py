"""The tables of matches: what `calculateEvaluationMetrics` leaves behind.

A *match set* is the result of one calculation, and is kept. Its rows are written while readers still see the set before; the last
transaction makes it the current one, so nobody ever sees half of one. Of earlier calculations the rows of a few are kept
(`Settings.kept_matches`); what they are counted from (`kept_counts`, `kept_truths`) is kept of all of them, once for all
calculations in a row that have it: a calculation adds what differs from the one before, and ends what it has not any more.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COUNTS_OF_ROWS", "MATCH_TABLES", "OPEN", "TO_LAYOUT_4", "TO_LAYOUT_5"]

OPEN: Final = 2**63 - 1
"""The end of what the newest calculation of a line has."""

MATCH_TABLES: Final = (
    # set_no: the predictions, truth_set_no: the ground truth (null if the dataset has none). options, summary: JSON. published_at is null
    # while the rows are being written. totals: JSON, the counts at usual thresholds; null in sets of a former layout. line_no: the first
    # calculation of the same predictions with the same options, place: the place in that line, truth_place: among the calculations of the same
    # ground truth; in the order in which they ended, from 1, null while the rows are being written.
    """CREATE TABLE IF NOT EXISTS match_sets (
        match_set_no BIGINT NOT NULL, set_no INTEGER NOT NULL, truth_set_no INTEGER, dataset_no INTEGER NOT NULL,
        job_no BIGINT NOT NULL, current BOOLEAN NOT NULL, options VARCHAR NOT NULL, summary VARCHAR NOT NULL,
        created_at TIMESTAMP NOT NULL, published_at TIMESTAMP, rows_kept BOOLEAN, totals VARCHAR, line_no BIGINT, place BIGINT,
        truth_place BIGINT)""",
    # kind: 'matched', 'false_positive' (no truth) or 'false_negative' (no prediction). family: what was compared with
    # what (area, cuboid, mask). A segment is the index of a mask's segment, null for everything else. iou is 0 for
    # unmatched rows. beside_*: the unmatched ground truth shown next to an unmatched prediction, never a true positive.
    """CREATE TABLE IF NOT EXISTS matches (
        match_set_no BIGINT NOT NULL, match_no BIGINT NOT NULL, item_no BIGINT NOT NULL, kind VARCHAR NOT NULL,
        family VARCHAR NOT NULL, prediction_no BIGINT, truth_no BIGINT, prediction_segment INTEGER, truth_segment INTEGER,
        prediction_label VARCHAR, truth_label VARCHAR, confidence DOUBLE, iou DOUBLE NOT NULL,
        true_positive BOOLEAN NOT NULL, beside_no BIGINT, beside_label VARCHAR, beside_iou DOUBLE)""",
    # The rows above by item and pair of labels (null: no such side). correct_overlaps: those of true positives, ascending; null for the rest.
    # Exact at any threshold. A row is of the calculations of its line from first_place to before until_place.
    """CREATE TABLE IF NOT EXISTS kept_counts (
        line_no BIGINT NOT NULL, first_place BIGINT NOT NULL, until_place BIGINT NOT NULL, item_no BIGINT NOT NULL, truth_label VARCHAR,
        prediction_label VARCHAR, row_count INTEGER NOT NULL, correct_overlaps DOUBLE[])""",
    # The ground truth that calculations saw, by item, of those of its truth_set_no from first_place to before until_place. objects: those with a
    # shape. state: changes with anything that the rest follows from. listed, part_0 to part_3: how many objects queries list, and
    # the sum of their digests in parts of 64 bits, the lowest first (`gating/fingerprint.py`); null in rows of a former layout.
    """CREATE TABLE IF NOT EXISTS kept_truths (
        truth_set_no INTEGER NOT NULL, first_place BIGINT NOT NULL, until_place BIGINT NOT NULL, item_no BIGINT NOT NULL,
        objects INTEGER NOT NULL, state UBIGINT NOT NULL, listed INTEGER, part_0 UBIGINT, part_1 UBIGINT, part_2 UBIGINT, part_3 UBIGINT)""",
)
"""Every statement that creates them."""

COUNTS_OF_ROWS: Final = """SELECT {0} item_no, truth_label, prediction_label, count(*)::INTEGER AS row_count,
        CASE WHEN true_positive THEN list(iou ORDER BY iou) END AS correct_overlaps
    FROM matches {1} GROUP BY {0} item_no, truth_label, prediction_label, true_positive ORDER BY {0} item_no"""
"""Query that counts rows of matches, each by further columns ('a, '), of those that a condition selects."""

TO_LAYOUT_4: Final = (
    """CREATE TABLE match_counts (match_set_no BIGINT, item_no BIGINT, truth_label VARCHAR, prediction_label VARCHAR, row_count INTEGER,
        correct_overlaps DOUBLE[])""",
    "CREATE TABLE match_truths (match_set_no BIGINT, item_no BIGINT, objects INTEGER, digest UBIGINT)",
    "DELETE FROM matches WHERE match_set_no NOT IN (SELECT match_set_no FROM match_sets WHERE current)",
    "DELETE FROM match_sets WHERE NOT current",
    "UPDATE match_sets SET published_at = created_at, rows_kept = true",
    "INSERT INTO match_counts " + COUNTS_OF_ROWS.format("match_set_no,", ""),
)
"""Statements that bring the rows of an older store up to date: it kept one calculation of each run, and no counts."""

TO_LAYOUT_5: Final = (
    """UPDATE match_sets SET line_no = found.line_no, place = found.place, truth_place = found.truth_place FROM (
        SELECT match_set_no, min(match_set_no) OVER (PARTITION BY set_no, options) AS line_no,
            row_number() OVER (PARTITION BY set_no, options ORDER BY published_at, match_set_no) AS place,
            row_number() OVER (PARTITION BY truth_set_no ORDER BY published_at, match_set_no) AS truth_place
        FROM match_sets WHERE published_at IS NOT NULL) found WHERE found.match_set_no = match_sets.match_set_no""",
    # Of equal rows those of places in a row become one: they have the same difference between the place and their own number.
    f"""INSERT INTO kept_counts
        WITH lasts AS (SELECT line_no, max(place) AS last FROM match_sets WHERE place IS NOT NULL GROUP BY line_no),
        merged AS (
            SELECT line_no, place, item_no, truth_label, prediction_label, sum(row_count)::INTEGER AS row_count,
                CASE WHEN bool_and(correct_overlaps IS NOT NULL) THEN list_sort(flatten(list(correct_overlaps))) END AS correct_overlaps
            FROM match_counts JOIN match_sets USING (match_set_no) WHERE place IS NOT NULL
            GROUP BY line_no, place, item_no, truth_label, prediction_label, correct_overlaps IS NULL),
        numbered AS (
            SELECT *, place - row_number() OVER (PARTITION BY line_no, item_no, truth_label, prediction_label, row_count, correct_overlaps
                ORDER BY place) AS stretch FROM merged),
        stretches AS (
            SELECT line_no, min(place) AS first_place, max(place) AS last_place, item_no, truth_label, prediction_label, row_count,
                correct_overlaps
            FROM numbered GROUP BY line_no, item_no, truth_label, prediction_label, row_count, correct_overlaps, stretch)
        SELECT line_no, first_place, CASE WHEN last_place = last THEN {OPEN} ELSE last_place + 1 END, item_no, truth_label,
            prediction_label, row_count, correct_overlaps
        FROM stretches JOIN lasts USING (line_no) ORDER BY line_no, first_place, item_no""",
    f"""INSERT INTO kept_truths
        WITH lasts AS (
            SELECT truth_set_no, max(truth_place) AS last FROM match_sets WHERE truth_place IS NOT NULL GROUP BY truth_set_no),
        numbered AS (
            SELECT truth_set_no, truth_place AS place, item_no, objects, digest,
                truth_place - row_number() OVER (PARTITION BY truth_set_no, item_no, objects, digest ORDER BY truth_place) AS stretch
            FROM match_truths JOIN match_sets USING (match_set_no) WHERE truth_place IS NOT NULL),
        stretches AS (
            SELECT truth_set_no, min(place) AS first_place, max(place) AS last_place, item_no, objects, digest
            FROM numbered GROUP BY truth_set_no, item_no, objects, digest, stretch)
        SELECT truth_set_no, first_place, CASE WHEN last_place = last THEN {OPEN} ELSE last_place + 1 END, item_no, objects, digest,
            NULL, NULL, NULL, NULL, NULL
        FROM stretches JOIN lasts USING (truth_set_no) ORDER BY truth_set_no, first_place, item_no""",
    "DROP TABLE match_counts",
    "DROP TABLE match_truths",
)
"""Statements that bring the rows of a store of layout 4 up to date: it kept the counts of each calculation on its own."""
