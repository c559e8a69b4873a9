"""Calibration errors against a hand-computed case, the definition and hotcoco."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from airflow_provider_nucleus.evaluation.readers.calibration import calibration


def test_hand_computed_case():
    """Two bins: gaps 0.2 over three predictions and 0.1 over one."""
    result = calibration(
        np.array([0.8, 0.9, 0.9, 0.1, np.nan]), np.array([True, True, False, False, True]), bins=2
    )

    assert pytest.approx((3 * 0.2 + 1 * 0.1) / 4) == result.ece.value
    assert pytest.approx(0.2) == result.mce.value
    assert pytest.approx((0.04 + 0.01 + 0.81 + 0.01) / 4) == result.brier.value
    assert (result.counted, result.without_confidence) == (4, 1)
    assert (
        result.bins[1].lower,
        result.bins[1].upper,
        result.bins[1].count,
        result.bins[1].true_positives,
    ) == (0.5, 1.0, 3, 2)
    assert Metric(2 / 3) == result.bins[1].accuracy


outcomes = st.lists(
    st.tuples(st.integers(0, 1000).map(lambda n: n / 1000), st.booleans()), min_size=1, max_size=60
)


@given(outcomes, st.integers(1, 20))
@settings(max_examples=80, deadline=None)
def test_errors_equal_the_definition(rows, bins):
    """Bins closed on the right, bounds exact: an independent loop finds the same errors."""
    result = calibration(np.array([c for c, _ in rows]), np.array([o for _, o in rows]), bins=bins)
    gaps = []
    for place in range(bins):
        members = [
            (c, o) for c, o in rows if place / bins < c <= (place + 1) / bins or (place == 0 and c == 0)
        ]
        if members:
            gap = abs(np.mean([o for _, o in members]) - np.mean([c for c, _ in members]))
            gaps.append((gap, len(members)))

    assert sum(gap * count for gap, count in gaps) / len(rows) == pytest.approx(result.ece.value, abs=1e-12)
    assert max(gap for gap, _ in gaps) == pytest.approx(result.mce.value, abs=1e-12)


def test_errors_equal_hotcoco_away_from_the_bounds():
    """Off the bounds the closed side does not matter and both tools agree."""
    reference = pytest.importorskip("hotcoco").metrics
    rng = np.random.default_rng(0)
    confidence = rng.random(500)
    correct = rng.random(500) < confidence**2

    result = calibration(confidence, correct, bins=10)

    assert reference.calibration_error(confidence, correct, 10) == pytest.approx(
        (result.ece.value, result.mce.value), abs=1e-12
    )


def test_certainty_that_is_always_right_is_perfectly_calibrated():
    """Confidence 1 and always true, 0 and never true: no error."""
    result = calibration(np.array([1.0, 1.0, 0.0]), np.array([True, True, False]))

    assert Metric(0.0) == result.ece == result.mce == result.brier


def test_without_confidence_there_is_no_calibration():
    """No prediction, or none with a confidence: null with the reason, and empty bins without means."""
    for confidence in (np.zeros(0), np.array([np.nan])):
        result = calibration(confidence, np.ones(len(confidence), dtype=bool))

        assert undefined("no prediction has a confidence") == result.ece == result.mce == result.brier
        assert all(row.count == 0 and not row.accuracy.defined for row in result.bins)


def test_wrong_input_is_refused():
    """Logits and columns of different lengths."""
    with pytest.raises(ValueError, match=r"0\.\.1"):
        calibration(np.array([1.5]), np.array([True]))
    with pytest.raises(ValueError, match="1 confidences for 2"):
        calibration(np.array([0.5]), np.array([True, False]))
