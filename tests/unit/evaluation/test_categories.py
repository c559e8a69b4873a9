"""Category scores against a hand-computed case, scikit-learn and the digits set."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from airflow_provider_nucleus.evaluation.images.categories import (
    MISSING,
    category_scores,
    multicategory_scores,
    top_k_accuracy,
)
from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from tests.shared_data import shared_data


def codes(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def test_hand_computed_case():
    """Six items, three classes, one item without prediction, one without ground truth."""
    scores = category_scores(codes(0, 0, 1, 1, 2, MISSING), codes(0, 1, 1, MISSING, 0, 2), classes=3)

    assert (scores.items, scores.excluded_without_truth, scores.missing_predictions) == (5, 1, 1)
    assert Metric(2 / 5) == scores.accuracy
    assert Metric(2 / 4) == scores.micro.precision
    assert Metric(2 / 5) == scores.micro.recall
    assert scores.confusion.tolist() == [[1, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0]]
    assert [Metric(0.5), Metric(0.5), undefined("never predicted")] == [
        row.precision for row in scores.per_class
    ]
    assert pytest.approx(1 / 3) == scores.macro.f1.value
    assert pytest.approx(0.4) == scores.weighted.recall.value


@given(
    st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), min_size=1, max_size=40).filter(
        lambda pairs: any(truth >= 0 for truth, _ in pairs)
    )
)
@settings(max_examples=60, deadline=None)
def test_averages_equal_scikit_learn(pairs):
    """Micro, macro and weighted are scikit-learn's with zero_division=0, over the classes present."""
    truth, predicted = (np.array(side, dtype=np.int32) for side in zip(*pairs, strict=True))
    scores = category_scores(truth, predicted, classes=5)
    evaluated = truth >= 0
    present = sorted((set(truth[evaluated].tolist()) | set(predicted[evaluated].tolist())) - {MISSING})

    for name in ("micro", "macro", "weighted"):
        expected = sklearn_metrics.precision_recall_fscore_support(
            truth[evaluated], predicted[evaluated], labels=present, average=name, zero_division=0
        )
        ours = getattr(scores, name)
        assert expected[:3] == pytest.approx(
            [ours.precision.value or 0, ours.recall.value, ours.f1.value], abs=1e-12
        )
    assert sklearn_metrics.accuracy_score(truth[evaluated], predicted[evaluated]) == pytest.approx(
        scores.accuracy.value
    )


label_sets = st.lists(st.frozensets(st.integers(0, 3)), min_size=1, max_size=20)


@given(label_sets, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_sets_of_labels_equal_scikit_learn_multilabel(truth_sets, random):
    """Exact match, Jaccard, Hamming and all averages equal scikit-learn's on indicator matrices."""
    predicted_sets = [frozenset(c for c in range(4) if random.random() < 0.5) for _ in truth_sets]
    sides = []
    for sets in (truth_sets, predicted_sets):
        rows = [(item, label) for item, labels in enumerate(sets) for label in labels]
        rows += rows[:2]  # a repeated pair counts once
        sides.append(np.array(rows, dtype=np.int64).reshape(-1, 2))
    scores = multicategory_scores(
        sides[0][:, 0],
        sides[0][:, 1],
        predicted_items=sides[1][:, 0],
        predicted_labels=sides[1][:, 1],
        classes=4,
        evaluated=np.ones(len(truth_sets), dtype=bool),
    )
    truth, predicted = np.zeros((len(truth_sets), 4), int), np.zeros((len(truth_sets), 4), int)
    for matrix, side in ((truth, sides[0]), (predicted, sides[1])):
        matrix[side[:, 0], side[:, 1]] = 1
    present = np.flatnonzero((truth + predicted).any(axis=0))

    assert sklearn_metrics.accuracy_score(truth, predicted) == pytest.approx(scores.accuracy.value)
    assert sklearn_metrics.hamming_loss(truth, predicted) == pytest.approx(scores.hamming_loss.value)
    assert sklearn_metrics.jaccard_score(
        truth, predicted, average="samples", zero_division=1
    ) == pytest.approx(scores.jaccard.value)
    assert sklearn_metrics.f1_score(truth, predicted, average="samples", zero_division=1) == pytest.approx(
        scores.samples.f1.value
    )
    if truth.any():
        for name in ("micro", "macro", "weighted"):
            expected = sklearn_metrics.precision_recall_fscore_support(
                truth, predicted, labels=present, average=name, zero_division=0
            )
            ours = getattr(scores, name)
            assert expected[:3] == pytest.approx(
                [ours.precision.value or 0, ours.recall.value, ours.f1.value], abs=1e-12
            )


def test_sets_judge_by_default_the_items_that_have_ground_truth():
    """A prediction for an item nobody labelled cannot be judged; it is counted apart."""
    scores = multicategory_scores(
        codes(0, 0, 1),
        codes(0, 1, 2),
        predicted_items=codes(0, 3, 3),
        predicted_labels=codes(0, 1, 2),
        classes=3,
    )

    assert (scores.items, scores.excluded_without_truth, scores.missing_predictions) == (2, 1, 1)
    assert Metric(0.0) == scores.accuracy
    assert Metric(1.0) == scores.micro.precision
    assert Metric(1 / 3) == scores.micro.recall


@pytest.mark.parametrize("model", ["naive_bayes", "logistic"])
def test_digits_reproduce_the_reference_numbers(model):
    """Accuracy, F1, confusion and top-3 of two real classifiers, to the six digits stored."""
    folder = shared_data("digits-categories")
    truth_file = json.loads((folder / "ground_truth.json").read_text())
    predictions = json.loads((folder / f"predictions_{model}.json").read_text())["items"]
    expected = json.loads((folder / "expected.json").read_text())["models"][model]
    labels = truth_file["labels"]
    by_image = {row["image"]: row for row in predictions}
    rows = [by_image[row["image"]] for row in truth_file["items"]]
    truth = codes(*(labels.index(row["label"]) for row in truth_file["items"]))
    scores = category_scores(truth, codes(*(labels.index(row["label"]) for row in rows)), classes=10)

    assert expected["accuracy"] == pytest.approx(scores.accuracy.value, abs=5e-7)
    assert expected["macro_f1"] == pytest.approx(scores.macro.f1.value, abs=5e-7)
    assert expected["weighted_f1"] == pytest.approx(scores.weighted.f1.value, abs=5e-7)
    assert expected["accuracy"] == pytest.approx(scores.micro.f1.value, abs=5e-7)
    assert expected["confusion_matrix_rows_truth"] == scores.confusion[:, :10].tolist()
    for row in scores.per_class:
        reference = expected["per_class"][str(row.label)]
        assert reference["precision"] == pytest.approx(row.precision.value, abs=5e-7)
        assert reference["recall"] == pytest.approx(row.recall.value, abs=5e-7)
        assert (reference["support"], pytest.approx(reference["f1"], abs=5e-7)) == (row.support, row.f1.value)
    # The stored probabilities are rounded to six digits, which can exchange equal ones at the third place; what they
    # round to 0 scikit-learn has seen as more.
    probabilities = np.array([[row["probabilities"][name] for name in labels] for row in rows])
    top3 = top_k_accuracy(truth, np.maximum(probabilities, 1e-9), k=3)
    assert expected["top3_accuracy"] == pytest.approx(top3.value, abs=1 / 300 + 1e-6)


def test_top_k_never_counts_what_has_no_probability():
    """Equal probabilities go by code, a probability of 0 is no place among the first, and an absent truth is left out."""
    probabilities = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    truth = codes(1, 1, 0, MISSING)

    found = {k: top_k_accuracy(truth, probabilities, k=k).value for k in (1, 2, 3, 9)}

    assert found == {1: 0.0, 2: 1 / 3, 3: 1 / 3, 9: 1 / 3}


def test_without_any_judged_item_every_number_says_why():
    """No ground truth: no accuracy, no average, no class."""
    scores = category_scores(codes(MISSING, MISSING), codes(0, MISSING), classes=2)

    reason = undefined("no item has a ground-truth category in this taxonomy")
    assert reason == scores.accuracy == scores.macro.f1 == scores.weighted.precision == scores.micro.recall
    assert scores.per_class == ()
    assert scores.excluded_without_truth == 1


def test_without_any_prediction_recall_is_zero_and_precision_undefined():
    """Every item was missed; a precision over nothing is not 0."""
    scores = category_scores(codes(0, 1), codes(MISSING, MISSING), classes=2)

    assert Metric(0.0) == scores.micro.recall == scores.accuracy
    assert not scores.micro.precision.defined


def test_codes_outside_their_range_are_refused():
    """A code nobody named would be counted in the wrong cell."""
    with pytest.raises(ValueError, match="ground truth"):
        category_scores(codes(3), codes(0), classes=3)
    with pytest.raises(ValueError, match="prediction"):
        category_scores(codes(0), codes(-2), classes=3)
    with pytest.raises(ValueError, match="one code per item"):
        category_scores(codes(0, 1), codes(0), classes=3)
