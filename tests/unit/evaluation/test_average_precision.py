"""Average precision per class against a hand-computed case and a literal 101-point loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.readers.average_precision import (
    COCO_RECALLS,
    EXACT_RECALLS,
    RankedRows,
    average_precisions,
    true_positives_needed,
)


def literally(hits, positives, recalls):
    """Precision and recall at every detection, envelope, one look-up per recall level."""
    found = np.cumsum(hits)
    recall, precision = found / positives, found / np.arange(1, len(hits) + 1)
    for place in range(len(hits) - 1, 0, -1):
        precision[place - 1] = max(precision[place - 1], precision[place])
    places = np.searchsorted(recall, recalls, side="left")
    return sum(precision[place] for place in places if place < len(hits)) / len(recalls)


def ranked(label, hit, positives, *, ignored=None, thresholds=(0.5,)):
    order = np.argsort(label, kind="stable")
    return RankedRows(
        label=np.asarray(label, dtype=np.int32)[order],
        confidence=-np.arange(len(label), dtype=float)[order],
        hit=np.asarray(hit, dtype=np.uint16)[order],
        ignored=None if ignored is None else np.asarray(ignored, dtype=np.uint16)[order],
        positives=np.asarray(positives, dtype=np.int64),
        thresholds=thresholds,
    )


def test_hand_computed_case():
    """Hit, miss, hit of two positives: precision 1 up to recall .5 (51 levels), then 2/3 (50 levels)."""
    result = average_precisions(ranked([0, 0, 0], [1, 0, 1], [2, 3]))

    assert pytest.approx(result[0].tolist()) == [(51 + 50 * 2 / 3) / 101, 0.0]


rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 7), st.sampled_from([0, 0, 0, 1, 3, 5, 7])), max_size=80
)


@given(
    rows,
    st.lists(st.integers(0, 5), min_size=4, max_size=4),
    st.sampled_from([COCO_RECALLS, EXACT_RECALLS]),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_every_label_and_threshold_equals_the_literal_loop(detections, more, recalls, ignoring):
    """All at once give what each alone gives: ignored rows are passed over at their thresholds only."""
    label, hit, ignored = (np.array([row[n] for row in detections], dtype=np.int32) for n in range(3))
    ignored = ignored & ~hit if ignoring else np.zeros_like(ignored)
    positives = np.bincount(label[hit > 0], minlength=4) + np.array(more)
    result = average_precisions(
        ranked(label, hit, positives, ignored=ignored if ignoring else None, thresholds=(0.5, 0.6, 0.7)),
        recalls=recalls,
    )

    for bit in range(3):
        counted = ((ignored >> bit) & 1) == 0
        for code in range(4):
            hits = ((hit >> bit) & 1)[(label == code) & counted]
            expected = literally(hits, positives[code], recalls) if positives[code] else 0.0
            assert expected == pytest.approx(result[bit, code], abs=1e-12)


def test_equality_with_a_recall_level_follows_the_grid():
    """57 of 100 found reaches the exact level 0.57, but not linspace's, which is one bit larger."""
    rows = ranked(np.zeros(57), np.ones(57), [100])

    assert average_precisions(rows, recalls=EXACT_RECALLS)[0, 0] == 58 / 101
    assert average_precisions(rows, recalls=COCO_RECALLS)[0, 0] == 57 / 101


@pytest.mark.parametrize("recalls", [COCO_RECALLS, EXACT_RECALLS])
def test_the_true_positives_needed_are_exact_for_every_level(recalls):
    """The smallest number whose quotient reaches the level, for all counts up to 700 and some large ones."""
    for positives in [*range(1, 700), 36_781, 262_144, 999_999]:
        quotients = np.arange(1, positives + 1) / positives

        expected = np.maximum(np.searchsorted(quotients, recalls, side="left") + 1, 1)
        assert expected.tolist() == true_positives_needed(np.array([positives]), recalls)[0].tolist()


def test_no_detections_and_no_labels():
    """Nothing in, zeros out."""
    assert average_precisions(ranked([], [], [1, 0])).tolist() == [[0.0, 0.0]]
    assert average_precisions(ranked([], [], [])).tolist() == [[]]
    assert average_precisions(ranked([0], [0], [0], ignored=[1])).tolist() == [[0.0]]
