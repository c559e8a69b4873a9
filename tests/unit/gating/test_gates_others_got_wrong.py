"""Mistakes of other gates: a NaN counted as 0, a class that vanished skipped, nothing evaluated taken as a pass."""

from __future__ import annotations

import json
import math

import pytest
from pydantic import ValidationError

from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import Measurement, Numbers
from airflow_provider_nucleus.gating.policy import Policy, Rule
from tests.unit.gating.measurements import measurement, numbers


def _policy(**rule):
    return Policy(rules=[Rule(id="r", **rule)])


def _only(judgement):
    (result,) = judgement.verdict.results
    return result


def test_a_nan_is_refused_at_the_door():
    """A document with NaN is no document."""
    with pytest.raises(ValidationError, match="finite"):
        measurement(f1=math.nan)
    with pytest.raises(ValidationError, match="finite"):
        Measurement.model_validate(json.loads('{"fingerprint": {"data": "d"}, "supplied": {"latency": NaN}}'))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "bound", [{"min": -1e9}, {"max": 1e9}, {"max_drop": 0.1}, {"window": {"batches": 5}}]
)
def test_what_is_not_finite_is_neither_0_nor_a_pass(number, bound):
    """Even where it slips past the document: insufficient, and the gate stops."""
    slipped = measurement(
        overall=Numbers.model_construct(values={"f1": number}, undefined={}, ground_truth=120)
    )
    judgement = judge(
        _policy(metric="f1", **bound), slipped, measurement(f1=0.1), history=[measurement(f1=0.1)] * 9
    )

    assert _only(judgement).status == "insufficient"
    assert judgement.verdict.status == "inconclusive"
    assert judgement.verdict.stopped


def test_an_undefined_number_is_not_judged_as_0():
    """`max` of an undefined number would be kept by a 0; `min: 0` as well."""
    for bound in ({"max": 0.5}, {"min": 0.0}):
        judgement = judge(_policy(metric="precision", **bound), measurement(precision=None))

        assert _only(judgement).status == "insufficient"
        assert "no predictions" in _only(judgement).text
        assert judgement.verdict.stopped


def test_a_class_that_vanished_is_missing():
    """The other classes are fine, and the gate still stops, and says which class."""
    candidate = measurement(labels={"car": numbers(recall=0.9)})
    baseline = measurement(labels={"car": numbers(recall=0.9), "bus": numbers(recall=0.8)})
    judgement = judge(_policy(metric="recall", scope="per_label", max_drop=0.05), candidate, baseline)

    assert {each.subject: each.status for each in judgement.verdict.results} == {
        "label bus": "missing",
        "label car": "pass",
    }
    assert judgement.verdict.status == "inconclusive"
    assert judgement.verdict.stopped
    (reason,) = judgement.verdict.reasons
    assert "recall of label bus is missing" in reason
    assert "0.8" in reason


def test_a_class_that_vanished_is_missing_for_absolute_bounds_too():
    """`min` per label is about the labels of the baseline as well."""
    candidate = measurement(labels={"car": numbers(recall=0.9)})
    baseline = measurement(labels={"car": numbers(recall=0.9), "bus": numbers(recall=0.8)})
    judgement = judge(_policy(metric="recall", scope="per_label", min=0.5), candidate, baseline)

    assert sorted(each.status for each in judgement.verdict.results) == ["missing", "pass"]


def test_a_class_below_its_support_in_the_baseline_is_missing_when_it_vanishes():
    """Rare is no reason to be gone."""
    candidate = measurement(labels={"car": numbers(recall=0.9)})
    baseline = measurement(labels={"car": numbers(recall=0.9), "bus": numbers(3, recall=1.0)})
    judgement = judge(_policy(metric="recall", scope="per_label", max_drop=0.05), candidate, baseline)

    assert judgement.verdict.status == "inconclusive"


def test_a_label_that_was_only_ever_predicted_has_not_vanished():
    """The baseline imagined zebras where there are none; a candidate without them is not worse."""
    candidate = measurement(labels={"car": numbers(recall=0.9)})
    baseline = measurement(labels={"car": numbers(recall=0.9), "zebra": numbers(0, recall=None)})
    judgement = judge(_policy(metric="recall", scope="per_label", max_drop=0.05), candidate, baseline)

    assert judgement.verdict.status == "pass"


@pytest.mark.parametrize(
    "candidate",
    [measurement(), measurement(precision=0.9), measurement(labels={"car": numbers(f1=0.9)})],
    ids=["nothing", "another number", "labels only"],
)
def test_a_number_that_is_not_there_is_missing(candidate):
    """And the sentence says what is there."""
    judgement = judge(_policy(metric="f1", min=0.0), candidate, measurement(f1=0.5))

    assert _only(judgement).status == "missing"
    assert judgement.verdict.status == "inconclusive"
    assert judgement.verdict.stopped


def test_no_labels_at_all_is_missing():
    """A rule about every label of none has judged nothing."""
    judgement = judge(_policy(metric="f1", scope="per_label", min=0.1), measurement(f1=0.9))

    assert _only(judgement).status == "missing"
    assert judgement.verdict.stopped


def test_labels_none_of_which_can_be_judged_are_no_pass():
    """Every label is too rare: each is listed, and the rule is open."""
    candidate = measurement(labels={"car": numbers(3, f1=0.9), "bus": numbers(2, f1=0.9)})
    judgement = judge(_policy(metric="f1", scope="per_label", min=0.1), candidate)

    assert judgement.verdict.status == "inconclusive"


def test_a_supplied_number_that_is_missing_is_missing():
    """The benchmark of latency did not run: that is not fast."""
    judgement = judge(
        _policy(metric="latency_ms", scope="supplied", max=50), measurement(supplied={"memory_mb": 3})
    )

    assert _only(judgement).status == "missing"
    assert "memory_mb" in _only(judgement).text
