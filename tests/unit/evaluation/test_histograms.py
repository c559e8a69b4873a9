"""Histograms of confidence and overlap: exact bounds, nothing lost, the missing counted apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.readers.histograms import (
    bounds_of,
    bucket_of,
    overlap_histogram,
    score_histogram,
)


def test_hand_computed_case():
    """Four buckets; a value on a bound goes right, 1 stays in the last, NaN is left out."""
    histogram = score_histogram(
        np.array([0.0, 0.25, 0.24, 0.5, 1.0, np.nan]),
        np.array([True, True, False, False, True, True]),
        bins=4,
    )

    assert histogram.bounds.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert histogram.true_positives.tolist() == [1, 1, 0, 1]
    assert histogram.false_positives.tolist() == [1, 0, 1, 0]
    assert histogram.counts.tolist() == [2, 1, 1, 1]
    assert histogram.left_out == 1


@given(st.lists(st.floats(0, 1), max_size=50), st.integers(1, 64))
@settings(max_examples=100, deadline=None)
def test_buckets_equal_numpy_with_exact_bounds(values, bins):
    """The fast arithmetic finds the same bucket as a search in the exact bounds."""
    bounds = bounds_of(bins)
    values = np.array([*values, *bounds, *np.nextafter(bounds, 0)])

    expected, _ = np.histogram(values, bins=bounds_of(bins))
    assert expected.tolist() == np.bincount(bucket_of(values, bins), minlength=bins).tolist()


def test_unmatched_predictions_have_no_overlap_to_show():
    """IoU 0 means unmatched: left out, not in the first bucket."""
    histogram = overlap_histogram(np.array([0.0, 0.55, 0.9]), np.array([False, True, True]), bins=10)

    assert histogram.left_out == 1
    assert histogram.true_positives.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert histogram.false_positives.sum() == 0


def test_no_predictions_give_an_empty_histogram():
    """Nothing to count is zero everywhere, which is true."""
    histogram = score_histogram(np.zeros(0), np.zeros(0, dtype=bool), bins=3)

    assert histogram.counts.tolist() == [0, 0, 0]
    assert histogram.left_out == 0


def test_values_outside_the_unit_interval_are_refused():
    """A logit is not a confidence."""
    for value in (-0.1, 1.1, np.inf):
        with pytest.raises(ValueError, match=r"0\.\.1"):
            score_histogram(np.array([value]), np.array([True]))
    with pytest.raises(ValueError, match="at least one"):
        score_histogram(np.array([0.5]), np.array([True]), bins=0)
