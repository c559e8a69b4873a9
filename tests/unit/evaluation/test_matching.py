"""Nucleus matching: hand-computed cases, and a sequential walk written out as the reference."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching.counts import counts_at, counts_by_label
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.sides.columns import columns, rank_in_image
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy, Vocabulary

CAT, DOG, BIRD = 0, 1, 2


def side(rows, **options):
    """Build one side from (image, label, (x, y, w, h), confidence or None) rows."""
    return columns(
        Boxes.from_xywh([row[2] for row in rows]),
        np.array([row[0] for row in rows], dtype=np.int64),
        label=np.array([row[1] for row in rows], dtype=np.int64),
        confidence=[row[3] if len(row) > 3 else None for row in rows],
        **options,
    )


def test_the_highest_overlap_is_matched_first_whatever_the_confidence():
    """A confident near-duplicate loses against the prediction that fits better."""
    truth = side([(0, CAT, (0, 0, 10, 10))])
    predictions = side([(0, CAT, (0, 0, 10, 8), 0.99), (0, CAT, (0, 0, 10, 9), 0.10)])

    matches = match(truth, predictions)

    assert matches.match.tolist() == [-1, 0]
    assert pytest.approx(matches.overlap[1]) == 0.9
    assert matches.found_by.tolist() == [1]
    assert matches.best_correct.tolist() == [0, 0]


def test_equal_overlaps_go_to_the_higher_confidence_and_missing_confidence_comes_last():
    """The tie between identical boxes is decided by confidence, then by ordinal."""
    box = (0, 0, 10, 10)
    truth = side([(0, CAT, box)])

    assert match(truth, side([(0, CAT, box), (0, CAT, box, 0.2), (0, CAT, box, 0.3)])).match.tolist() == [
        -1,
        -1,
        0,
    ]
    assert match(truth, side([(0, CAT, box, 0.5), (0, CAT, box, 0.5)])).match.tolist() == [0, -1]
    assert match(
        truth, side([(0, CAT, box, 0.5), (0, CAT, box, 0.5)], ordinal=np.array([1, 0]))
    ).match.tolist() == [-1, 0]


def test_labels_are_respected_by_default_and_leftovers_are_only_shown():
    """A dog on a cat is no match, but the two are displayed side by side."""
    truth = side([(0, CAT, (0, 0, 10, 10))])
    predictions = side([(0, DOG, (0, 0, 10, 10), 0.9)])

    matches = match(truth, predictions)

    assert matches.match.tolist() == [-1]
    assert matches.displayed.tolist() == [0]
    assert matches.displayed_overlap.tolist() == [1.0]
    assert matches.displayed_with.tolist() == [0]
    assert matches.best_incorrect.tolist() == [0]
    counts = counts_at(matches, 0.5)
    assert (counts.tp, counts.fp, counts.fn) == (0, 1, 1)


def test_an_allowed_pair_is_right_in_one_direction_only():
    """(cat, dog) lets a dog prediction find a cat, not the reverse."""
    rule = LabelMatchPolicy(allowed=frozenset({(CAT, DOG)}))
    box = (0, 0, 10, 10)

    forward = match(side([(0, CAT, box)]), side([(0, DOG, box, 0.9)]), rule=rule)
    backward = match(side([(0, DOG, box)]), side([(0, CAT, box, 0.9)]), rule=rule)

    assert forward.correct.tolist() == [True]
    assert backward.match.tolist() == [-1]
    by_label = counts_by_label(forward, 0.5, labels=3)
    assert tuple(by_label.fn.tolist()[c] + by_label.tp.tolist()[c] for c in (CAT, DOG, BIRD)) == (0, 1, 0)
    assert by_label.of(CAT).found == 1
    assert by_label.of(DOG).precision == 1.0
    assert by_label.of(CAT).precision is None
    assert by_label.of(BIRD).recall is None


def test_class_agnostic_matches_anything_but_only_equal_labels_are_right():
    """A cross-label match takes the ground truth and still counts as one FP and one FN."""
    rule = LabelMatchPolicy(class_agnostic=True)
    truth = side([(0, CAT, (0, 0, 10, 10))])
    predictions = side([(0, DOG, (0, 0, 10, 10), 0.9), (0, CAT, (0, 0, 10, 9), 0.9)])

    matches = match(truth, predictions, rule=rule)

    assert matches.match.tolist() == [0, -1]
    assert matches.correct.tolist() == [False, False]
    counts = counts_at(matches, 0.5)
    assert (counts.tp, counts.fp, counts.fn) == (0, 2, 1)


def test_class_agnostic_and_a_list_exclude_each_other():
    """The contract answers 400 to both at once; so does the rule."""
    with pytest.raises(ValueError, match="exclude"):
        LabelMatchPolicy(allowed=frozenset({(0, 1)}), class_agnostic=True)
    with pytest.raises(ValueError, match="exclude"):
        LabelMatchPolicy.from_names([("a", "b")], Vocabulary(("c",)), class_agnostic=True)


def test_a_match_below_the_threshold_is_one_false_positive_and_one_false_negative():
    """Counts are a pure function of the stored match."""
    matches = match(side([(0, CAT, (0, 0, 10, 10))]), side([(0, CAT, (0, 0, 10, 4), 0.9)]))

    low, high = counts_at(matches, 0.4), counts_at(matches, 0.5)

    assert (low.tp, low.fp, low.fn, low.mean_overlap) == (1, 0, 0, 0.4)
    assert (high.tp, high.fp, high.fn, high.mean_overlap) == (0, 1, 1, None)
    assert (high.precision, high.recall, high.f1) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("truths", "guesses"), [(0, 0), (2, 0), (0, 2)])
def test_empty_sides_count_what_is_there(truths, guesses):
    """An empty side is a number, not an exception."""
    truth = side([(k, CAT, (0, 0, 1, 1)) for k in range(truths)])
    predictions = side([(k, CAT, (0, 0, 1, 1), 0.5) for k in range(guesses)])

    counts = counts_at(match(truth, predictions), 0.5)

    assert (0, guesses, truths) == (counts.tp, counts.fp, counts.fn)
    assert counts.precision == (0.0 if guesses else None)
    assert counts.recall == (0.0 if truths else None)
    assert counts.f1 is None


def test_a_box_without_area_stays_in_the_counts_and_matches_nothing():
    """0/0 never happens: overlap with a zero-sized box is 0, identical or not."""
    matches = match(side([(0, CAT, (5, 5, 0, 3))]), side([(0, CAT, (5, 5, 0, 3), 0.5)]))

    counts = counts_at(matches, 0.0)

    assert (counts.tp, counts.fp, counts.fn) == (0, 1, 1)


def test_ignored_and_crowd_ground_truth_takes_no_part():
    """A flagged region is neither found nor missed."""
    rows = [(0, CAT, (0, 0, 10, 10)), (0, CAT, (20, 0, 10, 10)), (0, CAT, (40, 0, 10, 10))]
    truth = side(rows, crowd=np.array([True, False, False]), ignore=np.array([False, True, False]))

    counts = counts_at(match(truth, side([(*row, 0.5) for row in rows])), 0.5)

    assert (counts.tp, counts.fp, counts.fn) == (1, 2, 0)


def test_what_is_left_above_a_confidence_is_matched_anew():
    """A confident prediction that had to yield to a hesitant one of better fit finds the object once that is gone."""
    truth = side([(0, CAT, (0, 0, 10, 10)), (1, CAT, (0, 0, 10, 10))])
    predictions = side([
        (0, CAT, (0, 0, 10, 10), 0.2),
        (0, CAT, (0, 0, 10, 9), 0.9),
        (1, CAT, (0, 0, 10, 10), 0.2),
        (1, CAT, (50, 0, 1, 1)),
    ])
    matches = match(truth, predictions)

    above = matches.above(0.5)

    assert above.match.tolist() == [-1, 0, -1, -1]
    assert above.predictions.counted.tolist() == [False, True, False, False]
    counts = counts_at(above, 0.5)
    assert (counts.tp, counts.fp, counts.fn) == (1, 0, 1)
    assert matches.above(None) is matches
    with pytest.raises(ValueError, match="without its pairs"):
        replace(matches, edges=None).above(0.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"confidence": [0.5, math.nan]}, r"row 1 \(id 'b'\).*NaN"),
        ({"confidence": [0.5, math.inf]}, r"row 1 \(id 'b'\).*confidence"),
        ({"geometry": [(0, 0, 1, 1), (0, 0, -1, 1)]}, r"row 1 \(id 'b'\).*box"),
        ({"geometry": [(0, 0, 1, 1), (0, math.nan, 1, 1)]}, r"row 1 \(id 'b'\).*box"),
        ({"image": np.array([0, -1])}, r"row 1 \(id 'b'\).*image"),
        ({"label": np.array([0])}, "shape"),
        ({"label": np.array([0.0, 1.0])}, "integers"),
        ({"area": np.array([1.0, -1.0])}, r"row 1 \(id 'b'\).*area"),
    ],
)
def test_poisonous_values_are_rejected_with_the_annotation_id(change, words):
    """NaN, infinity, negative sizes and mismatched columns never reach a metric."""
    parts = {
        "geometry": [(0, 0, 1, 1), (0, 0, 1, 1)],
        "image": np.array([0, 0]),
        "label": np.array([0, 0]),
        "confidence": [0.5, 0.5],
        "ids": ["a", "b"],
    } | change
    geometry = Boxes.from_xywh(parts.pop("geometry"))

    with pytest.raises(ValueError, match=words):
        columns(geometry, parts.pop("image"), **parts)


def test_ordinals_rank_ids_within_the_image_and_duplicates_are_refused():
    """The tie-breaker depends on the ids alone."""
    image = np.array([1, 0, 1, 0])

    assert rank_in_image(image, ["b", "z", "a", "c"]).tolist() == [1, 1, 0, 0]
    with pytest.raises(ValueError, match="'a'"):
        rank_in_image(image, ["a", "z", "a", "c"])


# --- against the sequential definition -------------------------------------------------------------------------


def sequential(truth, predictions, rule):
    """Walk all edges of each image in the documented order: the definition, written out."""
    match_of = [-1] * len(predictions)
    found_by = [-1] * len(truth)
    edges = []
    for p in range(len(predictions)):
        for g in range(len(truth)):
            if truth.image[g] != predictions.image[p]:
                continue
            a = [getattr(truth.geometry, c)[g] for c in ("x", "y", "width", "height")]
            b = [getattr(predictions.geometry, c)[p] for c in ("x", "y", "width", "height")]
            across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
            down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
            if across <= 0 or down <= 0:
                continue
            overlap = across * down / (a[2] * a[3] + b[2] * b[3] - across * down)
            pair = (int(truth.label[g]), int(predictions.label[p]))
            correct = pair[0] == pair[1] or pair in rule.allowed
            if not (correct or (rule.class_agnostic and overlap > rule.minimum_overlap)):
                continue
            confidence = predictions.confidence[p]
            confidence = -math.inf if math.isnan(confidence) else confidence
            edges.append((-overlap, -confidence, int(predictions.ordinal[p]), int(truth.ordinal[g]), p, g))
    for *_, p, g in sorted(edges):
        if match_of[p] == -1 and found_by[g] == -1:
            match_of[p], found_by[g] = g, p
    return match_of, found_by


grid = st.tuples(
    st.integers(0, 3), st.integers(0, 3), st.sampled_from([0, 1, 2, 4]), st.sampled_from([0, 1, 2, 4])
)
row = st.tuples(st.integers(0, 2), st.integers(0, 2), grid, st.sampled_from([None, 0.25, 0.5, 0.75]))
rules = st.sampled_from([
    LabelMatchPolicy(),
    LabelMatchPolicy(allowed=frozenset({(0, 1), (2, 0)})),
    LabelMatchPolicy(class_agnostic=True),
    LabelMatchPolicy(class_agnostic=True, minimum_overlap=0.2),
])


@settings(max_examples=150, deadline=None)
@given(truths=st.lists(row, max_size=14), guesses=st.lists(row, max_size=14), rule=rules)
def test_rounds_equal_the_sequential_walk(truths, guesses, rule):
    """Whatever the ties, the vectorised rounds give the sequential result."""
    truth = side([r[:3] for r in truths])
    predictions = side(guesses)

    matches = match(truth, predictions, rule=rule)

    expected_match, expected_found = sequential(truth, predictions, rule)
    assert expected_match == matches.match.tolist()
    assert expected_found == matches.found_by.tolist()


@settings(max_examples=40, deadline=None)
@given(
    truths=st.lists(row, max_size=10), guesses=st.lists(row, max_size=10), rule=rules, seed=st.integers(0, 99)
)
def test_arrival_order_does_not_matter(truths, guesses, rule, seed):
    """Shuffled rows with the same ordinals give the same pairs."""
    truth, predictions = side([r[:3] for r in truths]), side(guesses)
    rng = np.random.default_rng(seed)
    truth_shuffle, prediction_shuffle = rng.permutation(len(truth)), rng.permutation(len(predictions))

    straight = match(truth, predictions, rule=rule)
    shuffled = match(truth.take(truth_shuffle), predictions.take(prediction_shuffle), rule=rule)

    pairs = {(g, p) for p, g in enumerate(straight.match.tolist()) if g >= 0}
    assert pairs == {
        (int(truth_shuffle[g]), int(prediction_shuffle[p]))
        for p, g in enumerate(shuffled.match.tolist())
        if g >= 0
    }


def test_a_long_chain_of_falling_overlaps_is_walked_to_its_end():
    """More rounds than the kernel allows: the rest is walked one by one and nothing is lost."""
    count = 200
    truth = side([(0, CAT, (100.0 * k, 0, 60, 10)) for k in range(count)])
    # Prediction k covers truth k by ever less than it covers truth k - 1.
    widths = np.linspace(58, 10, 2 * count)
    predictions = side([
        (0, CAT, (100.0 * k + 60 - widths[2 * k + 1], 0, widths[2 * k + 1] + 40 + widths[2 * k + 2], 10), 0.5)
        for k in range(count - 1)
    ])

    matches = match(truth, predictions)

    expected, found = sequential(truth, predictions, LabelMatchPolicy())
    assert expected == matches.match.tolist()
    assert found == matches.found_by.tolist()
