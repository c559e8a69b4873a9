"""Average precision per class against a hand-computed case and a literal 101-point loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.average_precision import (
    COCO_RECALLS,
    EXACT_RECALLS,
    average_precisions,
)


def literally(hits, positives, recalls):
    """Precision and recall at every detection, envelope, one look-up per recall level."""
    found = np.cumsum(hits)
    recall, precision = found / positives, found / np.arange(1, len(hits) + 1)
    for place in range(len(hits) - 1, 0, -1):
        precision[place - 1] = max(precision[place - 1], precision[place])
    places = np.searchsorted(recall, recalls, side="left")
    return sum(precision[place] for place in places if place < len(hits)) / len(recalls)


def test_hand_computed_case():
    """Hit, miss, hit of two positives: precision 1 up to recall .5 (51 levels), then 2/3 (50 levels)."""
    result = average_precisions(
        np.array([0, 0, 0]), np.array([True, False, True]), positives=np.array([2, 3])
    )

    assert pytest.approx(result.tolist()) == [(51 + 50 * 2 / 3) / 101, 0.0]


rows = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=80)


@given(
    rows, st.lists(st.integers(0, 5), min_size=4, max_size=4), st.sampled_from([COCO_RECALLS, EXACT_RECALLS])
)
@settings(max_examples=150, deadline=None)
def test_every_class_equals_the_literal_loop(detections, more, recalls):
    """All classes at once give what each alone gives, for both grids of recall levels."""
    label = np.array([row[0] for row in detections], dtype=np.int32)
    hit = np.array([row[1] for row in detections], dtype=bool)
    positives = np.bincount(label[hit], minlength=4) + np.array(more)
    result = average_precisions(label, hit, positives=positives, recalls=recalls)

    for code in range(4):
        expected = literally(hit[label == code], positives[code], recalls) if positives[code] else 0.0
        assert expected == pytest.approx(result[code], abs=1e-12)


def test_equality_with_a_recall_level_follows_the_grid():
    """57 of 100 found reaches the exact level 0.57, but not linspace's, which is one bit larger."""
    hit = np.ones(57, dtype=bool)
    label = np.zeros(57, dtype=np.int32)

    assert average_precisions(label, hit, positives=np.array([100]), recalls=EXACT_RECALLS)[0] == 58 / 101
    assert average_precisions(label, hit, positives=np.array([100]), recalls=COCO_RECALLS)[0] == 57 / 101


def test_no_detections_and_no_classes():
    """Nothing in, zeros out."""
    nothing = np.zeros(0, dtype=np.int32)

    assert average_precisions(nothing, nothing.astype(bool), positives=np.array([1, 0])).tolist() == [
        0.0,
        0.0,
    ]
    assert average_precisions(nothing, nothing.astype(bool), positives=np.zeros(0, np.int64)).tolist() == []
