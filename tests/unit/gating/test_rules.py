"""Every kind of rule with every verdict: what is measured, what is wanted, what comes of it."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.gating.bounds import Interval
from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint
from airflow_provider_nucleus.gating.policy_reading import read_policy
from airflow_provider_nucleus.gating.profile import CONFIDENCE_EDGES, OBJECTS_EDGES, Profile
from tests.unit.gating.measurements import FINGERPRINT, measurement, numbers

OTHER = FINGERPRINT.model_copy(update={"ground_truth": "121-cd"})
FULL = Coverage(items=40, with_ground_truth=40, ground_truth=120)
HALF = Coverage(items=40, with_ground_truth=20, ground_truth=120)
UNKNOWN = Coverage(items=None, with_ground_truth=None, ground_truth=120)


def labels(**recalls):
    return measurement(
        labels={
            name: numbers(*value) if isinstance(value, tuple) else value for name, value in recalls.items()
        }
    )


def of(ground_truth=100, **values):
    return numbers(ground_truth, **values)


def batches(*values, **options):
    return [measurement(f1=value, **options) for value in values]


def above(confidence):
    return measurement(f1=0.7).model_copy(update={"confidence_threshold": confidence})


def profiled(confidence, objects=400, items=100, labels=None):
    bins = [0] * (len(CONFIDENCE_EDGES) + 1)
    bins[confidence] = objects
    return measurement().model_copy(
        update={
            "profile": Profile(
                items=items,
                items_with_predictions=items,
                objects=objects,
                objects_per_item=[0, 0, 0, items] + [0] * (len(OBJECTS_EDGES) - 3),
                labels=labels or {"car": objects},
                confidence=bins,
                confidence_sum=round(objects * (confidence + 0.5) / len(bins) * 1_310_720),
                least_confidence=confidence / len(bins),
            ).model_dump(mode="json", by_alias=True)
        }
    )


STEADY = (0.70, 0.71, 0.69, 0.70, 0.72, 0.70, 0.71)
"""Median 0.70, median absolute deviation 0.01."""

# id: (rule, candidate, what it is judged with, status of the one result, words of its sentence)
CASES = {
    # absolute bounds
    "min kept": ({"min": 0.6}, measurement(f1=0.7), {}, "pass", "f1 is 0.7; at least 0.6 is wanted: kept"),
    "min kept at the limit": ({"min": 0.7}, measurement(f1=0.7), {}, "pass", "kept"),
    "min broken": ({"min": 0.6}, measurement(f1=0.5), {}, "fail", "f1 is 0.5; at least 0.6 is wanted: broken"),
    "min undefined": ({"min": 0.6}, measurement(f1=None), {}, "insufficient", "f1 is not defined: no predictions"),
    "min missing": ({"min": 0.6}, measurement(recall=1.0), {}, "missing", "f1 was not measured (there is recall)"),
    "max kept": ({"metric": "fp", "max": 10}, measurement(fp=10), {}, "pass", "at most 10 is wanted"),
    "max broken": ({"metric": "fp", "max": 10}, measurement(fp=11), {}, "fail", "fp is 11; at most 10"),
    # drops
    "drop kept": ({"max_drop": 0.02}, measurement(f1=0.70), {"baseline": measurement(f1=0.72)}, "pass", "fell by 0.02, from 0.72 to 0.7"),
    "drop broken": ({"max_drop": 0.02}, measurement(f1=0.69), {"baseline": measurement(f1=0.72)}, "fail", "a drop of 0.02 is allowed: broken"),
    "rise is no drop": ({"max_drop": 0}, measurement(f1=0.9), {"baseline": measurement(f1=0.7)}, "pass", "rose by 0.2"),
    "unchanged": ({"max_drop": 0}, measurement(f1=0.7), {"baseline": measurement(f1=0.7)}, "pass", "is unchanged at 0.7"),
    "drop of a number that should be low": ({"metric": "fp", "max_drop": 5}, measurement(fp=20), {"baseline": measurement(fp=14)}, "fail", "rose by 6, from 14 to 20; a rise of 5 is allowed"),
    "fall of a number that should be low": ({"metric": "fp", "max_drop": 0}, measurement(fp=2), {"baseline": measurement(fp=14)}, "pass", "fell by 12"),
    "direction as the rule says": ({"metric": "tp", "direction": "lower", "max_drop": 0}, measurement(tp=2), {"baseline": measurement(tp=1)}, "fail", "rose"),
    "drop without baseline": ({"max_drop": 0.1}, measurement(f1=0.7), {}, "insufficient", "there is no baseline"),
    "drop, baseline undefined": ({"max_drop": 0.1}, measurement(f1=0.7), {"baseline": measurement(f1=None)}, "insufficient", "baseline has no such number, no predictions"),
    "drop, baseline lacks it": ({"max_drop": 0.1}, measurement(f1=0.7), {"baseline": measurement(recall=0.7)}, "insufficient", "baseline has no such number, f1 was not measured"),
    "drop, other ground truth": ({"max_drop": 0.1}, measurement(f1=0.7), {"baseline": measurement(f1=0.7, fingerprint=OTHER)}, "insufficient", "measured otherwise: ground_truth: the candidate has 120 objects, baseline has 121"),
    "drop, interval says pass": ({"max_drop": 0.02}, measurement(f1=0.7), {"baseline": measurement(f1=0.71), "intervals": {("f1", "overall"): Interval(-0.019, 0.0)}}, "pass", "95 % interval of the change -0.019 to 0, given"),
    "drop, interval says fail": ({"max_drop": 0.02}, measurement(f1=0.7), {"baseline": measurement(f1=0.73), "intervals": {("f1", "overall"): Interval(-0.04, -0.021)}}, "fail", "broken"),
    "drop, interval says neither": ({"max_drop": 0.02}, measurement(f1=0.7), {"baseline": measurement(f1=0.71), "intervals": {("f1", "overall"): Interval(-0.03, 0.01)}}, "insufficient", "undecided, the bound lies inside the interval"),
    "drop, point though an interval is there": ({"max_drop": 0.02, "compare": "point"}, measurement(f1=0.7), {"baseline": measurement(f1=0.71), "intervals": {("f1", "overall"): Interval(-0.03, 0.01)}}, "pass", "kept"),
    "rise of a low number, interval": ({"metric": "fp", "max_drop": 5}, measurement(fp=20), {"baseline": measurement(fp=14), "intervals": {("fp", "overall"): Interval(5.5, 8)}}, "fail", "broken"),
    # relative drops
    "relative drop kept": ({"max_relative_drop": 0.1}, measurement(f1=0.63), {"baseline": measurement(f1=0.7)}, "pass", "fell by 0.07 (10 %)"),
    "relative drop broken": ({"max_relative_drop": 0.1}, measurement(f1=0.62), {"baseline": measurement(f1=0.7)}, "fail", "a drop of 10 % is allowed: broken"),
    "above a confidence against all": ({"max_drop": 0.1}, above(0.5), {"baseline": measurement(f1=0.7)}, "insufficient", "confidence: the candidate has those from 0.5 on, baseline has all predictions"),
    "all against above a confidence": ({"max_drop": 0.1}, measurement(f1=0.7), {"baseline": above(0.5)}, "insufficient", "the candidate has all predictions, baseline has those from 0.5 on"),
    "each above its own confidence": ({"max_drop": 0.1}, above(0.4), {"baseline": above(0.5)}, "pass", "is unchanged at 0.7"),
    "relative drop off": ({"max_relative_drop": 0.1, "relative_below": 0.05}, measurement(f1=0.01), {"baseline": measurement(f1=0.04)}, "insufficient", "not judged by a relative drop: baseline has 0.04, below 0.05"),
    "relative drop on": ({"max_relative_drop": 0.1, "relative_below": 0.05}, measurement(f1=0.01), {"baseline": measurement(f1=0.06)}, "fail", "fell by 0.05 (83.33 %)"),
    "relative drop of 0": ({"max_relative_drop": 0.1}, measurement(f1=0.1), {"baseline": measurement(f1=0.0)}, "insufficient", "baseline has 0"),
    "relative rise of a low number": ({"metric": "fp", "max_relative_drop": 0.1}, measurement(fp=112), {"baseline": measurement(fp=100)}, "fail", "a rise of 10 % is allowed"),
    # gains
    "gain reached": ({"min_gain": 0.01}, measurement(f1=0.71), {"baseline": measurement(f1=0.7)}, "pass", "a gain of at least 0.01 is wanted: kept"),
    "gain not reached": ({"min_gain": 0.01}, measurement(f1=0.705), {"baseline": measurement(f1=0.7)}, "fail", "rose by 0.005, from 0.7 to 0.705"),
    "gain open": ({"min_gain": 0.01}, measurement(f1=0.72), {"baseline": measurement(f1=0.7), "intervals": {("f1", "overall"): Interval(0.005, 0.04)}}, "insufficient", "undecided"),
    "gain not reached, interval": ({"min_gain": 0.01}, measurement(f1=0.7), {"baseline": measurement(f1=0.7), "intervals": {("f1", "overall"): Interval(-0.01, 0.009)}}, "fail", "broken"),
    "gain of a low number": ({"metric": "fp", "min_gain": 5}, measurement(fp=94), {"baseline": measurement(fp=100)}, "pass", "a fall of at least 5 is wanted"),
    # other baselines
    "against the reference": ({"max_drop": 0.02, "against": "reference"}, measurement(f1=0.7), {"baseline": measurement(f1=0.7), "reference": measurement(f1=0.8)}, "fail", "from 0.8 to 0.7"),
    "against the last accepted": ({"max_drop": 0.02, "against": "accepted"}, measurement(f1=0.7), {"accepted": measurement(f1=0.71)}, "pass", "fell by 0.01"),
    "no reference": ({"max_drop": 0.02, "against": "reference"}, measurement(f1=0.7), {"baseline": measurement(f1=0.7)}, "insufficient", "there is no pinned reference"),
    # windows
    "window kept": ({"window": {}}, measurement(f1=0.66), {"history": batches(*STEADY)}, "pass", "z -2.7 by the median absolute deviation of 7 batches"),
    "window broken": ({"window": {}}, measurement(f1=0.65), {"history": batches(*STEADY)}, "fail", "3 deviations from the median: broken"),
    "window, better is no anomaly": ({"window": {}}, measurement(f1=0.99), {"history": batches(*STEADY)}, "pass", "kept"),
    "window, either side": ({"metric": "predictions_made", "window": {}}, measurement(predictions_made=99), {"history": [measurement(predictions_made=value) for value in (10, 11, 12, 13, 14)]}, "fail", "at most 16.45 is wanted"),
    "window, the other side": ({"metric": "predictions_made", "window": {}}, measurement(predictions_made=1), {"history": [measurement(predictions_made=value) for value in (10, 11, 12, 13, 14)]}, "fail", "at least 7.552 is wanted"),
    "window too short": ({"window": {}}, measurement(f1=0.7), {"history": batches(*STEADY[:4])}, "insufficient", "4 of the accepted batches of this series have the number, 5 are needed"),
    "window of another series": ({"window": {}}, measurement(f1=0.7), {"history": batches(*STEADY, fingerprint=Fingerprint(data="dataset:ds_9"))}, "insufficient", "0 of the accepted batches"),
    "window of other batches of the series": ({"window": {}}, measurement(f1=0.7), {"history": batches(*STEADY, fingerprint=OTHER)}, "pass", "kept"),
    "window looks at the last": ({"window": {"batches": 5}}, measurement(f1=0.5), {"history": batches(0.9, 0.9, 0.9, 0.5, 0.51, 0.49, 0.52, 0.48)}, "pass", "of 5 batches"),
    "window of equals, equal": ({"window": {}}, measurement(f1=0.7), {"history": batches(*[0.7] * 6)}, "pass", "is unchanged"),
    "window of equals, other": ({"window": {}}, measurement(f1=0.3), {"history": batches(*[0.7] * 6)}, "insufficient", "no spread to measure the distance by"),
    "window of equals, better": ({"window": {}}, measurement(f1=0.8), {"history": batches(*[0.7] * 6)}, "pass", "at least 0.7 is wanted"),
    "window of equals, either side": ({"metric": "made", "window": {}}, measurement(made=8), {"history": [measurement(made=7)] * 6}, "insufficient", "no spread to measure"),
    "window above a confidence": ({"window": {}}, above(0.5), {"history": batches(*STEADY)}, "insufficient", "0 of the accepted batches"),
    "window mostly of equals": ({"window": {}}, measurement(f1=0.6), {"history": batches(*[0.7] * 6, 0.71)}, "fail", "by the mean absolute deviation"),
    # labels and slices
    "label kept": ({"metric": "recall", "scope": "per_label", "labels": ["car"], "min": 0.5}, labels(car=of(recall=0.6)), {}, "pass", "recall of label car is 0.6"),
    "label broken": ({"metric": "recall", "scope": "per_label", "min": 0.5}, labels(car=of(recall=0.4)), {}, "fail", "recall of label car is 0.4; at least 0.5 is wanted: broken"),
    "label not there": ({"metric": "recall", "scope": "per_label", "labels": ["bus"], "min": 0.5}, labels(car=of(recall=0.6)), {}, "missing", "the measurement has no label 'bus' (there is car)"),
    "label too rare": ({"metric": "recall", "scope": "per_label", "labels": ["car"], "min": 0.5}, labels(car=of(19, recall=0.1)), {}, "insufficient", "it rests on 19 objects to be found, the rule asks for 20"),
    "label of unknown support": ({"metric": "recall", "scope": "per_label", "min": 0.5}, labels(car=of(None, recall=0.6)), {}, "insufficient", "an unknown number of objects"),
    "label, support from counts": ({"metric": "recall", "scope": "per_label", "min": 0.5}, labels(car=of(None, recall=0.6, tp=18, fn=12)), {}, "pass", "kept"),
    "slice kept": ({"scope": "per_slice", "slice_key": "weather", "min": 0.5}, measurement(slices={"weather": {"fog": of(f1=0.6)}}), {}, "pass", "f1 where weather=fog is 0.6"),
    "slice broken": ({"scope": "per_slice", "slice_key": "weather", "slice_values": ["fog"], "max_drop": 0.1}, measurement(slices={"weather": {"fog": of(f1=0.6)}}), {"baseline": measurement(slices={"weather": {"fog": of(f1=0.8)}})}, "fail", "f1 where weather=fog fell by 0.2"),
    "slice not there": ({"scope": "per_slice", "slice_key": "weather", "slice_values": ["fog"], "min": 0.5}, measurement(slices={"weather": {"sun": of(f1=0.6)}}), {}, "missing", "no item has weather=fog (there is sun)"),
    "slice key not there": ({"scope": "per_slice", "slice_key": "weather", "slice_values": ["fog"], "min": 0.5}, measurement(slices={"site": {"a": of(f1=0.6)}}), {}, "missing", "no slices by 'weather' (there is site)"),
    # support and coverage
    "overall support": ({"min": 0.1, "min_support": 121}, measurement(f1=0.7), {}, "insufficient", "it rests on 120 objects"),
    "coverage enough": ({"min": 0.1, "min_coverage": 1.0}, measurement(f1=0.7, coverage=FULL), {}, "pass", "kept"),
    "coverage too low": ({"min": 0.1, "min_coverage": 0.6}, measurement(f1=0.7, coverage=HALF), {}, "insufficient", "20 of 40 items have ground truth (50 %), the policy asks for 60 %"),
    "coverage unknown": ({"min": 0.1, "min_coverage": 0.1}, measurement(f1=0.7, coverage=UNKNOWN), {}, "insufficient", "it is not known how many of the items have ground truth"),
    # numbers of the user
    "supplied kept": ({"metric": "latency_ms", "scope": "supplied", "max": 50}, measurement(supplied={"latency_ms": 40}), {}, "pass", "latency_ms is 40"),
    "supplied broken": ({"metric": "latency_ms", "scope": "supplied", "max_relative_drop": 0.1, "direction": "lower"}, measurement(supplied={"latency_ms": 45}), {"baseline": measurement(supplied={"latency_ms": 40}, fingerprint=OTHER)}, "fail", "rose by 5 (12.5 %), from 40 to 45"),
    "supplied needs no ground truth": ({"metric": "latency_ms", "scope": "supplied", "max": 50, "min_coverage": 1}, measurement(supplied={"latency_ms": 40}, coverage=UNKNOWN), {}, "pass", "kept"),
    # profiles
    "profile kept": ({"metric": "confidence_psi", "scope": "profile", "max": 0.2, "against": "reference"}, profiled(15), {"reference": profiled(15)}, "pass", "confidence_psi of the profile is 0"),
    "profile broken": ({"metric": "confidence_psi", "scope": "profile", "max": 0.2, "against": "reference"}, profiled(12), {"reference": profiled(15)}, "fail", "at most 0.2 is wanted: broken"),
    "profile by itself": ({"metric": "objects_per_item", "scope": "profile", "min": 5}, profiled(15), {}, "fail", "objects_per_item of the profile is 4"),
    "profile, vanished labels": ({"metric": "vanished_labels", "scope": "profile", "max": 0}, profiled(15), {"baseline": profiled(15, labels={"car": 300, "bus": 100})}, "fail", "vanished_labels of the profile is 1"),
    "profile without reference": ({"metric": "confidence_psi", "scope": "profile", "max": 0.2, "against": "reference"}, profiled(15), {}, "insufficient", "there is no profile of the pinned reference"),
    "profile not taken": ({"metric": "objects", "scope": "profile", "min": 1}, measurement(), {}, "missing", "no profile was taken"),
    "profile undefined": ({"metric": "empty_share", "scope": "profile", "max": 0.1}, measurement().model_copy(update={"profile": Profile(objects=0).model_dump(mode="json", by_alias=True)}), {}, "insufficient", "how many items the batch has is not known"),
    "profile not readable": ({"metric": "objects", "scope": "profile", "min": 1}, measurement().model_copy(update={"profile": {"objects": -1}}), {}, "insufficient", "a profile cannot be read"),
}  # fmt: skip


def judged(rule, candidate, others, **policy):
    return judge(
        read_policy({"rules": [{"id": "r", "metric": "f1", **rule}], **policy}),
        candidate,
        others.get("baseline"),
        **{name: value for name, value in others.items() if name != "baseline"},
    )


@pytest.mark.parametrize("case", CASES)
def test_a_rule_comes_to(case):
    """Status, sentence, and the verdict that follows."""
    rule, candidate, others, status, words = CASES[case]
    verdict = judged(rule, candidate, others).verdict
    (result,) = verdict.results

    assert (status, True) == (result.status, words in result.text), result.text
    expected = {"pass": "pass", "fail": "fail"}.get(status, "inconclusive")
    assert (expected, expected != "pass") == (verdict.status, verdict.stopped)
    assert ([] if status == "pass" else [f"r: {result.text}"]) == verdict.reasons
    assert float(status == "pass") == verdict.score


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case[3] == "fail"])
def test_a_warning_does_not_stop_unless_the_policy_says_so(case):
    """Severity `warn` turns a failure into `warn`: a pass, with the reason; `fail_on: warn` stops for it."""
    rule, candidate, others, _, _ = CASES[case]
    warned = judged({**rule, "severity": "warn"}, candidate, others).verdict
    strict = judged({**rule, "severity": "warn"}, candidate, others, fail_on="warn").verdict
    lenient = judged(rule, candidate, others, fail_on="never").verdict

    assert (
        warned.results[0].status,
        warned.status,
        warned.stopped,
        len(warned.reasons),
    ) == ("warn", "pass", False, 1)
    assert (strict.status, strict.stopped) == ("fail", True)
    assert (lenient.status, lenient.stopped) == ("fail", False)


@pytest.mark.parametrize(
    "case", [name for name, case in CASES.items() if case[3] in {"insufficient", "missing"}]
)
def test_what_is_open_passes_only_where_the_policy_says_so(case):
    """`on_inconclusive: pass` lets the pipeline go on; the verdict stays what it is."""
    rule, candidate, others, _, _ = CASES[case]
    verdict = judged(rule, candidate, others, on_inconclusive="pass").verdict

    assert (verdict.status, verdict.stopped) == ("inconclusive", False)


@pytest.mark.parametrize("answer", ["inconclusive", "pass", "fail"])
@pytest.mark.parametrize(
    "case", ["drop without baseline", "no reference", "window too short", "profile without reference"]
)
def test_the_first_run_is_as_the_policy_says(case, answer):
    """A missing baseline and a window that is too short, with the words that say it."""
    rule, candidate, others, _, _ = CASES[case]
    verdict = judged(rule, candidate, others, on_missing_baseline=answer).verdict

    assert answer == verdict.status
    if answer != "inconclusive":
        assert f"a {answer} by on_missing_baseline" in verdict.results[0].text


def test_a_baseline_that_was_measured_otherwise_is_not_a_missing_one():
    """`on_missing_baseline: pass` does not open the gate to other data."""
    rule, candidate, others, _, _ = CASES["drop, other ground truth"]

    assert judged(rule, candidate, others, on_missing_baseline="pass").verdict.status == "inconclusive"


def test_every_rule_is_judged_before_the_verdict_and_the_worst_comes_first():
    """A failure does not hide what comes behind it; failures, then what is missing, then what is open, then warnings."""
    policy = read_policy({
        "rules": [
            {"id": "warned", "metric": "f1", "min": 0.9, "severity": "warn"},
            {"id": "open", "metric": "f1", "max_drop": 0.1},
            {"id": "gone", "metric": "recall", "min": 0.1},
            {"id": "kept", "metric": "f1", "min": 0.1},
            {"id": "broken", "metric": "f1", "min": 0.8},
        ]
    })
    verdict = judge(policy, measurement(f1=0.7)).verdict

    assert [each.rule_id for each in verdict.results] == ["warned", "open", "gone", "kept", "broken"]
    assert [reason.partition(":")[0] for reason in verdict.reasons] == ["broken", "gone", "open", "warned"]
    assert (verdict.status, verdict.score) == ("fail", 0.2)


def test_a_bound_that_is_off_is_not_counted_beside_one_that_is_on():
    """`relative_below` with `max_drop` beside it: the absolute drop decides."""
    rule = {"max_relative_drop": 0.1, "relative_below": 0.05, "max_drop": 0.01}
    verdict = judged(rule, measurement(f1=0.035), {"baseline": measurement(f1=0.04)}).verdict

    assert {each.bound: (each.status, each.counted) for each in verdict.results} == {
        "max_drop": ("pass", True),
        "max_relative_drop": ("insufficient", False),
    }
    assert verdict.status == "pass"


def test_rare_labels_are_listed_and_stop_only_where_they_are_named():
    """All labels: the rare one is listed in one line; named: it is asked for, and open."""
    side = labels(car=of(recall=0.9), bus=of(7, recall=0.1))
    every = judged({"metric": "recall", "scope": "per_label", "min": 0.5}, side, {}).verdict
    named = judged(
        {"metric": "recall", "scope": "per_label", "labels": ["bus", "car"], "min": 0.5}, side, {}
    ).verdict

    assert (every.status, every.reasons) == ("pass", ["1 label of rule r could not be judged alone: bus"])
    assert named.status == "inconclusive"


def test_the_place_of_a_bound_is_on_the_axis_of_its_evidence():
    """What a picture of the result draws."""
    higher = judged(
        {"max_drop": 0.02}, measurement(f1=0.7), {"baseline": measurement(f1=0.71)}
    ).verdict.results[0]
    lower = judged(
        {"metric": "fp", "max_relative_drop": 0.1}, measurement(fp=105), {"baseline": measurement(fp=100)}
    ).verdict.results[0]

    assert (higher.bound_at, higher.passes) == (-0.02, "above")
    assert (lower.bound_at, lower.passes) == (0.1, "below")
    assert pytest.approx((-0.01, 0.05)) == (higher.difference, lower.difference)
