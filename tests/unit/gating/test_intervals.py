"""Intervals: those of the engine's comparison, of each label and slice by itself, and the cases in which there is none."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.readers.bootstrap import draw
from airflow_provider_nucleus.evaluation.readers.compare import BootstrapOptions, Entry, compare
from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.policy import Policy, Rule
from tests.unit.evaluation.sides import prediction_side, random_rows, truth_side
from tests.unit.gating.measurements import FINGERPRINT, measurement
from tests.unit.gating.rows import match_columns, measured

LABELS = ["a", "b", "c"]


def columns_of(matches, images):
    """Return the rows that a server lists of a match of the engine."""
    truth, found = matches.ground_truth, matches.predictions
    names = [f"item {image:02}" for image in range(images)]
    rows = []
    for row in range(len(found)):
        other = matches.match[row]
        rows.append((
            names[found.image[row]],
            None if other == NONE else LABELS[truth.label[other]],
            LABELS[found.label[row]],
            float(matches.overlap[row]),
            bool(matches.correct[row]),
        ))
    rows += [
        (names[truth.image[row]], LABELS[truth.label[row]], None, 0.0, False)
        for row in range(len(truth))
        if matches.found_by[row] == NONE
    ]
    return match_columns(rows, items=names, labels=LABELS)


def results(policy, *sides, **others):
    return {(each.rule_id, each.subject): each for each in judge(policy, *sides, **others).verdict.results}


def rule(metric, **bounds):
    return Rule(id=metric, metric=metric, min_support=0, min_items=2, **({"max_drop": 0.1} | bounds))


@given(st.integers(0, 100_000))
@settings(max_examples=15, deadline=None)
def test_intervals_are_those_of_the_engines_comparison(seed):
    """The same items and seed: the same ends, to the last digits, for every number that both have."""
    truths, found = random_rows(seed, images=30, crowds=False)
    _, other = random_rows(seed + 1, images=30, crowds=False)
    truth = truth_side(truths)
    baseline, candidate = (match(truth, prediction_side(rows)) for rows in (found, other))
    (engine,) = compare(
        [Entry("baseline", baseline), Entry("candidate", candidate)],
        images=30,
        bootstrap=BootstrapOptions(replicates=400, ap_replicates=0, seed=3),
    )
    names = ("precision", "recall", "f1", "mean_iou")
    policy = Policy(rules=[rule(name) for name in names], replicates=400, seed=3)
    ours = results(policy, *(measured(columns_of(each, 30)) for each in (candidate, baseline)))

    for name in names:
        expected, result = engine.differences[name], ours[name, "overall"]
        if result.low is None:
            assert (
                not expected.difference.defined
                or expected.replicates < 200
                or "items, an interval" in result.text
            )
            continue
        assert expected.difference.value == pytest.approx(result.difference, abs=1e-12)
        assert [expected.low.value, expected.high.value] == pytest.approx(
            [result.low, result.high], abs=1e-12
        )
        assert result.method == "paired bootstrap over 30 items"


def random_pair(seed, *, items=40, groups=None):
    """Return candidate and baseline on random objects of three labels, one of them rare."""
    rng = np.random.default_rng(seed)
    sides = []
    truths = [
        (f"i{place:02}", LABELS[rng.choice(3, p=[0.6, 0.35, 0.05])])
        for place in range(items)
        for _ in range(rng.poisson(3))
    ]
    for _ in range(2):
        rows = []
        for item, label in truths:
            found = rng.random()
            if found < 0.7:
                rows.append((item, label, label, 0.5 + rng.random() / 2, True))
            elif found < 0.8:
                rows += [(item, label, LABELS[rng.integers(3)], rng.random() / 2.1, False)]
            else:
                rows.append((item, label, None, 0.0, False))
        rows += [(f"i{rng.integers(items):02}", None, LABELS[rng.integers(3)], 0.0, False) for _ in range(20)]
        sides.append(
            measured(
                match_columns(
                    rows, items=[f"i{place:02}" for place in range(items)], labels=LABELS, groups=groups
                )
            )
        )
    return sides


@pytest.mark.parametrize("metric", ["precision", "recall", "f1", "mean_iou", "tp", "fp", "fn"])
def test_each_label_and_slice_is_resampled_as_if_counted_draw_by_draw(metric):
    """Every draw is counted again, row by row; labels, slices and the relative change."""
    fog = [place for place in range(40) if place % 3]
    candidate, baseline = random_pair(5, groups={"weather": {"fog": fog}})
    policy = Policy(
        rules=[
            rule(metric, scope="per_label", labels=["a"]),
            rule(metric, scope="per_slice", slice_key="weather").model_copy(update={"id": "slice"}),
            rule(metric, max_drop=None, max_relative_drop=0.1).model_copy(update={"id": "relative"}),
        ],
        replicates=200,
        seed=1,
    )
    ours = results(policy, candidate, baseline)

    gaps = {"label": [], "slice": [], "relative": []}
    for replicate in range(200):
        weights = draw(40, seed=1, replicate=replicate)
        value = [_counted(side, metric, weights) for side in (candidate, baseline)]
        gaps["relative"].append((value[0] - value[1]) / value[1])
        of_label = [_counted(side, metric, weights, label=0) for side in (candidate, baseline)]
        gaps["label"].append(of_label[0] - of_label[1])
        of_slice = [
            _counted(side, metric, [w if place in fog else 0 for place, w in enumerate(weights)])
            for side in (candidate, baseline)
        ]
        gaps["slice"].append(of_slice[0] - of_slice[1])
    for key, name in (
        ((metric, "label a"), "label"),
        (("slice", "weather=fog"), "slice"),
        (("relative", "overall"), "relative"),
    ):
        expected = np.quantile(gaps[name], [0.025, 0.975]).tolist()
        assert expected == pytest.approx([ours[key].low, ours[key].high], abs=1e-12), name


def _counted(side, metric, weights, label=None):
    rows = side.matches
    hits = predictions = truths = overlaps = 0
    for item, truth, predicted, iou, agrees in zip(
        rows.item, rows.truth, rows.predicted, rows.iou, rows.agrees, strict=True
    ):
        hit = truth is not None and predicted is not None and agrees and iou >= 0.5
        w = weights[item]
        if truth is not None and label in (None, truth):
            truths += w
            hits += w * hit
            overlaps += w * iou * hit
        if predicted is not None and label in (None, truth if hit else predicted):
            predictions += w
    return {
        "precision": lambda: hits / predictions,
        "recall": lambda: hits / truths,
        "f1": lambda: 2 * hits / (predictions + truths),
        "mean_iou": lambda: overlaps / hits,
        "tp": lambda: hits,
        "fp": lambda: predictions - hits,
        "fn": lambda: truths - hits,
    }[metric]()


def test_the_mean_leaves_out_labels_whose_relative_bound_is_off():
    """A label that the baseline hardly found has lost all of little, which says nothing about the others."""
    items = [f"i{place}" for place in range(80)]
    common = [row for name in items for label in ("car", "van") for row in [(name, label, label, 0.9, True)]]
    rare = [
        [
            (name, "bus", "bus" if place < hits else None, 0.9, place < hits)
            for place, name in enumerate(items)
        ]
        for hits in (0, 4)
    ]
    candidate, baseline = (
        measured(match_columns(common + rows, items=items, labels=["car", "van", "bus"])) for rows in rare
    )
    off = Rule(id="recall", metric="recall", scope="per_label", max_relative_drop=0.2, relative_below=0.1)
    found = {}
    for each in (off, off.model_copy(update={"relative_below": None})):
        found[each.relative_below] = results(Policy(rules=[each]), candidate, baseline)

    assert found[0.1]["recall", "mean over 2 labels"].difference == 0
    assert found[None]["recall", "mean over 3 labels"].difference == pytest.approx(-1 / 3)


def test_items_in_another_order_on_the_other_side_are_the_same_items():
    """The baseline lists them as it likes; so do the labels."""
    candidate, baseline = random_pair(2)
    rows = baseline.matches
    turned = rows.model_copy(
        update={
            "items": rows.items[::-1],
            "item": [len(rows.items) - 1 - place for place in rows.item],
            "labels": rows.labels[::-1],
            "truth": [None if code is None else 2 - code for code in rows.truth],
            "predicted": [None if code is None else 2 - code for code in rows.predicted],
        }
    )
    policy = Policy(rules=[rule("f1"), rule("recall", scope="per_label")])

    assert results(policy, candidate, baseline) == results(
        policy, candidate, baseline.model_copy(update={"matches": turned})
    )


WITHOUT = {
    "no rows": (lambda side: {"matches": None}, "without the rows of its match"),
    "other items": (
        lambda side: {"matches": side.matches.model_copy(update={"items": [*side.matches.items, "x"]})},
        "0 items were measured for the candidate only, 1 for the baseline only",
    ),
    "other numbers": (
        lambda side: {
            "overall": side.overall.model_copy(update={"values": {**side.overall.values, "f1": 0.123}})
        },
        "the measurement says 0.123",
    ),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_where_no_interval_can_be_had_the_numbers_are_compared_and_the_rule_says_why(case):
    """The reason is in the sentence, and there is no interval in the result."""
    change, reason = WITHOUT[case]
    candidate, baseline = random_pair(2)
    baseline = baseline.model_copy(update=change(baseline))
    (result,) = results(Policy(rules=[rule("f1", max_drop=0.9)]), candidate, baseline).values()

    assert result.status == "pass"
    assert result.method is result.low is None
    assert "compared without an interval" in result.text
    assert reason in result.text


PROOFS = {
    "other ground truth": (
        lambda side: {
            "matches": side.matches.model_copy(update={"truth_id": ["new", *side.matches.truth_id[1:]]})
        },
        "different ground truth",
    ),
    "another overlap": (
        lambda side: {"iou_threshold": 0.75},
        "overlap: the candidate has 0.5, baseline has 0.75",
    ),
}


@pytest.mark.parametrize("case", PROOFS)
def test_what_the_rows_prove_to_be_another_measurement_is_not_compared(case):
    """Equal fingerprints state less than the documents do: nothing passes on other objects, or at another overlap."""
    change, reason = PROOFS[case]
    candidate, baseline = random_pair(2)
    baseline = baseline.model_copy(update=change(baseline))
    (result,) = results(Policy(rules=[rule("f1", max_drop=0.9)]), candidate, baseline).values()

    assert result.status == "insufficient"
    assert reason in result.text


def test_an_interval_does_not_depend_on_the_order_of_an_upload():
    """Items arrive in parallel requests, in another order every time; the same data have the same verdict, to the last digit."""
    sides = random_pair(9, groups={"weather": {"fog": [3, 7, 11, 19, 21, 30, 33], "sun": [0, 1, 2, 4, 5, 6]}})
    rules = [
        rule("f1"),
        rule("mean_iou"),
        rule("recall", scope="per_label"),
        rule("precision", scope="per_slice", slice_key="weather"),
    ]
    policy = Policy(rules=rules, replicates=200)
    ends = [
        [(each.subject, each.status, each.low, each.high) for each in judge(policy, *both).verdict.results]
        for both in (sides, [uploaded_otherwise(side, seed) for seed, side in enumerate(sides)])
    ]

    assert all(low is not None for _, _, low, _ in ends[0])
    for first, second in zip(*ends, strict=True):
        assert first[:2] == second[:2]
        assert first[2:] == pytest.approx(second[2:], abs=1e-12)


def uploaded_otherwise(side, seed):
    """Return the same measurement with its items in another order."""
    rows = side.matches
    order = np.random.default_rng(seed).permutation(len(rows.items)).tolist()
    place = {old: new for new, old in enumerate(order)}
    groups = {
        key: {value: [place[each] for each in places] for value, places in values.items()}
        for key, values in rows.groups.items()
    }
    moved = {
        "items": [rows.items[each] for each in order],
        "item": [place[each] for each in rows.item],
        "groups": groups,
    }
    return side.model_copy(update={"matches": rows.model_copy(update=moved)})


def test_numbers_that_rows_do_not_give_are_compared_without():
    """AP is ranked, not counted; an interval that is given takes its place."""
    sides = measurement(ap=0.40), measurement(ap=0.41)
    (result,) = results(Policy(rules=[rule("ap", max_drop=0.02)]), *sides).values()

    assert result.status == "pass"
    assert "ap cannot be counted from the rows" in result.text


@pytest.mark.parametrize("items", [0, 1, 4])
def test_few_items_are_no_interval_and_no_verdict(items):
    """Resampling one item gives it back: certain of nothing. Four are below `min_items`."""
    names = [f"i{place}" for place in range(items)]
    rows = [(name, "a", "a", 0.9, True) for name in names for _ in range(30)]
    side = measured(match_columns(rows, items=names, labels=LABELS))
    judgement = judge(Policy(rules=[Rule(id="r", metric="recall", max_drop=0.5)]), side, side)

    (result,) = judgement.verdict.results
    assert result.status == "insufficient"
    assert judgement.verdict.stopped


def test_objects_on_few_items_are_few_however_many_they_are():
    """A label of 60 objects, all on two of a hundred items."""
    names = [f"i{place}" for place in range(100)]
    rows = [(name, "a", "a", 0.9, True) for name in names for _ in range(3)]
    rows += [(name, "b", "b", 0.9, True) for name in names[:2] for _ in range(30)]
    side = measured(match_columns(rows, items=names, labels=LABELS))
    found = results(
        Policy(rules=[Rule(id="r", metric="recall", scope="per_label", labels=["a", "b"], max_drop=0.5)]),
        side,
        side,
    )

    assert found["r", "label a"].status == "pass"
    assert found["r", "label b"].status == "insufficient"
    assert "it rests on 2 items" in found["r", "label b"].text
    every = judge(
        Policy(rules=[Rule(id="r", metric="recall", scope="per_label", max_drop=0.5)]), side, side
    ).verdict
    assert (every.status, [each.subject for each in every.results if not each.counted]) == (
        "pass",
        ["label b"],
    )


def test_a_given_interval_is_the_one_that_counts():
    """As the server's comparison has it for AP; one of a lower level than the rule's is not enough."""
    from airflow_provider_nucleus.gating.bounds import Interval

    sides = measurement(ap=0.40), measurement(ap=0.41)

    def status(low, high, level=0.95, **bounds):
        policy = Policy(rules=[rule("ap", **bounds)])
        given_ = {("ap", "overall"): Interval(low, high, level, "compare route")}
        (result,) = results(policy, *sides, intervals=given_).values()
        return result.status

    assert status(-0.018, 0.001, max_drop=0.02) == "pass"
    assert status(-0.03, 0.01, max_drop=0.02) == "insufficient"
    assert status(-0.03, -0.021, max_drop=0.02) == "fail"
    assert status(-0.018, 0.001, level=0.9, max_drop=0.02) == "insufficient"
    assert status(-0.0205, -0.01, max_drop=None, max_relative_drop=0.02) == "fail"
    assert status(-0.018, 0.001, max_drop=None, max_relative_drop=0.05) == "pass"


def test_absolute_bounds_go_by_the_number_unless_the_rule_says_interval():
    """The interval is there to be read; `compare: interval` lets it decide."""
    candidate, _ = random_pair(4)
    f1 = candidate.overall.values["f1"]

    def status(limit, **how):
        (result,) = results(Policy(rules=[rule("f1", max_drop=None, min=limit, **how)]), candidate).values()
        assert result.low < f1 < result.high
        return result.status

    assert status(f1 - 0.001) == "pass"
    assert status(f1 + 0.001) == "fail"
    assert status(f1 - 0.001, compare="interval") == "insufficient"
    assert status(f1 + 0.001, compare="interval") == "insufficient"
    assert status(f1 - 0.2, compare="interval") == "pass"
    assert status(f1 + 0.2, compare="interval") == "fail"


def test_rows_that_contradict_themselves_are_an_error_of_the_rule():
    """A place outside the items: the rule says it, and the gate stops; nothing is raised."""
    candidate, baseline = random_pair(2)
    broken = candidate.matches.model_copy(update={"item": [999, *candidate.matches.item[1:]]})
    judgement = judge(Policy(rules=[rule("f1")]), candidate.model_copy(update={"matches": broken}), baseline)
    (result,) = judgement.verdict.results

    assert result.status == "error"
    assert "contradict themselves" in result.text
    assert judgement.verdict.stopped


def test_without_numpy_a_rule_that_needs_it_says_what_to_install(monkeypatch):
    """Not a quiet comparison of the numbers, which would be another verdict than elsewhere."""
    candidate, baseline = random_pair(2)
    for name in [each for each in sys.modules if each.endswith(("gating.resampling", "gating.item_counts"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    policy = Policy(
        rules=[
            rule("f1"),
            rule("recall", compare="point", max_drop=0.9),
            rule("precision", max_drop=None, min=0.1),
        ]
    )
    found = results(policy, candidate, baseline)

    assert [each.status for each in found.values()] == ["error", "pass", "pass"]
    assert "pip install 'airflow-provider-nucleus[gate]'" in found["f1", "overall"].text


def test_the_fingerprint_of_the_tests_is_one():
    """Both sides of these tests are comparable."""
    assert random_pair(1)[0].fingerprint == FINGERPRINT
