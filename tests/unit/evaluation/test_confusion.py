"""Confusion matrix: hand-computed cells, sums that must hold, and a literal walk over the match."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching.counts import counts_at
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.readers import confusion as module
from airflow_provider_nucleus.evaluation.readers.confusion import BACKGROUND, confusion
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy
from tests.unit.evaluation.sides import BOX, prediction_side, random_rows, truth_side

CAT, DOG, BIRD = 0, 1, 2
FAR = (50, 50, 10, 10)


def cells(result) -> dict[tuple[int, int], int]:
    return {
        (int(t), int(p)): int(n) for t, p, n in zip(result.truth, result.predicted, result.count, strict=True)
    }


def test_hand_computed_case():
    """A cat found, a cat taken for a dog, a bird missed, a bird in the sky; the crowd is nowhere."""
    truth = truth_side([(0, CAT, BOX), (1, CAT, BOX), (2, BIRD, BOX), (0, DOG, (80, 80, 9, 9), True)])
    predictions = prediction_side([(0, CAT, BOX, 0.9), (1, DOG, BOX, 0.8), (2, BIRD, FAR, 0.7)])
    result = confusion(match(truth, predictions), 0.5, labels=3)

    assert cells(result) == {(CAT, CAT): 1, (CAT, DOG): 1, (BIRD, BACKGROUND): 1, (BACKGROUND, BIRD): 1}
    assert result.dense().tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]


def test_a_pair_below_the_threshold_stands_against_the_background_on_both_sides():
    """Matched at .4: one false alarm and one miss at .5, a true positive at .4."""
    matches = match(truth_side([(0, CAT, BOX)]), prediction_side([(0, CAT, (0, 0, 10, 4), 0.9)]))

    assert cells(confusion(matches, 0.5, labels=1)) == {(CAT, BACKGROUND): 1, (BACKGROUND, CAT): 1}
    assert cells(confusion(matches, 0.4, labels=1)) == {(CAT, CAT): 1}


@given(st.integers(0, 100_000), st.sampled_from(["plain", "agnostic", "listed"]), st.sampled_from([0.3, 0.5]))
@settings(max_examples=80, deadline=None)
def test_rows_and_columns_add_up_to_the_objects(seed, kind, threshold):
    """Every counted ground truth is in one row, every prediction in one column, true positives on allowed cells."""
    truths, found = random_rows(seed)
    rule = {
        "plain": LabelMatchPolicy(),
        "agnostic": LabelMatchPolicy(class_agnostic=True),
        "listed": LabelMatchPolicy(allowed=frozenset({(0, 1)})),
    }[kind]
    matches = match(truth_side(truths), prediction_side(found), rule=rule)
    matrix = confusion(matches, threshold, labels=3).dense()
    correct = sum(matrix[label, label] for label in range(3)) + (matrix[0, 1] if kind == "listed" else 0)

    assert [sum(row[1] == c and not row[3] for row in truths) for c in range(3)] == matrix[:3].sum(
        axis=1
    ).tolist()
    assert [sum(row[1] == c for row in found) for c in range(3)] == matrix[:, :3].sum(axis=0).tolist()
    assert matrix[3, 3] == 0
    # A displayed pair never has right labels at all, or it would have been matched.
    assert counts_at(matches, threshold).tp == correct


@given(st.integers(0, 100_000), st.lists(st.booleans(), min_size=4, max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_choice_of_images_equals_the_matrix_of_those_images_alone(seed, kept):
    """Masks over whole images are exact."""
    truths, found = random_rows(seed)
    truth, predictions = truth_side(truths), prediction_side(found)
    masks = [np.array([kept[row[0]] for row in side], dtype=bool) for side in (truths, found)]
    chosen = confusion(match(truth, predictions), 0.5, labels=3, predictions=masks[1], ground_truth=masks[0])
    alone = match(truth.take(np.flatnonzero(masks[0])), predictions.take(np.flatnonzero(masks[1])))

    assert confusion(alone, 0.5, labels=3).dense().tolist() == chosen.dense().tolist()


def test_masks_over_single_rows():
    """Hiding a prediction makes its cat a miss; hiding a found cat hides its finder too, a wrong pair not."""
    truth = truth_side([(0, CAT, BOX), (1, CAT, BOX)])
    predictions = prediction_side([(0, CAT, BOX, 0.9), (1, DOG, BOX, 0.8)])
    matches = match(truth, predictions)
    no, yes = np.array([False, False]), np.array([True, True])

    assert cells(confusion(matches, 0.5, labels=2, predictions=no, ground_truth=yes)) == {
        (CAT, BACKGROUND): 2
    }
    assert cells(confusion(matches, 0.5, labels=2, predictions=yes, ground_truth=no)) == {
        (BACKGROUND, DOG): 1
    }


def test_many_labels_are_counted_without_a_table_of_all_pairs(monkeypatch):
    """Sorting gives the same cells as the table."""
    truths, found = random_rows(5, images=30)
    matches = match(truth_side(truths), prediction_side(found))
    expected = cells(confusion(matches, 0.5, labels=3))
    monkeypatch.setattr(module, "_DENSE_CELLS", 0)

    assert expected == cells(confusion(matches, 0.5, labels=3))
    assert Counter(expected).total() > 20


def test_empty_sides_give_an_empty_matrix():
    """Nothing to count is no cell, not a cell of 0."""
    assert cells(confusion(match(truth_side([]), prediction_side([])), 0.5, labels=2)) == {}
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        confusion(match(truth_side([]), prediction_side([])), 1.5, labels=2)
