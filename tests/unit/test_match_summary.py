"""The metric summary: every kind of row, thresholds, undefined numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.match_summary import summarize_matches


@dataclass
class Row:
    """A match row as the server lists it."""

    model_prediction_label: str | None = None
    ground_truth_annotation_label: str | None = None
    iou: float = 0.0
    true_positive: bool = False
    model_prediction_id: str | None = None
    ground_truth_annotation_id: str | None = None
    family: str | None = "area"


def summarize(matched=(), fps=(), fns=(), *, at=0.5):
    """Summarize at a threshold and return the JSON form."""
    return summarize_matches(matched, false_positives=fps, false_negatives=fns, iou_threshold=at).to_dict()


def pair(predicted: str, truth: str, iou: float, name: str = "1", *, tp: bool | None = None) -> Row:
    """Return a matched pair."""
    return Row(predicted, truth, iou, predicted == truth if tp is None else tp, f"p{name}", f"g{name}")


def test_hand_computed_case():
    """Two hits, one weak pair, one loose prediction and one missed object give the textbook numbers."""
    result = summarize(
        [pair("car", "car", 0.9), pair("car", "car", 0.7, "2"), pair("van", "van", 0.4, "3")],
        [Row("car")],
        [Row(None, "van")],
    )

    assert {key: result["overall"][key] for key in ("tp", "fp", "fn", "predictions", "ground_truth")} == {
        "tp": 2,
        "fp": 2,
        "fn": 2,
        "predictions": 4,
        "ground_truth": 4,
    }
    assert tuple(result["overall"][key] for key in ("precision", "recall", "f1")) == (0.5, 0.5, 0.5)
    assert pytest.approx(0.8) == result["overall"]["mean_iou"]
    assert tuple(result["per_label"]["car"][key] for key in ("tp", "fp", "fn")) == (2, 1, 0)
    assert tuple(result["per_label"]["van"][key] for key in ("tp", "fp", "fn")) == (0, 1, 2)


def test_threshold_turns_weak_pair_into_fp_and_fn():
    """A pair exactly at the threshold is a hit, one below it is a false positive and a false negative."""
    at, below = summarize([pair("car", "car", 0.5)]), summarize([pair("car", "car", 0.4999)])

    assert tuple(at["overall"][key] for key in ("tp", "fp", "fn")) == (1, 0, 0)
    assert tuple(below["overall"][key] for key in ("tp", "fp", "fn")) == (0, 1, 1)


def test_pair_with_other_label_is_counted_once_however_often_listed():
    """A class-agnostic mix-up appears in two modes of the server and still is one FP, one FN, one mislabelled."""
    mixed = pair("van", "car", 0.9)
    result = summarize([mixed], [mixed], [mixed])

    assert tuple(result["overall"][key] for key in ("tp", "fp", "fn", "mislabelled")) == (0, 1, 1, 1)
    assert result["per_label"]["car"]["mislabelled"] == 1
    assert result["per_label"]["van"]["fp"] == 1


def test_mixup_listed_only_among_false_positives_is_counted():
    """A server that lists a mix-up in the false-positive mode alone does not make it vanish."""
    result = summarize([], [pair("van", "car", 0.9)])

    assert tuple(result["overall"][key] for key in ("tp", "fp", "fn")) == (0, 1, 1)


def test_allowed_label_pair_is_a_hit_under_the_truth_label():
    """A pair the server calls true although the labels differ counts for the ground truth's label."""
    result = summarize([pair("van", "car", 0.9, tp=True)])

    assert result["per_label"]["car"]["tp"] == 1
    assert "van" not in result["per_label"]


def test_equal_labels_are_a_hit_even_if_the_server_says_otherwise():
    """Equal labels make a true positive, as in the official client."""
    assert summarize([pair("car", "car", 0.9, tp=False)])["overall"]["tp"] == 1


def test_undefined_numbers_are_null_with_a_reason():
    """No objects at all: every ratio is null and says why; and the result is JSON."""
    overall = summarize()["overall"]

    assert [overall[key] for key in ("precision", "recall", "f1", "mean_iou")] == [None] * 4
    assert {"precision", "recall", "f1", "mean_iou"} == set(overall["undefined"])
    json.dumps(overall, allow_nan=False)


def test_only_false_alarms_leave_recall_undefined_and_f1_zero():
    """Predictions where there is nothing to find: precision and F1 are 0, recall has no meaning."""
    overall = summarize([], [Row("car")])["overall"]

    assert (overall["precision"], overall["recall"], overall["f1"]) == (0, None, 0)
    assert overall["undefined"]["recall"] == "no ground truth"


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_threshold_outside_unit_interval_is_refused(threshold):
    """An IoU threshold is a number from 0 to 1."""
    with pytest.raises(ValueError, match="iou_threshold"):
        summarize(at=threshold)


def test_many_labels_are_cut_to_the_busiest():
    """A summary for XCom keeps the labels with the most objects and says how many there were."""
    rows = [Row(f"label{i}") for i in range(50)] + [Row("busy")] * 3
    summary = summarize_matches([], false_positives=rows, false_negatives=[], iou_threshold=0.5)
    result = summary.to_dict(max_labels=2)

    assert result["labels"] == 51
    assert list(result["per_label"]) == ["busy", "label0"]


LABELS = st.sampled_from(["car", "van", "crate"])
PAIRS = st.builds(
    Row, LABELS, LABELS, st.floats(0.01, 1), st.booleans(), st.uuids().map(str), st.uuids().map(str)
)


@settings(max_examples=60)
@given(
    st.lists(PAIRS, max_size=20),
    st.lists(st.builds(Row, LABELS), max_size=10),
    st.lists(st.builds(Row, st.none(), LABELS), max_size=10),
    st.floats(0, 1),
)
def test_every_object_is_counted_exactly_once(matched, fps, fns, threshold):
    """Whatever the threshold, TP + FP is the number of predictions and TP + FN the number of ground-truth objects."""
    result = summarize(matched, fps, fns, at=threshold)

    assert len(matched) + len(fps) == result["overall"]["predictions"]
    assert len(matched) + len(fns) == result["overall"]["ground_truth"]
    for key in ("tp", "fp", "fn"):
        assert result["overall"][key] == sum(label[key] for label in result["per_label"].values())


def test_categories_are_counted_apart_from_shapes():
    """A category of the image neither adds to the boxes' counts nor lifts their mean IoU."""
    sunny, wrong = pair("day", "day", 1.0, "2"), pair("day", "night", 1.0, "3")
    for row in (sunny, wrong):
        row.family = "category"

    result = summarize([pair("car", "car", 0.6), sunny, wrong], at=1.0)

    assert (result["overall"]["tp"], result["overall"]["fp"], set(result["per_label"])) == (0, 1, {"car"})
    categories = result["categories"]
    assert (categories["overall"]["tp"], categories["overall"]["fp"], categories["overall"]["fn"]) == (
        1,
        1,
        1,
    )
    assert "mean_iou" not in json.dumps(categories)


def test_without_categories_nothing_is_said_of_them():
    """A dataset of boxes gives a result without an empty section."""
    assert "categories" not in summarize([pair("car", "car", 0.6)])
