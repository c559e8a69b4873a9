"""The result type: a number or a reason, never both, never neither."""

from __future__ import annotations

import math

import pytest

from airflow_provider_nucleus.evaluation.metric import Metric, mean, ratio, undefined


def test_a_ratio_over_nothing_carries_the_reason():
    """0 / 0 is not 0."""
    assert ratio(0, 0, reason="no ground truth") == Metric(None, "no ground truth")


def test_a_metric_refuses_to_hold_a_sentinel():
    """NaN, infinity, neither, both: none of them is a metric."""
    for arguments in ((math.nan,), (math.inf,), (None,), (0.5, "also a reason")):
        with pytest.raises(ValueError):
            Metric(*arguments)


def test_a_mean_leaves_undefined_members_out():
    """The mean over classes is over those that have the number."""
    assert mean([Metric(0.25), undefined("x"), Metric(0.75)], reason="none") == Metric(0.5)
    assert mean([undefined("x")], reason="none") == undefined("none")


def test_a_difference_keeps_the_reason_of_the_side_that_is_missing():
    """B has no value: neither has B less A."""
    assert Metric(0.5).minus(Metric(0.25)) == Metric(0.25)
    assert Metric(0.5).minus(undefined("B is empty")) == undefined("B is empty")
    assert undefined("A is empty").minus(Metric(0.5)) == undefined("A is empty")


def test_json_shows_the_reason_only_where_there_is_no_value():
    """What travels is null with a reason, or a plain number."""
    assert Metric(0.5).to_dict() == {"value": 0.5}
    assert undefined("empty").to_dict() == {"value": None, "reason": "empty"}
