"""Curves over confidence: COCO's at every level, F1 against a literal sweep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching.coco import match_coco
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from airflow_provider_nucleus.evaluation.readers.coco import coco_result
from airflow_provider_nucleus.evaluation.readers.curves import f1_curve, f1_of, precision_recall_curves
from airflow_provider_nucleus.evaluation.readers.ranked import rank_coco, rank_match
from tests.unit.evaluation.sides import BOX, prediction_side, random_rows, truth_side

CAT, DOG = 0, 1


def test_hand_computed_curve():
    """Two cats, hit .9, miss .8, hit .7: precision 1 up to recall .5, then 2/3, with the confidence at each."""
    truth = truth_side([(0, CAT, BOX), (1, CAT, BOX), (1, DOG, BOX)])
    predictions = prediction_side([(0, CAT, BOX, 0.9), (0, CAT, (50, 50, 5, 5), 0.8), (1, CAT, BOX, 0.7)])
    cat, dog = precision_recall_curves(rank_match(match(truth, predictions), labels=2).rows(), threshold=0.5)

    assert (cat.label, cat.positives, len(cat.recall)) == (CAT, 2, 101)
    assert cat.precision.tolist() == [1.0] * 51 + [2 / 3] * 50
    assert cat.confidence.tolist() == [0.9] * 51 + [0.7] * 50
    assert pytest.approx(cat.average_precision.value) == (51 + 50 * 2 / 3) / 101
    assert (DOG, 1, 0, Metric(0.0)) == (dog.label, dog.positives, len(dog.recall), dog.average_precision)


@given(st.integers(0, 100_000), st.sampled_from([0.5, 0.75]))
@settings(max_examples=50, deadline=None)
def test_curves_of_ranked_rows_equal_the_coco_tables(seed, threshold):
    """Same recall levels, precision and confidence as the full COCO evaluation, ties included."""
    truths, found = random_rows(seed)
    truth, predictions = truth_side(truths), prediction_side(found)
    rows = match_coco(truth, predictions, labels=3)
    reference = coco_result(rows)
    curves = precision_recall_curves(rank_coco(rows, truth, predictions).rows(), threshold=threshold)

    assert [label for label in range(3) if rows.positives[label, 0]] == [curve.label for curve in curves]
    for curve in curves:
        expected = reference.curve(curve.label, threshold=threshold)
        reached = ~np.isnan(expected.confidence)
        assert expected.recall[reached].tolist() == curve.recall.tolist()
        assert expected.precision[reached] == pytest.approx(curve.precision, abs=1e-12)
        # At recall 0 the reference names the first prediction of all, we name the first that is right.
        assert expected.confidence[reached][1:].tolist() == curve.confidence[1:].tolist()
        assert curve.confidence[:1].tolist() == curve.confidence[1:2].tolist()


# Coarse steps make ties, fine ones put several cuts into one bucket of the search.
levels = st.builds(lambda coarse, fine: coarse / 10 + fine / 1e5, st.integers(0, 9), st.integers(0, 3))
flags = st.lists(st.tuples(levels, st.booleans()), max_size=40)


@given(flags, st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_f1_equals_a_literal_sweep(rows, more):
    """At every grid point and at the best of all distinct confidences, the highest on ties."""
    confidence = np.array([level for level, _ in rows], dtype=float)
    hit = np.array([flag for _, flag in rows], dtype=bool)
    positives = int(hit.sum()) + more
    curve = f1_of(confidence, hit, positives=positives, steps=10)

    def sweep(level):
        kept = confidence >= level
        return 2 * int((kept & hit).sum()) / (int(kept.sum()) + positives)

    if positives == 0 or not rows:
        assert curve.best is None
        assert curve.reason
        return
    assert [sweep(n / 10) for n in range(11)] == pytest.approx([point.f1.value for point in curve.points])
    values = {level: sweep(level) for level in set(confidence.tolist())}
    best = max(values, key=lambda level: (values[level], level))
    assert (best, values[best]) == pytest.approx((curve.best.confidence, curve.best.f1.value))


def test_a_grid_point_above_all_confidences_has_no_precision():
    """Keeping nothing: recall and F1 are 0, precision is not defined."""
    truth = truth_side([(0, CAT, BOX)])
    rows = rank_match(match(truth, prediction_side([(0, CAT, BOX, 0.4)])), labels=1).rows()
    last = f1_curve(rows, threshold=0.5, steps=2).points[2]

    assert (last.confidence, last.true_positives, last.predictions) == (1.0, 0, 0)
    assert undefined("no prediction at this confidence") == last.precision
    assert Metric(0.0) == last.recall == last.f1


def test_a_curve_that_cannot_have_a_best_point_says_why():
    """No ground truth; no predictions; predictions without confidence."""
    nothing = np.zeros(0)
    flags = np.zeros(0, dtype=bool)

    assert f1_of(np.array([0.5]), np.array([False]), positives=0).reason == "no ground truth"
    assert f1_of(nothing, flags, positives=1).reason == "no predictions"
    assert f1_of(nothing, flags, positives=1, without_confidence=2).reason == "no prediction has a confidence"


def test_ignored_rows_take_no_part_in_f1():
    """A prediction on a crowd is neither right nor wrong."""
    truth = truth_side([(0, CAT, BOX), (0, CAT, (50, 50, 40, 40), True)])
    predictions = prediction_side([(0, CAT, BOX, 0.9), (0, CAT, (55, 55, 10, 10), 0.8)])
    rows = match_coco(truth, predictions, labels=1)
    curve = f1_curve(rank_coco(rows, truth, predictions).rows(), threshold=0.5)

    assert Metric(1.0) == curve.best.f1
    assert Metric(1.0) == curve.points[0].precision
