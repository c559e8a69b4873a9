"""Mistakes of other gates: a NaN counted as 0, a class that vanished skipped, nothing evaluated taken as a pass."""

from __future__ import annotations

import json
import math

import pytest
from pydantic import ValidationError

from airflow_provider_nucleus.gating.column_bins import CONFIDENCE_UNITS
from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import Coverage, MatchColumns, Measurement, Numbers
from airflow_provider_nucleus.gating.policy import Policy, Rule
from airflow_provider_nucleus.gating.profile import Profile
from tests.unit.gating.measurements import measurement, numbers
from tests.unit.gating.rows import match_columns, measured


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
    "bound", [{"min": -1e9}, {"max": 1.0}, {"max_drop": 0.1}, {"window": {"batches": 5}}]
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


@pytest.mark.parametrize("number", [True, "0.9", 10**400])
def test_what_is_no_number_is_refused_when_it_is_read(number):
    """`true` would be a recall of 1; a number that no float holds would end the gate in an error of Python's."""
    for member in ({"overall": {"values": {"f1": number}}}, {"supplied": {"ms": number}}):
        with pytest.raises(ValidationError):
            Measurement.model_validate({"fingerprint": {"data": "d"}, **member})


@pytest.mark.parametrize(
    "wrong",
    [
        {"truth": [0]},
        {"item": [0, 5]},
        {"item": [-1, 0]},
        {"truth": [9, None]},
        {"groups": {"k": {"v": [3]}}},
    ],
)
def test_rows_that_are_no_table_are_refused_when_they_are_read(wrong):
    """Changed objects and intervals are counted from them: a negative place would be another item, quietly."""
    columns = {
        "items": ["i", "j"], "labels": ["a"], "item": [0, 1], "truth": [0, None], "predicted": [None, 0], "iou": [0.0, 0.0],
        "confidence": [None, 0.5], "truth_id": ["t", None], "prediction_id": [None, "p"], "agrees": [False, False],
    }  # fmt: skip
    MatchColumns.model_validate(columns)
    with pytest.raises(ValidationError, match="column"):
        MatchColumns.model_validate(columns | wrong)


def _two_labels(found, *, items, objects, of=("a", "b")):
    """Return the measurement of a model that finds shares of the objects of each label, spread over the first *items* items."""
    rows = []
    for label, share in zip(of, found, strict=True):
        count = objects[label]
        for number in range(count):
            hit = number < round(share * count)
            rows.append((
                f"i{number % items[label]:03}",
                label,
                label if hit else None,
                0.9 if hit else 0.0,
                hit,
            ))
    return measured(match_columns(rows, items=[f"i{place:03}" for place in range(200)], labels=list(of)))


def test_a_label_that_is_found_no_more_is_not_chance():
    """Of eighty labels one is lost altogether, on eight items: no multiplicity explains that away, and no mean over the others."""
    of = tuple(f"l{number:02}" for number in range(80))
    items = {label: 8 if label == "l00" else 100 for label in of}
    objects = {label: 24 if label == "l00" else 100 for label in of}
    before = _two_labels([0.9] * 80, items=items, objects=objects, of=of)
    now = _two_labels([0.0] + [0.9] * 79, items=items, objects=objects, of=of)
    verdict = judge(_policy(metric="recall", scope="per_label", max_drop=0.05), now, before).verdict

    lost = next(each for each in verdict.results if each.subject == "label l00")
    assert lost.status in {"fail", "insufficient"}
    assert lost.counted
    assert verdict.status != "pass"


def test_each_bound_of_a_rule_needs_evidence_of_its_own():
    """Labels on four items each: their floor is kept, and of their drop nothing can be said; that is no pass."""
    sides = [
        _two_labels(found, items={"a": 4, "b": 4}, objects={"a": 40, "b": 40})
        for found in ([0.5, 0.5], [0.9, 0.9])
    ]
    verdict = judge(_policy(metric="recall", scope="per_label", min=0.3, max_drop=0.05), *sides).verdict

    assert verdict.status == "inconclusive"
    assert {each.status for each in verdict.results if each.bound == "min"} == {"pass"}


def test_one_label_below_the_relative_bound_does_not_stop_the_others():
    """The rule turned its bound off for it: it is listed. Where that leaves nothing, the rule is open."""
    rule = _policy(
        metric="recall", scope="per_label", max_relative_drop=0.1, relative_below=0.2, compare="point"
    )
    sides = measurement(labels={"a": numbers(recall=0.9), "b": numbers(recall=0.05)})
    assert judge(rule, sides, sides).verdict.status == "pass"
    only = measurement(labels={"b": numbers(recall=0.05)})
    assert judge(rule, only, only).verdict.status == "inconclusive"


def test_an_empty_batch_is_not_an_unknown_one():
    """Coverage of no items is open, and the sentence says that there are none."""
    empty = measurement(recall=0.9, coverage=Coverage(items=0, with_ground_truth=0))
    result = _only(judge(_policy(metric="recall", min=0.5, min_coverage=0.5), empty))
    assert result.status == "insufficient"
    assert "there are no items" in result.text


def test_profiles_cut_at_different_confidences_are_not_compared():
    """The mean confidence of what is left above a cut is no baseline for that of everything."""
    whole, cut = (
        measurement().model_copy(
            update={
                "profile": Profile(
                    objects=100,
                    confidence=[0] * 12 + [100] + [0] * 7,
                    confidence_sum=60 * CONFIDENCE_UNITS,
                    cuts=cuts,
                ).to_dict()
            }
        )
        for cuts in ([], [0.5])
    )
    policy = _policy(metric="mean_confidence", scope="profile", max_drop=0.05, direction="higher")
    assert judge(policy, whole, whole).verdict.status == "pass"
    result = _only(judge(policy, whole, cut))
    assert result.status == "insufficient"
    assert "none here, 0.5 there" in result.text


@pytest.mark.parametrize("metric", ["recall", "f1", "precision"])
def test_a_label_that_nobody_was_looking_for_has_not_vanished(metric):
    """The baseline alone predicted it, wrongly: its F1 and precision are 0, its recall is not defined; it is listed, and stops nothing."""
    known = {"a": numbers(recall=0.9, f1=0.9, precision=0.9)}
    wrong = numbers(ground_truth=0, recall=None, f1=0.0, precision=0.0)
    rule = _policy(metric=metric, scope="per_label", max_drop=0.05, compare="point")
    verdict = judge(rule, measurement(labels=known), measurement(labels={**known, "b": wrong})).verdict

    assert verdict.status == "pass"
    assert [each.subject for each in verdict.results if not each.counted] == ["label b"]
