"""Stored pairs: leaving predictions out of a stored match gives what matching the others alone gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching.candidates import match_only, stored_pairs
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy
from tests.shared_data import shared_data
from tests.unit.evaluation.sides import (
    BOX,
    coco_rows,
    prediction_side,
    random_rows,
    tied_match,
    truth_side,
)

CAT, DOG = 0, 1
RULES = (
    LabelMatchPolicy(),
    LabelMatchPolicy(allowed=frozenset({(0, 1), (2, 1)})),
    LabelMatchPolicy(class_agnostic=True),
    LabelMatchPolicy(class_agnostic=True, minimum_overlap=0.3),
)
COLUMNS = ("match", "overlap", "correct", "found_by", "displayed", "displayed_overlap", "displayed_with")


def crowded_rows(seed):
    """Random rows with more predictions, most of which are in each other's way."""
    truths, found = random_rows(seed)
    rng = np.random.default_rng(seed)
    more = [
        (
            int(rng.integers(3)), int(rng.integers(3)),
            (*rng.integers(0, 8, 2).tolist(), *rng.integers(3, 9, 2).tolist()), float(rng.integers(1, 20)) / 20,
        )
        for _ in range(15)
    ]  # fmt: skip
    return truths, found + more


def assert_equals_the_others_alone(truth, predictions, rule, kept):
    """Compare with matching all pairs of what is left, and with sides that never had anything else."""
    matches = match(truth, predictions, rule=rule)
    ours = match_only(matches, stored_pairs(matches), kept)
    anew = matches.only(kept)
    rows = np.flatnonzero(kept)
    alone = match(truth, predictions.take(rows), rule=rule)

    for name in COLUMNS:
        assert getattr(anew, name).tolist() == getattr(ours, name).tolist()
    assert alone.match.tolist() == ours.match[rows].tolist()
    assert alone.displayed.tolist() == ours.displayed[rows].tolist()
    assert kept.tolist() == ours.predictions.counted.tolist()


@given(st.integers(0, 100_000), st.sampled_from(RULES), st.floats(0, 1), st.booleans())
@settings(max_examples=150, deadline=None)
def test_leaving_predictions_out_equals_matching_the_others(seed, rule, share, alike):
    """Any choice, any rule, of boxes in each other's way."""
    truths, found = crowded_rows(seed)
    truth = truth_side(truths, ordinal=np.zeros(len(truths), dtype=int) if alike else None)
    kept = np.random.default_rng(seed).random(len(found)) < share
    assert_equals_the_others_alone(truth, prediction_side(found), rule, kept)


@given(st.integers(0, 100_000), st.sampled_from(RULES), st.floats(0, 1))
@settings(max_examples=300, deadline=None)
def test_ties_are_decided_among_those_who_are_left(seed, rule, share):
    """Equal overlaps, confidences and ordinals: the same choice as matching the pairs of the others."""
    matches = tied_match(seed, rule)
    kept = np.random.default_rng(seed).random(len(matches.predictions)) < share
    ours, anew = match_only(matches, stored_pairs(matches), kept), matches.only(kept)

    for name in COLUMNS:
        assert getattr(anew, name).tolist() == getattr(ours, name).tolist()


@pytest.mark.parametrize("least", [0.15, 0.3, 0.6])
def test_real_detections_of_two_models_at_once(least):
    """Nothing suppresses the one model's detections beside the other's."""
    folder = shared_data("home-objects")
    truths, yolo = coco_rows(folder, "yolo")
    _, centernet = coco_rows(folder, "centernet")
    predictions = prediction_side(yolo + centernet)
    assert_equals_the_others_alone(
        truth_side(truths), predictions, LabelMatchPolicy(), predictions.confidence >= least
    )


def test_only_pairs_that_can_matter_are_stored():
    """What a prediction would only come to after its own ground truth is not kept."""
    truth = truth_side([(0, CAT, BOX), (0, CAT, (1, 0, 10, 10)), (0, DOG, BOX)])
    predictions = prediction_side([(0, CAT, BOX, 0.9), (0, CAT, (0, 0, 10, 9), 0.5)])
    pairs = stored_pairs(match(truth, predictions))

    assert pairs.matched.count.tolist() == [2, 1, 0]
    assert pairs.matched.prediction.tolist() == [0, 1, 1]
    assert pairs.displayed.count.tolist() == [0, 0, 0]


def test_a_match_without_its_pairs_has_none_to_store():
    """It was read back from what somebody else stored."""
    matches = match(truth_side([(0, CAT, BOX)]), prediction_side([(0, CAT, BOX, 0.9)]))
    with pytest.raises(ValueError, match="without its pairs"):
        stored_pairs(replace(matches, edges=None))
