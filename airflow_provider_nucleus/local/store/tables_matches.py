"""The tables of matches: what `calculateEvaluationMetrics` leaves behind.

A *match set* is the result of one calculation. Its rows are written while the previous set is still the one readers
see; the last transaction makes it current and removes the other, so nobody ever sees half of one.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MATCH_TABLES"]

MATCH_TABLES: Final = (
    # set_no: the predictions, truth_set_no: the ground truth (null if the dataset has none). options, summary: JSON.
    """CREATE TABLE IF NOT EXISTS match_sets (
        match_set_no BIGINT NOT NULL, set_no INTEGER NOT NULL, truth_set_no INTEGER, dataset_no INTEGER NOT NULL,
        job_no BIGINT NOT NULL, current BOOLEAN NOT NULL, options VARCHAR NOT NULL, summary VARCHAR NOT NULL,
        created_at TIMESTAMP NOT NULL)""",
    # kind: 'matched', 'false_positive' (no truth) or 'false_negative' (no prediction). family: what was compared with
    # what (area, cuboid, mask). A segment is the index of a mask's segment, null for everything else. iou is 0 for
    # unmatched rows. beside_*: the unmatched ground truth shown next to an unmatched prediction, never a true positive.
    """CREATE TABLE IF NOT EXISTS matches (
        match_set_no BIGINT NOT NULL, match_no BIGINT NOT NULL, item_no BIGINT NOT NULL, kind VARCHAR NOT NULL,
        family VARCHAR NOT NULL, prediction_no BIGINT, truth_no BIGINT, prediction_segment INTEGER, truth_segment INTEGER,
        prediction_label VARCHAR, truth_label VARCHAR, confidence DOUBLE, iou DOUBLE NOT NULL,
        true_positive BOOLEAN NOT NULL, beside_no BIGINT, beside_label VARCHAR, beside_iou DOUBLE)""",
)
"""Every statement that creates them."""
