"""COCO matching in order with pairs left out, against one that never had them."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_provider_nucleus.evaluation.matching.coco import (
    BOX_OPTIONS,
    COCO_THRESHOLDS,
    coco_edges,
    coco_outcomes,
    ranked_predictions,
)
from airflow_provider_nucleus.evaluation.matching.coco_order import match_in_order, without
from tests.unit.evaluation.sides import prediction_side, random_rows, truth_side


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_leaving_pairs_out_equals_never_having_had_them(seed: int, share: float):
    """Only the groups that lost a taken pair are walked again, with the same outcome in every size range."""
    rng = np.random.default_rng(seed)
    truths, found_rows = random_rows(seed, images=12)
    truth, predictions = truth_side(truths), prediction_side(found_rows)
    rows, _ = ranked_predictions(predictions, limit=100)
    edges = coco_edges(truth, predictions, rows=rows)
    whole = match_in_order(edges, truth, predictions, thresholds=COCO_THRESHOLDS)
    gone = rng.random(len(predictions)) < share

    found = without(whole, gone[whole.edges.prediction], truth)

    kept = edges.take(np.flatnonzero(~gone[edges.prediction]))
    alone = match_in_order(kept, truth, predictions, thresholds=COCO_THRESHOLDS)
    np.testing.assert_array_equal(alone.edges.prediction, found.edges.prediction)
    np.testing.assert_array_equal(alone.taken, found.taken)
    for expected, actual in zip(
        coco_outcomes(alone, truth, predictions, options=BOX_OPTIONS),
        coco_outcomes(found, truth, predictions, options=BOX_OPTIONS),
        strict=True,
    ):
        np.testing.assert_array_equal(expected, actual)
