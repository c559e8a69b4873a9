"""Gains: what every match above a confidence finds, without making them one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching import gains as module
from airflow_provider_nucleus.evaluation.matching.gains import curve_pairs, gains
from airflow_provider_nucleus.evaluation.matching.nucleus import match, match_pairs
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy
from tests.shared_data import shared_data
from tests.unit.evaluation.sides import BOX, coco_rows, prediction_side, tied_match, truth_side
from tests.unit.evaluation.test_candidates import crowded_rows

RULES = (LabelMatchPolicy(), LabelMatchPolicy(allowed=frozenset({(0, 1), (2, 1)})))


def gains_of(matches, thresholds):
    """Rank by confidence, image and ordinal, and return the order and the gains."""
    truth, predictions, edges = matches.ground_truth, matches.predictions, matches.edges
    order = np.lexsort((predictions.ordinal, predictions.image, -predictions.confidence))
    correct = np.flatnonzero(
        matches.rule.is_correct(truth.label[edges.ground_truth], predictions.label[edges.prediction])
    )
    pairs = curve_pairs(
        edges.take(correct), truth, predictions, ranked=order, least=thresholds[0],
        across_labels=bool(matches.rule.allowed),
    )  # fmt: skip
    return order, gains(pairs, thresholds=thresholds)


def assert_every_prefix(matches, thresholds, *, steps):
    """Compare what is gained up to a prediction with a match of the predictions up to it."""
    order, found = gains_of(matches, thresholds)
    for count in steps:
        kept = np.zeros(order.size, dtype=bool)
        kept[order[:count]] = True
        alone = matches.only(kept)
        for bit, threshold in enumerate(thresholds):
            expected = alone.match[alone.correct & (alone.overlap >= threshold)]
            rows = (found.place < count) & (found.bits >> np.uint16(bit) & 1 == 1)
            assert sorted(expected.tolist()) == sorted(found.ground_truth[rows].tolist())


@given(st.integers(0, 100_000), st.sampled_from(RULES), st.sampled_from([(0.1, 0.5, 0.75), (0.5,), (0.05,)]))
@settings(max_examples=80, deadline=None)
@pytest.mark.parametrize("together", [1, 48])
def test_gains_equal_a_match_of_every_prefix(together, seed, rule, thresholds):
    """At every threshold and after every prediction, filled in groups or one by one, labels listed or not."""
    truths, found = crowded_rows(seed)
    matches = match(truth_side(truths), prediction_side(found), rule=rule)
    before, module._FEW = module._FEW, together
    try:
        assert_every_prefix(matches, thresholds, steps=range(len(found) + 1))
    finally:
        module._FEW = before


@given(
    st.integers(0, 100_000), st.sampled_from(RULES), st.sampled_from([(0.25, 0.5, 1.0), (0.5,), (0.75, 1.0)])
)
@settings(max_examples=300, deadline=None)
@pytest.mark.parametrize("together", [1, 48])
def test_gains_of_ties_equal_a_match_of_every_prefix(together, seed, rule, thresholds):
    """Equal overlaps, some of them exactly at a threshold, equal confidences and ordinals."""
    matches = tied_match(seed, rule)
    before, module._FEW = module._FEW, together
    try:
        assert_every_prefix(matches, thresholds, steps=range(len(matches.predictions) + 1))
    finally:
        module._FEW = before


@pytest.mark.parametrize("together", [1, 48])
def test_who_is_more_confident_holds_an_object_of_equal_overlap(together, monkeypatch):
    """The third takes the first's object, the first by its confidence the second's, and the second finds one more."""
    monkeypatch.setattr(module, "_FEW", together)
    truth = truth_side([(0, 0, BOX)] * 3)
    predictions = prediction_side([(0, 0, BOX, 0.9), (0, 0, BOX, 0.8), (0, 0, BOX, 0.7)])
    matches = match_pairs(
        truth,
        predictions,
        ground_truth_rows=np.array([0, 1, 1, 2, 0], dtype=np.int32),
        prediction_rows=np.array([0, 0, 1, 1, 2], dtype=np.int32),
        overlap=np.array([0.8, 0.6, 0.6, 0.55, 0.9]),
        rule=LabelMatchPolicy(),
    )

    assert_every_prefix(matches, (0.5,), steps=range(4))


@pytest.mark.parametrize("thresholds", [(0.5,), (0.02,), (0.1, 0.3, 0.5, 0.7, 0.9)])
def test_gains_of_real_detections(thresholds):
    """Two real models as one that suppresses nothing, at thresholds at which many predictions reach several objects."""
    folder = shared_data("home-objects")
    truths, yolo = coco_rows(folder, "yolo")
    _, centernet = coco_rows(folder, "centernet")
    matches = match(truth_side(truths), prediction_side(yolo + centernet))
    count = len(matches.predictions)
    assert_every_prefix(matches, thresholds, steps=[*range(0, count, 97), count])


def test_pairs_that_were_made_for_higher_overlaps_are_refused():
    """Below it some pairs are missing, and curves would be too low."""
    matches = match(truth_side([(0, 0, BOX)]), prediction_side([(0, 0, BOX, 0.9)]))
    order, ranked = np.array([0]), np.array([0])
    pairs = curve_pairs(
        matches.edges,
        matches.ground_truth,
        matches.predictions,
        ranked=ranked,
        least=0.5,
        across_labels=False,
    )

    assert gains(pairs, thresholds=(0.5,)).place.tolist() == order.tolist()
    assert len(gains(pairs, thresholds=(0.5,), predictions=np.array([False]))) == 0
    with pytest.raises(ValueError, match=r"overlap by 0\.5 or more"):
        gains(pairs, thresholds=(0.4,))
