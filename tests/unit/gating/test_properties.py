"""What holds for any measurements: order, names and parts change nothing, and what is worse never does better."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.gating.bounds import Interval
from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import MatchColumns, Measurement, Subject
from airflow_provider_nucleus.gating.multiplicity import adjusted_levels
from airflow_provider_nucleus.gating.policy import Policy, Rule, WindowCondition
from airflow_provider_nucleus.gating.verdict import Judgement
from airflow_provider_nucleus.gating.window import spread_of
from tests.unit.gating.measurements import measurement
from tests.unit.gating.rows import match_columns, measured
from tests.unit.gating.test_intervals import LABELS, random_pair

RANK = {"fail": 0, "missing": 1, "error": 1, "insufficient": 1, "warn": 1, "pass": 2}
POLICY = Policy(
    rules=[
        Rule(id="f1", metric="f1", min=0.5, max_drop=0.05),
        Rule(
            id="recall",
            metric="recall",
            scope="per_label",
            max_drop=0.1,
            max_relative_drop=0.1,
            min_support=3,
        ),
        Rule(
            id="precision",
            metric="precision",
            scope="per_label",
            labels=["a", "b"],
            max_drop=0.1,
            min_support=3,
        ),
        Rule(id="fp", metric="fp", max_drop=3),
        Rule(id="gain", metric="mean_iou", min_gain=0.0),
    ],
    replicates=200,
)
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outcome(judgement):
    return [
        (each.rule_id, each.subject, each.bound, each.status, each.counted)
        for each in judgement.verdict.results
    ]


def ends(judgement):
    return [each.low for each in judgement.verdict.results if each.low is not None]


@given(seed=st.integers(0, 10_000), order=st.randoms(use_true_random=False))
@few
def test_the_order_of_rows_changes_nothing(seed, order):
    """Rows come from pages, shards and parts; sums of overlaps may differ in the last digit."""
    candidate, baseline = random_pair(seed)

    def turned(side):
        places = list(range(len(side.matches.item)))
        order.shuffle(places)
        columns = {
            name: [getattr(side.matches, name)[place] for place in places]
            for name in MatchColumns.model_fields
            if name not in {"items", "labels", "groups"}
        }
        return side.model_copy(update={"matches": side.matches.model_copy(update=columns)})

    first = judge(POLICY, candidate, baseline)
    second = judge(POLICY, turned(candidate), turned(baseline))

    assert outcome(first) == outcome(second)
    assert ends(first) == pytest.approx(ends(second), abs=1e-12)


@given(seed=st.integers(0, 10_000), names=st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=2))
@few
def test_the_names_of_models_change_nothing(seed, names):
    """Subjects are for people and links."""
    sides = random_pair(seed)
    named = [
        side.model_copy(update={"subject": Subject(model_name=name)})
        for side, name in zip(sides, names, strict=True)
    ]

    assert judge(POLICY, *sides).verdict == judge(POLICY, *named).verdict


@given(seed=st.integers(0, 10_000))
@few
def test_merged_batches_are_one_batch(seed):
    """Two batches judged together are their rows put together, whichever comes first, up to the order of the draws."""
    parts = [random_pair(seed), random_pair(seed + 1)]

    def merged(order, side):
        rows, items = [], []
        for number in order:
            columns = parts[number][side].matches
            names = [f"{number}/{name}" for name in columns.items]
            items += names
            rows += [
                (
                    names[item],
                    None if truth is None else columns.labels[truth],
                    None if predicted is None else columns.labels[predicted],
                    iou,
                    agrees,
                )
                for item, truth, predicted, iou, agrees in zip(
                    columns.item, columns.truth, columns.predicted, columns.iou, columns.agrees, strict=True
                )
            ]
        return measured(match_columns(rows, items=items, labels=LABELS))

    one, other = (judge(POLICY, merged(order, 0), merged(order, 1)) for order in ((0, 1), (1, 0)))
    for first, second in zip(one.verdict.results, other.verdict.results, strict=True):
        assert (first.value, first.baseline, first.support) == pytest.approx((
            second.value,
            second.baseline,
            second.support,
        ))
    total = parts[0][0].overall.values["tp"] + parts[1][0].overall.values["tp"]
    assert total == merged((0, 1), 0).overall.values["tp"]


@given(seed=st.integers(0, 10_000), lost=st.integers(1, 40))
@few
def test_a_worse_candidate_never_passes_where_a_better_one_fails(seed, lost):
    """Take found objects away from a candidate: no bound on what it found gets better."""
    better, baseline = random_pair(seed)
    rows = better.matches
    found = [
        place
        for place, predicted in enumerate(rows.predicted)
        if predicted is not None and rows.agrees[place]
    ]
    gone = set(np.random.default_rng(seed).permutation(found)[:lost].tolist())
    worse = measured(
        rows.model_copy(
            update={
                "predicted": [None if place in gone else each for place, each in enumerate(rows.predicted)],
                "prediction_id": [
                    None if place in gone else each for place, each in enumerate(rows.prediction_id)
                ],
                "confidence": [None if place in gone else each for place, each in enumerate(rows.confidence)],
                "agrees": [each and place not in gone for place, each in enumerate(rows.agrees)],
            }
        )
    )
    policy = Policy(
        rules=[
            Rule(id="recall", metric="recall", min=0.6, max_drop=0.05, max_relative_drop=0.05),
            Rule(id="labels", metric="recall", scope="per_label", labels=["a", "b"], max_drop=0.1),
            Rule(id="fn", metric="fn", max_drop=3, max=40),
        ],
        replicates=200,
    )
    for first, second in zip(
        judge(policy, worse, baseline).verdict.results,
        judge(policy, better, baseline).verdict.results,
        strict=True,
    ):
        assert not (first.status == "pass" and second.status == "fail"), (first.text, second.text)


@given(
    value=st.floats(-1, 1),
    worse=st.floats(0, 1),
    baseline=st.floats(-1, 1),
    limit=st.floats(0, 0.5),
    width=st.floats(0, 0.5),
    bound=st.sampled_from(["max_drop", "max_relative_drop", "min_gain"]),
    direction=st.sampled_from(["higher", "lower"]),
)
@example(
    value=0.0,
    worse=1.0,
    baseline=2.3e-308,
    limit=0.0,
    width=0.0,
    bound="max_relative_drop",
    direction="higher",
)
@settings(max_examples=300, deadline=None)
def test_a_worse_number_does_no_better(value, worse, baseline, limit, width, bound, direction):
    """By the number alone, and by an interval of the same width around it; higher and lower are mirrors."""
    policy = Policy(rules=[Rule(id="r", metric="f1", direction=direction, **{bound: limit})])
    step = -worse if direction == "higher" else worse

    def rank(number, *, given_):
        gap = number - baseline
        intervals = {("f1", "overall"): Interval(gap - width, gap + width)} if given_ else None
        (result,) = judge(
            policy, measurement(f1=number), measurement(f1=baseline), intervals=intervals
        ).verdict.results
        return RANK[result.status]

    for given_ in (False, True):
        assert rank(value + step, given_=given_) <= rank(value, given_=given_)


@given(
    history=st.lists(st.floats(0, 1), min_size=5, max_size=14),
    value=st.floats(0, 1),
    worse=st.floats(0, 1),
    max_z=st.floats(0.5, 6),
)
@settings(max_examples=200, deadline=None)
def test_a_worse_number_does_no_better_in_a_window(history, value, worse, max_z):
    """With a better side, distance on that side is no reason to stop."""
    policy = Policy(rules=[Rule(id="r", metric="f1", window=WindowCondition(max_z=max_z))])

    def rank(number):
        judgement = judge(policy, measurement(f1=number), history=[measurement(f1=each) for each in history])
        return RANK[judgement.verdict.results[0].status]

    spread = spread_of(history)
    if spread.deviation:
        assert rank(value - worse) <= rank(value)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=90), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_adjusted_levels_are_those_of_the_definitions(levels, order):
    """Against the definitions written out; in any order; never below the level itself; Holm never below Benjamini-Hochberg."""
    count = len(levels)
    holm, fdr = (adjusted_levels(levels, control) for control in ("holm", "benjamini_hochberg"))
    ranked = sorted(levels)
    for level, one, other in zip(levels, holm, fdr, strict=True):
        last = max(place for place, each in enumerate(ranked) if each <= level)
        first = ranked.index(level)
        assert (
            pytest.approx(max(min(1, (count - place) * ranked[place]) for place in range(first + 1))) == one
            or last > first
        )
        assert (
            pytest.approx(min(min(1, ranked[place] * count / (place + 1)) for place in range(first, count)))
            == other
        )
        assert level <= other + 1e-12
        assert other <= one + 1e-12
    places = list(range(count))
    order.shuffle(places)
    assert [holm[place] for place in places] == pytest.approx(
        adjusted_levels([levels[place] for place in places], "holm")
    )
    assert levels == adjusted_levels(levels, "none")


def test_adjusted_levels_by_hand():
    """Four tests: Holm 4, 3, 2, 1 times, Benjamini-Hochberg 4, 2, 4/3, 1 times, each kept in order."""
    levels = [0.01, 0.04, 0.03, 0.005]

    assert pytest.approx([0.03, 0.06, 0.06, 0.02]) == adjusted_levels(levels, "holm")
    assert pytest.approx([0.02, 0.04, 0.04, 0.02]) == adjusted_levels(levels, "benjamini_hochberg")


@given(seed=st.integers(0, 10_000))
@few
def test_a_judgement_is_a_document(seed):
    """Written and read again it is the same, and judging again gives the same."""
    candidate, baseline = random_pair(seed)
    judgement = judge(POLICY, candidate, baseline)
    text = judgement.model_dump_json(by_alias=True)

    assert judgement == Judgement.model_validate_json(text)
    again = [
        Measurement.model_validate_json(side.model_dump_json(by_alias=True)) for side in (candidate, baseline)
    ]
    assert judgement.verdict == judge(POLICY, *again).verdict
