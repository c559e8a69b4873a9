"""Bootstrap replicates: AP from weights equals AP of items that are really there that often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching.coco import COCO_THRESHOLDS, CocoOptions, match_coco
from airflow_provider_nucleus.evaluation.readers.bootstrap import WeightedPrecision, draw
from airflow_provider_nucleus.evaluation.readers.coco import evaluate_coco
from airflow_provider_nucleus.evaluation.readers.ranked import rank_coco
from airflow_provider_nucleus.evaluation.sides.areas import ALL
from tests.unit.evaluation.sides import BOX, prediction_side, random_rows, truth_side

OPTIONS = CocoOptions(areas=(ALL,))


def copies(side, weights):
    """Repeat every image as often as its weight says, copies beside one another."""
    images = np.repeat(np.arange(len(weights)), weights)
    rows = [np.flatnonzero(side.image == image) for image in images]
    taken = side.take(np.concatenate([*rows, np.zeros(0, dtype=np.int64)]))
    codes = np.repeat(np.arange(len(images), dtype=np.int32), [len(part) for part in rows])
    return replace(taken, image=codes)


@given(
    st.integers(0, 100_000),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
    st.sampled_from([0.0, 0.3, 0.9]),
)
@settings(max_examples=120, deadline=None)
def test_weights_equal_copies_of_the_images(seed, weights, silent):
    """Every threshold, with crowds and predictions without confidence.

    Confidences are distinct, since ties inside an image have no order of copies.
    """
    truths, found = random_rows(seed)
    rng = np.random.default_rng(seed)
    scores = rng.permutation(len(found)) / max(len(found), 1)
    found = [
        (*row[:3], None if rng.random() < silent else float(score))
        for row, score in zip(found, scores, strict=True)
    ]
    truth, predictions = truth_side(truths), prediction_side(found)
    coco = rank_coco(
        match_coco(truth, predictions, labels=3, options=OPTIONS), truth, predictions, options=OPTIONS
    )
    ours = WeightedPrecision(coco).mean(np.array(weights))
    copied = evaluate_coco(copies(truth, weights), copies(predictions, weights), labels=3, options=OPTIONS)

    for place, threshold in enumerate(COCO_THRESHOLDS):
        values = [copied.label_ap(label, threshold=threshold).value for label in range(3)]
        known = [value for value in values if value is not None]
        if known:
            assert np.mean(known) == pytest.approx(ours[place], abs=1e-12)
        else:
            assert np.isnan(ours[place])


def test_hand_computed_case():
    """Two items; the second one's cat is not found. Twice the first and never the second is AP 1."""
    truth = truth_side([(0, 0, BOX), (1, 0, BOX)])
    predictions = prediction_side([(0, 0, BOX, 0.9)])
    reader = WeightedPrecision(rank_coco(match_coco(truth, predictions, labels=1), truth, predictions))

    assert reader.mean(np.array([2, 0])).tolist() == [1.0] * 10
    assert reader.mean(np.array([0, 2])).tolist() == [0.0] * 10
    assert pytest.approx(reader.mean(np.array([1, 1])).tolist()) == [51 / 101] * 10


def test_a_draw_is_as_large_as_the_set_and_depends_on_nothing_but_seed_and_number():
    """Replicate 7 is the same whether or not 0 to 6 were drawn."""
    assert draw(50, seed=1, replicate=7).sum() == 50
    assert draw(50, seed=1, replicate=7).tolist() == draw(50, seed=1, replicate=7).tolist()
    assert draw(50, seed=1, replicate=7).tolist() != draw(50, seed=1, replicate=8).tolist()
    assert draw(50, seed=1, replicate=7).tolist() != draw(50, seed=2, replicate=7).tolist()
