"""Panoptic quality against hand-computed cases and a literal transcription of its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from airflow_provider_nucleus.evaluation.images.panoptic import VOID, panoptic_counts, panoptic_scores
from airflow_provider_nucleus.evaluation.metric import Metric, undefined


def by_definition(truth, predicted, *, truth_classes, predicted_classes, crowd, classes):
    """The definition as sets of pixels, one segment at a time."""
    true_pixels = {n: set(np.flatnonzero(truth.ravel() == n)) for n in range(len(truth_classes))}
    named_pixels = {n: set(np.flatnonzero(predicted.ravel() == n)) for n in range(len(predicted_classes))}
    void = set().union(*(true_pixels[n] for n in true_pixels if truth_classes[n] == VOID))
    result = {c: [0.0, 0, 0, 0] for c in range(classes)}
    matched_truth, matched_named = set(), set()
    for t in true_pixels:
        for p in named_pixels:
            if truth_classes[t] == VOID or crowd[t] or truth_classes[t] != predicted_classes[p]:
                continue
            union = true_pixels[t] | (named_pixels[p] - void)
            iou = len(true_pixels[t] & named_pixels[p]) / len(union) if union else 0
            if iou > 0.5:
                result[truth_classes[t]][0] += iou
                result[truth_classes[t]][1] += 1
                matched_truth.add(t)
                matched_named.add(p)
    for p, pixels in named_pixels.items():
        if p in matched_named or not pixels or predicted_classes[p] == VOID:
            continue
        excused = set(void)
        for t in true_pixels:
            if crowd[t] and truth_classes[t] == predicted_classes[p]:
                excused |= true_pixels[t]
        if len(pixels & excused) / len(pixels) <= 0.5:
            result[predicted_classes[p]][2] += 1
    for t, pixels in true_pixels.items():
        if t not in matched_truth and pixels and not crowd[t] and truth_classes[t] != VOID:
            result[truth_classes[t]][3] += 1
    return result


segments = hypothesis_numpy.arrays(np.uint8, (4, 6), elements=st.integers(0, 4))
class_tables = st.lists(st.sampled_from([VOID, 0, 0, 1, 1]), min_size=5, max_size=5)


@given(segments, segments, class_tables, class_tables, st.lists(st.booleans(), min_size=5, max_size=5))
@settings(max_examples=100, deadline=None)
def test_counts_equal_the_definition(truth, predicted, truth_classes, predicted_classes, crowd):
    """Vectorised and literal agree, with void and several crowd regions."""
    # Near copies, so that matches above one half occur.
    predicted = np.where(predicted > 2, truth, predicted)
    counts = panoptic_counts(
        truth,
        predicted,
        truth_classes=np.array(truth_classes),
        predicted_classes=np.array(predicted_classes),
        classes=2,
        truth_crowd=np.array(crowd),
    )
    expected = by_definition(
        truth,
        predicted,
        truth_classes=truth_classes,
        predicted_classes=predicted_classes,
        crowd=crowd,
        classes=2,
    )

    for label, (iou_sum, hits, false, lost) in expected.items():
        assert iou_sum == pytest.approx(counts.iou_sum[label], abs=1e-12)
        assert [hits, false, lost] == [
            counts.true_positives[label],
            counts.false_positives[label],
            counts.false_negatives[label],
        ]


def test_hand_computed_case():
    """One match of IoU 0.75, one false alarm, one miss in class 0; class 1 perfect; class 2 absent."""
    truth = np.array([[1, 1, 1, 1, 2, 2, 3, 3]])
    predicted = np.array([[1, 1, 1, 0, 2, 4, 3, 3]])
    counts = panoptic_counts(
        truth,
        predicted,
        truth_classes=np.array([VOID, 0, 0, 1]),
        predicted_classes=np.array([VOID, 0, 0, 1, VOID]),
        classes=3,
    )
    # Segment 2 overlaps by exactly one half: not more than 0.5, so it is a false alarm and a miss.
    scores = panoptic_scores(counts)

    assert [
        (row.label, row.true_positives, row.false_positives, row.false_negatives) for row in scores.per_class
    ] == [(0, 1, 1, 1), (1, 1, 0, 0)]
    assert Metric(0.75 / 2) == scores.per_class[0].pq
    assert Metric(0.75) == scores.per_class[0].sq
    assert Metric(0.5) == scores.per_class[0].rq
    assert Metric((0.375 + 1) / 2) == scores.pq


def test_quality_is_the_product_of_its_two_factors():
    """PQ = SQ x RQ wherever SQ exists, and hotcoco's formula agrees."""
    rng = np.random.default_rng(3)
    truth = np.repeat(np.arange(8), 20)
    predicted = np.where(rng.random(160) < 0.25, rng.integers(0, 8, 160), truth)
    classes = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    counts = panoptic_counts(truth, predicted, truth_classes=classes, predicted_classes=classes, classes=3)
    counts += counts

    for row in panoptic_scores(counts).per_class:
        assert row.pq.value == pytest.approx(row.sq.value * row.rq.value)
        reference = pytest.importorskip("hotcoco").metrics.panoptic_quality(
            float(counts.iou_sum[row.label]), row.true_positives, row.false_positives, row.false_negatives
        )
        assert reference == pytest.approx((row.pq.value, row.sq.value, row.rq.value))


def test_crowds_and_void_are_neither_missed_nor_held_against_the_prediction():
    """A prediction mostly on a crowd of its class, or on void, is not a false alarm."""
    truth = np.array([[0, 0, 1, 1, 2, 2]])
    predicted = np.array([[0, 0, 1, 1, 2, 2]])
    counts = panoptic_counts(
        truth,
        predicted,
        truth_classes=np.array([VOID, 0, 1]),
        predicted_classes=np.array([0, 0, 0]),
        classes=2,
        truth_crowd=np.array([False, True, False]),
    )

    assert counts.true_positives.tolist() == [0, 0]
    assert counts.false_positives.tolist() == [1, 0]  # only the one on the segment of class 1
    assert counts.false_negatives.tolist() == [0, 1]


def test_without_segments_there_is_no_quality():
    """Everything void on both sides: null with the reason; a lone miss has no SQ."""
    void = np.zeros((2, 2), dtype=np.uint8)
    empty = panoptic_counts(
        void, void, truth_classes=np.array([VOID]), predicted_classes=np.array([VOID]), classes=2
    )
    missed = panoptic_counts(
        void, void, truth_classes=np.array([0]), predicted_classes=np.array([VOID]), classes=2
    )

    assert undefined("no segment on either side") == panoptic_scores(empty).pq
    row = panoptic_scores(missed).per_class[0]
    assert (Metric(0.0), undefined("no segment of this class matched")) == (row.pq, row.sq)


def test_pixels_of_unlisted_segments_are_refused():
    """A segment without a class entry would vanish from the counts."""
    mask = np.array([[0, 3]])
    with pytest.raises(ValueError, match=r"ground truth: a pixel names a segment outside 0\.\.1"):
        panoptic_counts(mask, mask, truth_classes=np.array([0, 1]), predicted_classes=np.arange(4), classes=4)
    with pytest.raises(ValueError, match="not of the same image"):
        panoptic_counts(mask, mask.T, truth_classes=np.arange(4), predicted_classes=np.arange(4), classes=4)
