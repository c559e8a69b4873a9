"""Slices: the numbers of a subset of items equal those of evaluating that subset alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching.coco import match_coco
from airflow_provider_nucleus.evaluation.matching.counts import counts_at
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from airflow_provider_nucleus.evaluation.readers.coco import evaluate_coco
from airflow_provider_nucleus.evaluation.readers.ranked import rank_coco
from airflow_provider_nucleus.evaluation.readers.slicing import (
    WHOLE,
    CountsAtThreshold,
    slice_numbers,
    total_counts,
)
from tests.unit.evaluation.sides import BOX, prediction_side, random_rows, truth_side

CAT = 0


@given(st.integers(0, 100_000), st.lists(st.booleans(), min_size=4, max_size=4), st.sampled_from([None, 0.5]))
@settings(max_examples=60, deadline=None)
def test_a_slice_equals_its_items_alone(seed, kept, confidence):
    """Counts, quotients and COCO's AP, for the slice and for the whole."""
    truths, found = random_rows(seed)
    truth, predictions = truth_side(truths), prediction_side(found)
    coco = rank_coco(match_coco(truth, predictions, labels=3), truth, predictions)
    numbers = slice_numbers(
        match(truth, predictions),
        {"some": np.array(kept)},
        images=4,
        coco=coco,
        minimum_confidence=confidence,
    )

    for name, mask in (("some", kept), (WHOLE, [True] * 4)):
        own_truth = truth.take(np.flatnonzero([mask[row[0]] for row in truths]))
        own_found = predictions.take(np.flatnonzero([mask[row[0]] for row in found]))
        expected = counts_at(match(own_truth, own_found).above(confidence), 0.5)
        ours = numbers[name]
        assert (expected.tp, expected.fp, expected.fn) == (
            ours.true_positives,
            ours.false_positives,
            ours.false_negatives,
        )
        assert (expected.precision, expected.recall) == (
            ours.metrics["precision"].value,
            ours.metrics["recall"].value,
        )
        assert expected.mean_overlap == pytest.approx(ours.metrics["mean_iou"].value)
        left = (
            own_found
            if confidence is None
            else own_found.take(np.flatnonzero(own_found.confidence >= confidence))
        )
        alone = evaluate_coco(own_truth, left, labels=3).numbers
        for metric in ("AP", "AP50", "AP75"):
            assert alone[metric].value == pytest.approx(ours.metrics[metric].value, abs=1e-12)


def test_hand_computed_case():
    """One cat found by day, one missed by night with a false alarm."""
    matches = match(
        truth_side([(0, CAT, BOX), (1, CAT, BOX)]),
        prediction_side([(0, CAT, (0, 0, 10, 8), 0.9), (1, CAT, (50, 50, 5, 5), 0.8)]),
    )
    day, night = np.array([True, False, False]), np.array([False, True, True])
    numbers = slice_numbers(matches, {"day": day, "night": night}, images=3)

    assert (
        numbers[WHOLE].items,
        numbers[WHOLE].true_positives,
        numbers[WHOLE].false_positives,
        numbers[WHOLE].false_negatives,
    ) == (3, 1, 1, 1)
    assert (
        numbers["night"].items,
        numbers["night"].ground_truths,
        numbers["night"].predictions,
        numbers["night"].true_positives,
    ) == (2, 1, 1, 0)
    assert Metric(1.0) == numbers["day"].metrics["f1"]
    assert Metric(0.8) == numbers["day"].metrics["mean_iou"]
    assert Metric(0.0) == numbers["night"].metrics["f1"]
    assert undefined("no true positives") == numbers["night"].metrics["mean_iou"]


@given(st.integers(0, 100_000), st.lists(st.booleans(), min_size=4, max_size=4))
@settings(max_examples=30, deadline=None)
def test_total_counts_over_masks_equal_those_of_the_items_alone(seed, kept):
    """The counts of a filter that keeps whole items."""
    truths, found = random_rows(seed)
    truth, predictions = truth_side(truths), prediction_side(found)
    masks = [np.array([kept[row[0]] for row in side], dtype=bool) for side in (truths, found)]
    ours = total_counts(match(truth, predictions), 0.5, predictions=masks[1], ground_truth=masks[0])
    alone = match(truth.take(np.flatnonzero(masks[0])), predictions.take(np.flatnonzero(masks[1])))
    expected = counts_at(alone, 0.5)

    assert (expected.tp, expected.fp, expected.fn) == (
        ours.true_positives,
        ours.false_positives,
        ours.false_negatives,
    )
    assert masks[1].sum() == ours.with_confidence


def test_total_counts_over_single_rows():
    """Hide a prediction: its cat is missed. Hide a cat: its finder is no error. No confidence is counted apart."""
    matches = match(
        truth_side([(0, CAT, BOX), (1, CAT, BOX)]), prediction_side([(0, CAT, BOX), (1, CAT, BOX, 0.9)])
    )
    first = np.array([True, False])

    assert CountsAtThreshold(2, 0, 0, 1) == total_counts(matches, 0.5)
    assert CountsAtThreshold(1, 0, 1, 0) == total_counts(matches, 0.5, predictions=first)
    assert CountsAtThreshold(1, 0, 0, 1) == total_counts(matches, 0.5, ground_truth=first)


def test_an_empty_slice_has_no_number():
    """No items: every number says why, and the counts are 0."""
    matches = match(truth_side([(0, CAT, BOX)]), prediction_side([(0, CAT, BOX, 0.9)]))
    empty = slice_numbers(matches, {"none": np.array([False])}, images=1)["none"]

    assert (empty.items, empty.ground_truths, empty.predictions) == (0, 0, 0)
    assert undefined("no predictions") == empty.metrics["precision"]
    assert undefined("no ground truth") == empty.metrics["recall"]
    assert undefined("no predictions and no ground truth") == empty.metrics["f1"]


def test_masks_that_do_not_fit_and_the_reserved_name_are_refused():
    """A slice of other items, or one that would hide the whole."""
    matches = match(truth_side([(0, CAT, BOX)]), prediction_side([]))
    with pytest.raises(ValueError, match="'short' has a mask of shape"):
        slice_numbers(matches, {"short": np.zeros(2, dtype=bool)}, images=1)
    with pytest.raises(ValueError, match="stands for all items"):
        slice_numbers(matches, {WHOLE: np.zeros(1, dtype=bool)}, images=1)
