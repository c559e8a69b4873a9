"""Drift of a profile: values by hand and by scipy, what is found, what is insufficient, and what no change looks like."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.gating.distances import ks_distance, ks_level, stability_index
from airflow_provider_nucleus.gating.drift import (
    BATCH_NUMBERS,
    DEFAULT_MAX_PSI,
    DRIFT_NUMBERS,
    changed_labels,
    profile_numbers,
)
from airflow_provider_nucleus.gating.profile import Profile
from airflow_provider_nucleus.gating.profile_counts import ProfileCounts

HISTOGRAMS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=25)


def batch(seed=0, *, items=300, labels=("car", "person", "sign"), scale=1.0, turned=False, per_item=6, known=True) -> Profile:  # fmt: skip
    """Return the profile of simulated predictions: wide boxes, confidences of a common shape."""
    rng = random.Random(seed)
    rows = []
    for item in range(items):
        for _ in range(rng.randint(0, 2 * per_item)):
            width, height = rng.lognormvariate(4.5, 0.6), rng.lognormvariate(3.7, 0.6)
            sides = (height, width) if turned else (width, height)
            geometry = {"x": 0, "y": 0, "width": sides[0], "height": sides[1]}
            weights = [1 / (number + 1) for number in range(len(labels))]
            label = rng.choices(labels, weights)[0]
            rows.append({"type": "box", "label": label, "geometry": geometry, "reference_id": f"{item}", "confidence": rng.betavariate(2, 1.2) * scale})  # fmt: skip
    counts = ProfileCounts()
    counts.add_rows(rows)
    return counts.profile().model_copy(update={"items": items if known else None})


def test_the_index_by_hand():
    """60:40 against 40:60, smoothed by half an observation a bin, spread evenly as both sides together are."""
    p, q = 60.5 / 101, 40.5 / 101

    index = stability_index([60, 40], [40, 60])

    assert index.value == pytest.approx(2 * (p - q) * math.log(p / q), abs=1e-12)
    assert index.by_chance == pytest.approx(
        6.6349 * (1 / 100 + 1 / 100), rel=0.02
    )  # chi-square, one degree, 99 %


def test_an_empty_bin_by_hand():
    """A bin that is empty on one side is finite; one that is empty on both is none."""
    # Three bins of which one is empty: 2 x 0.5 observations, spread as 15:5.
    p = (5 + 0.75) / 6, 0.25 / 6
    q = (10 + 0.75) / 16, (5 + 0.25) / 16

    value = stability_index([5, 0, 0], [10, 0, 5]).value

    assert value == pytest.approx(sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True)))


@settings(deadline=None)
@given(HISTOGRAMS)
def test_distances_have_their_properties(pairs):
    """Not negative, the same both ways round, 0 for equal shares."""
    one, other = (list(side) for side in zip(*pairs, strict=True))
    index = stability_index(one, other)
    if not sum(one) or not sum(other):
        assert index is None
        assert ks_distance(one, other) is None
        return

    assert index.value >= 0
    assert index.value == pytest.approx(stability_index(other, one).value)
    assert 0 <= ks_distance(one, other) <= 1
    assert stability_index(one, one).value == ks_distance(one, one) == 0


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(1, 5_000), st.integers(1, 5_000))
def test_the_level_is_that_of_scipy(distance, n, m):
    """The limit distribution, to nine digits."""
    stats = pytest.importorskip("scipy.stats")

    expected = stats.kstwobign.sf(math.sqrt(n * m / (n + m)) * distance)

    assert ks_level(distance, n, m) == pytest.approx(expected, abs=1e-9)


def test_the_distance_is_that_of_scipy_at_the_edges():
    """Values that lie on a few places have the distance of their histograms."""
    stats = pytest.importorskip("scipy.stats")
    rng = random.Random(5)
    one = [rng.choice(range(6)) for _ in range(200)]
    other = [min(rng.choice(range(6)) + rng.choice([0, 1]), 5) for _ in range(300)]
    counts = [[side.count(value) for value in range(6)] for side in (one, other)]

    assert ks_distance(*counts) == pytest.approx(stats.ks_2samp(one, other).statistic)


def test_every_name_has_a_value_or_a_reason():
    """Nothing is missing and nothing is a number that nobody computed."""
    alone, compared = profile_numbers(batch()), profile_numbers(batch(), batch(1))

    for numbers in (alone, compared):
        assert sorted(numbers.values) == sorted([*BATCH_NUMBERS, *DRIFT_NUMBERS])
        assert {name for name, value in numbers.values.items() if value is None} == set(numbers.undefined)
    assert not compared.undefined
    assert set(alone.undefined) == set(DRIFT_NUMBERS)
    assert all("no reference" in reason for reason in alone.undefined.values())


def test_no_change_is_no_alarm():
    """Two batches of one camera."""
    values = profile_numbers(batch(1), batch(2, items=1_000)).values

    assert all(
        values[f"{name}_psi"] < 0.05 for name in ("confidence", "area", "aspect", "label", "objects_per_item")
    )
    assert (values["vanished_labels"], values["new_labels"]) == (0, 0)
    assert values["objects_per_item_ratio"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"scale": 0.8}, {"confidence_psi"}),
        ({"turned": True}, {"aspect_psi"}),
        ({"labels": ("car", "sign")}, {"label_psi", "vanished_labels"}),
        ({"labels": ("car", "person", "sign", "dog")}, {"new_labels"}),
        ({"per_item": 1}, {"objects_per_item_psi"}),
    ],
)
def test_a_change_is_found_and_named(change, found):
    """By the number that is about it, and by no distribution that did not change."""
    values = profile_numbers(batch(1, **change), batch(2, items=1_000)).values
    alarms = {name for name, value in values.items() if name.endswith("_psi") and value > DEFAULT_MAX_PSI}
    alarms |= {name for name in ("vanished_labels", "new_labels") if values[name]}

    assert found <= alarms
    assert alarms <= found | {"label_psi"}


def test_an_empty_batch_is_found_by_what_is_known():
    """No prediction on 300 items: nothing to compare, every item empty, every label gone."""
    numbers = profile_numbers(Profile(items=300), batch(2))

    assert (numbers.values["objects"], numbers.values["empty_share"], numbers.values["objects_per_item"]) == (
        0,
        1,
        0,
    )
    assert numbers.values["objects_per_item_psi"] > 1
    assert numbers.values["vanished_labels"] == 3
    assert numbers.undefined["confidence_psi"] == "the batch has nothing to compare"


def test_an_empty_batch_of_unknown_size_is_undefined_never_a_pass():
    """Nobody said how many items there were: perhaps none."""
    numbers = profile_numbers(Profile(), batch(2))

    assert numbers.values["objects"] == 0
    assert numbers.values["vanished_labels"] is None
    assert "give `items`" in numbers.undefined["empty_share"]


def test_too_few_items_are_insufficient():
    """Nineteen images may hold a thousand objects, and are nineteen looks at the world."""
    numbers = profile_numbers(batch(1, items=19, per_item=50), batch(2))

    assert "fewer than 20" in numbers.undefined["confidence_psi"]
    assert "fewer than 20" in numbers.undefined["confidence_ks_p"]


def test_an_index_that_chance_explains_is_insufficient():
    """Some objects in twenty bins differ by nature; a difference far beyond that is one all the same."""
    few = batch(1, items=40, per_item=2)

    assert "chance alone exceeds" in profile_numbers(few, batch(2)).undefined["confidence_psi"]
    assert profile_numbers(batch(1, items=40, per_item=2, scale=0.3), batch(2)).values["confidence_psi"] > 1


def test_labels_too_rare_to_vanish_are_undecided_and_named():
    """A hundredth of a small batch is nothing; beside a label that certainly vanished it does not matter."""
    reference = Profile(
        labels={"car": 970, "tram": 20, "bus": 10}, objects=1_000, items_with_predictions=1_000
    )
    little = Profile(labels={"car": 100}, objects=100, items_with_predictions=100)

    assert changed_labels(little, reference).maybe_vanished == ["tram", "bus"]
    assert profile_numbers(little, reference).undefined["vanished_labels"].startswith("tram, bus: absent")

    much = Profile(labels={"car": 400}, objects=400, items_with_predictions=400)

    # Eight items with a tram were to be expected, and four with a bus.
    assert changed_labels(much, reference).vanished == ["tram"]
    assert profile_numbers(much, reference).values["vanished_labels"] == 1


def test_labels_that_a_compact_profile_left_out_have_not_vanished():
    """They may be among the others."""
    reference = Profile(labels={"car": 900, "tram": 100}, objects=1_000)
    compact = Profile(labels={"car": 900}, other_labels=1, other_objects=100, objects=1_000)

    assert changed_labels(compact, reference).vanished == []
    assert profile_numbers(compact, reference).values["vanished_labels"] is None


def test_batches_cut_at_different_confidences_are_not_compared():
    """A min_confidence that somebody changed is no drift."""
    numbers = profile_numbers(batch(1).model_copy(update={"cuts": [0.3]}), batch(2))

    assert numbers.undefined["confidence_psi"].startswith(
        "the batch was cut at 0.3 and the reference at no confidence"
    )
    assert numbers.values["objects"] is not None


def test_items_that_one_side_does_not_know_leave_their_numbers_undefined():
    """The distribution of objects is then compared among items with predictions."""
    numbers = profile_numbers(batch(1), batch(2, known=False))

    assert numbers.undefined["empty_share_change"] == "the reference does not say how many items it has"
    assert numbers.values["objects_per_item_psi"] < 0.1
