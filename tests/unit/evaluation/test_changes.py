"""Changed objects: every counted ground truth is in exactly one list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching.counts import counts_at
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.readers.changes import changed_objects
from tests.unit.evaluation.sides import BOX, prediction_side, random_rows, truth_side

CAT, DOG = 0, 1


def test_hand_computed_case():
    """Five cats: gained, lost, kept, missed by both; the crowd is in no list."""
    truth = truth_side([*((image, CAT, BOX) for image in range(4)), (4, CAT, BOX, True)])
    first = match(truth, prediction_side([(1, CAT, BOX, 0.9), (2, CAT, BOX, 0.9), (3, DOG, BOX, 0.9)]))
    second = match(
        truth, prediction_side([(0, CAT, BOX, 0.9), (2, CAT, BOX, 0.4), (1, CAT, (0, 0, 10, 4), 0.9)])
    )
    changes = changed_objects(first, second)

    assert [rows.tolist() for rows in (changes.gained, changes.lost, changes.kept, changes.missed)] == [
        [0],
        [1],
        [2],
        [3],
    ]
    assert changes.by_first.tolist() == [-1, 0, 1, -1, -1]
    assert changes.by_second.tolist() == [0, -1, 1, -1, -1]

    stricter = changed_objects(first.above(0.5), second.above(0.5))
    assert stricter.lost.tolist() == [1, 2]
    assert changed_objects(first, second, threshold=0.4).kept.tolist()[:1] == [1]


@given(st.integers(0, 100_000), st.integers(0, 100_000))
@settings(max_examples=40, deadline=None)
def test_every_counted_object_is_in_exactly_one_list(seed, other):
    """And the lists agree with each model's own counts; swapping the models swaps gained and lost."""
    truths, found = random_rows(seed)
    truth = truth_side(truths)
    first = match(truth, prediction_side(found))
    second = match(truth, prediction_side(random_rows(other)[1]))
    changes, back = changed_objects(first, second), changed_objects(second, first)
    lists = np.concatenate((changes.gained, changes.lost, changes.kept, changes.missed))

    assert np.flatnonzero(truth.counted).tolist() == sorted(lists.tolist())
    assert counts_at(first, 0.5).tp == len(changes.lost) + len(changes.kept)
    assert counts_at(second, 0.5).tp == len(changes.gained) + len(changes.kept)
    assert changes.gained.tolist() == back.lost.tolist()


def test_different_ground_truth_cannot_be_compared():
    """Row numbers would point at other objects."""
    first = match(truth_side([(0, CAT, BOX)]), prediction_side([]))
    second = match(truth_side([(0, DOG, BOX)]), prediction_side([]))
    with pytest.raises(ValueError, match="different ground truth"):
        changed_objects(first, second)
    equal = match(truth_side([(0, CAT, BOX)]), prediction_side([]))
    assert changed_objects(first, equal).missed.tolist() == [0]
