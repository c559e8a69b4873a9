"""Measurements above a confidence, from the pairs of all predictions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nucleus.gating.confidence_cut import above_confidence, at_cut
from airflow_provider_nucleus.gating.fingerprint import differences, same_ground_truth
from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement, Numbers
from airflow_provider_nucleus.gating.operating_point import operating_points_of
from airflow_provider_nucleus.gating.policy_reading import read_policy
from tests.unit.gating.match_rows import match_rows

ROWS = match_rows(
    ("a", "car/1", "car/p1@0.9", 0.8),
    ("a", "car/2", "car/p2@0.4", 0.7),
    ("b", "van/3", "car/p3@0.6", 0.9),
    ("b", None, "van/p4@0.3"),
    ("b", None, "van/p5"),
    ("b", "van/4", None),
)


OBJECTS = [("a", "car", 1), ("a", "car", 2), ("b", "car", 3), ("b", "van", 4)]


def measured(matches=ROWS, **parts):
    """Return a measurement with pairs, and with AP, which no pairs give."""
    known = {
        "fingerprint": Fingerprint(data="d"),
        "iou_threshold": 0.5,
        "overall": Numbers(values={"f1": 0.5, "ap": 0.4}, items=2),
        "coverage": Coverage(items=2, ground_truth=4, predictions=5),
        "matches": matches,
    }
    return Measurement(**{**known, **parts})


def test_numbers_are_those_of_what_is_left():
    """Two predictions from 0.5 on, one of them right; the object that lost its partner is missed."""
    found = above_confidence(measured(), 0.5)

    values = found.overall.values
    assert (values["tp"], values["fp"], values["fn"]) == (1, 1, 3)
    assert (values["precision"], values["recall"], values["f1"]) == (0.5, 0.25, pytest.approx(1 / 3))
    assert values["mean_iou"] == 0.8
    assert found.per_label["van"].values["precision"] is None
    assert found.per_label["van"].undefined == {
        "precision": "no predictions",
        "mean_iou": "no true positives",
    }
    assert (found.confidence_threshold, found.overall.items, found.coverage.predictions) == (0.5, 2, 2)


def test_what_pairs_do_not_give_is_absent():
    """AP is not computed, which a rule calls missing; a note says what was done."""
    found = above_confidence(measured(profile={"a": 1}), 0.5)

    assert "ap" not in found.overall.values
    assert found.profile is None
    assert found.notes[-1]["count"] == 3
    assert "recall is a lower bound" in found.notes[-1]["text"]


def test_the_ground_truth_and_the_definition_stay():
    """So that two models can be compared, each at its own cut."""
    one, other = above_confidence(measured(), 0.5), above_confidence(measured(), 0.8)

    assert same_ground_truth(one.matches, other.matches) is None
    assert differences(one.fingerprint, other.fingerprint) == []


def test_slices_are_counted_anew():
    """By the items that have a value."""
    groups = {"weather": {"fog": [0], "sun": [1]}}
    found = above_confidence(measured(ROWS.model_copy(update={"groups": groups})), 0.5)

    assert {value: each.values["tp"] for value, each in found.slices["weather"].items()} == {
        "fog": 1,
        "sun": 0,
    }
    assert found.slices["weather"]["sun"].ground_truth == 2


def test_what_cannot_be_cut_is_said():
    """No pairs; or pairs that are gone already."""
    with pytest.raises(ValueError, match="without its matches"):
        above_confidence(measured(None), 0.5)
    with pytest.raises(ValueError, match=r"has the predictions from confidence 0\.5 on, and none below"):
        above_confidence(above_confidence(measured(), 0.5), 0.2)


@pytest.mark.parametrize("cut", [0.5, "best"])
def test_what_was_made_above_the_cut_stays(cut):
    """A baseline record keeps no pairs: what it accepted above a confidence is what it is the next night."""
    accepted = at_cut(measured(), cut).model_copy(update={"matches": None})

    assert at_cut(accepted, cut) is accepted
    with pytest.raises(ValueError, match="without its matches"):
        at_cut(accepted, 0.8)


def test_a_model_that_predicted_nothing_is_compared():
    """It has no cut of its own, and has lost everything, at whatever cut."""
    found, nothing = (
        measured(),
        measured(match_rows(*((item, f"{label}/{n}", None) for item, label, n in OBJECTS))),
    )
    rule = {"id": "drop", "metric": "recall", "max_drop": 0.1, "min_support": 1, "compare": "point"}
    judgement = judge(read_policy({"rules": [rule]}), *(at_cut(each, "best") for each in (nothing, found)))

    assert judgement.verdict.status == "fail"


rows = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from([None, "car", "van"]),
        st.sampled_from([None, "car", "van"]),
        st.sampled_from([0.2, 0.5, 0.9]),
        st.sampled_from([0.1, 0.4, 0.7]),
    ).filter(lambda row: row[1] or row[2]),
    max_size=12,
)


@given(rows, st.sampled_from([0.1, 0.4, 0.7]))
def test_the_counts_are_those_of_the_operating_point(drawn, cut):
    """One answer, whichever way: cutting first, or reading the cut off the pairs."""
    matches = match_rows(
        *(
            (item, truth and f"{truth}/t{n}", predicted and f"{predicted}/p{n}@{score}", overlap)
            for n, (item, truth, predicted, overlap, score) in enumerate(drawn)
        )
    )
    found = above_confidence(measured(matches), cut)
    point = operating_points_of(measured(matches), aim="recall", target=0.0, min_support=0)
    values = found.overall.values

    assert values["tp"] + values["fn"] == sum(truth is not None for truth in matches.truth)
    if point.overall.confidence == cut:
        assert (values["tp"], values["tp"] + values["fp"]) == (
            point.overall.true_positives,
            point.overall.predictions,
        )
    assert above_confidence(found, cut).overall == found.overall
