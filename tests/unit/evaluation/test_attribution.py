"""The kinds of error on a Nucleus match: hand-computed cases and a literal reading of the rules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching.counts import counts_at
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.readers.attribution import ErrorCounts, ErrorKind, attribute_match
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy
from tests.unit.evaluation.sides import BOX, prediction_side, random_rows, truth_side

CAT, DOG = 0, 1
HALF = (0, 0, 10, 5)  # IoU .5 with BOX
FIFTH = (0, 0, 10, 2)  # IoU .2
SLIVER = (0, 0, 10, 0.5)  # IoU .05


def iou(one, two) -> float:
    width = min(one[0] + one[2], two[0] + two[2]) - max(one[0], two[0])
    height = min(one[1] + one[3], two[1] + two[3]) - max(one[1], two[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (one[2] * one[3] + two[2] * two[3] - shared)


@pytest.mark.parametrize(
    ("label", "box", "kind", "missed"),
    [
        (CAT, BOX, ErrorKind.TRUE_POSITIVE, 0),
        (CAT, HALF, ErrorKind.TRUE_POSITIVE, 0),
        (CAT, FIFTH, ErrorKind.LOCALIZATION, 0),
        (DOG, BOX, ErrorKind.CLASSIFICATION, 0),
        (DOG, HALF, ErrorKind.CLASSIFICATION, 0),
        (DOG, FIFTH, ErrorKind.BOTH, 1),
        (CAT, SLIVER, ErrorKind.BACKGROUND, 1),
        (CAT, (50, 50, 5, 5), ErrorKind.BACKGROUND, 1),
    ],
)
def test_one_prediction_beside_one_cat(label, box, kind, missed):
    """Each rule alone, thresholds included."""
    result = attribute_match(match(truth_side([(0, CAT, BOX)]), prediction_side([(0, label, box, 0.9)])))

    assert [kind] == result.kind.tolist()
    assert missed == result.counts().missed


def test_a_second_prediction_of_a_found_object_is_a_duplicate():
    """The better overlap is the true positive, whatever the confidence; equality at the threshold is a duplicate."""
    result = attribute_match(
        match(
            truth_side([(0, CAT, BOX)]),
            prediction_side([(0, CAT, (0, 0, 10, 9), 0.9), (0, CAT, BOX, 0.1), (0, CAT, HALF, 0.5)]),
        )
    )

    assert result.kind.tolist() == [ErrorKind.DUPLICATE, ErrorKind.TRUE_POSITIVE, ErrorKind.DUPLICATE]
    assert ErrorCounts(1, 0, 0, 0, 2, 0, 0) == result.counts()


def test_a_listed_pair_of_labels_is_the_right_class():
    """With (cat, dog) allowed, a dog on a cat is right, and a misplaced one a localization error."""
    rule = LabelMatchPolicy(allowed=frozenset({(CAT, DOG)}))
    result = attribute_match(
        match(
            truth_side([(0, CAT, BOX), (1, CAT, BOX)]),
            prediction_side([(0, DOG, BOX, 0.9), (1, DOG, FIFTH, 0.9)]),
            rule=rule,
        )
    )

    assert result.kind.tolist() == [ErrorKind.TRUE_POSITIVE, ErrorKind.LOCALIZATION]


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([0.5, 0.3, 0.75]))
@settings(max_examples=80, deadline=None)
def test_kinds_equal_the_rules_read_literally(seed, agnostic, foreground):
    """Pair by pair, on random data with ties and crowds, for both label rules."""
    truths, predictions = random_rows(seed)
    if not truths or not predictions:
        return
    matches = match(
        truth_side(truths), prediction_side(predictions), rule=LabelMatchPolicy(class_agnostic=agnostic)
    )
    result = attribute_match(matches, foreground=foreground)
    found = {
        int(m) for m, o, r in zip(matches.match, matches.overlap, matches.correct) if r and o >= foreground
    }
    pointed = set()
    for row, (image, label, box, _) in enumerate(predictions):
        same = [(iou(box, t[2]), -n) for n, t in enumerate(truths) if t[:2] == (image, label) and not t[3]]
        other = [
            (iou(box, t[2]), -n) for n, t in enumerate(truths) if t[0] == image and t[1] != label and not t[3]
        ]
        best_same, best_other = max(same, default=(0, 0)), max(other, default=(0, 0))
        if matches.correct[row] and matches.overlap[row] >= foreground:
            expected = ErrorKind.TRUE_POSITIVE
        elif 0.1 <= best_same[0] < foreground:
            expected = ErrorKind.LOCALIZATION
            pointed.add(-best_same[1])
        elif best_other[0] >= foreground:
            expected = ErrorKind.CLASSIFICATION
            pointed.add(-best_other[1])
        elif best_same[0] >= foreground:
            expected = ErrorKind.DUPLICATE
        elif max(best_same[0], best_other[0]) <= 0.1:
            expected = ErrorKind.BACKGROUND
        else:
            expected = ErrorKind.BOTH
        assert expected == result.kind[row]
    missed = [not t[3] and n not in found and n not in pointed for n, t in enumerate(truths)]
    assert missed == result.missed.tolist()


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_every_prediction_has_exactly_one_kind(seed):
    """The kinds add up to the predictions, the true positives to those of the counts."""
    truths, predictions = random_rows(seed)
    if not truths or not predictions:
        return
    matches = match(truth_side(truths), prediction_side(predictions))
    counts = attribute_match(matches).counts()
    errors = counts.localization + counts.classification + counts.both + counts.duplicate + counts.background

    assert counts_at(matches, 0.5).tp == counts.true_positive
    assert counts_at(matches, 0.5).fp == errors
    assert counts.missed <= counts_at(matches, 0.5).fn


def test_counts_can_be_read_over_chosen_rows():
    """A filter keeps the kinds and only counts fewer."""
    result = attribute_match(
        match(
            truth_side([(0, CAT, BOX), (1, CAT, BOX)]),
            prediction_side([(0, CAT, BOX, 0.9), (0, DOG, (50, 50, 5, 5), 0.1)]),
        )
    )

    chosen = result.counts(predictions=np.array([True, False]), ground_truth=np.array([True, False]))
    assert ErrorCounts(1, 0, 0, 0, 0, 0, 0) == chosen
    assert ErrorCounts(1, 0, 0, 0, 0, 1, 1) == result.counts()


def test_empty_sides():
    """No prediction: all missed. No ground truth: all background. A crowd is never missed."""
    none = []
    assert attribute_match(match(truth_side([(0, CAT, BOX)]), prediction_side(none))).counts().missed == 1
    assert attribute_match(match(truth_side(none), prediction_side([(0, CAT, BOX)]))).counts().background == 1
    assert (
        attribute_match(match(truth_side([(0, CAT, BOX, True)]), prediction_side(none))).counts().missed == 0
    )


def test_thresholds_in_the_wrong_order_are_refused():
    """A background threshold above the foreground one makes the rules contradict each other."""
    with pytest.raises(ValueError, match="background < foreground"):
        attribute_match(
            match(truth_side([(0, CAT, BOX)]), prediction_side([])), foreground=0.1, background=0.5
        )
