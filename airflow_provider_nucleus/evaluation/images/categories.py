"""Category predictions: exact match per item inside one taxonomy.

Two shapes of label: one category per item (`category_scores`) and a set of categories per item
(`multicategory_scores`). Labels and items are codes, 0 up to the number of them; call once per taxonomy.

An item without ground truth in the taxonomy cannot be judged: it is left out and counted. An item with ground truth
and no prediction is a miss (a false negative of its class, no false positive). Averages follow scikit-learn with
`zero_division=0`: macro over the classes that occur on either side, weighted by ground-truth support. A single
class's precision without any prediction of it stays undefined, although it enters the averages as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.metric import Metric, ratio, undefined, zero_when_undefined
from airflow_provider_nucleus.rates import f1_terms, precision_terms, recall_terms
from airflow_provider_nucleus.undefined_reasons import (
    ABSENT_FROM_BOTH_SIDES,
    ABSENT_FROM_GROUND_TRUTH,
    ABSENT_FROM_PREDICTIONS,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray

__all__ = [
    "MISSING",
    "AveragedScores",
    "CategoryScores",
    "ClassScores",
    "LabelScores",
    "MulticategoryScores",
    "category_scores",
    "multicategory_scores",
    "top_k_accuracy",
]

MISSING = -1
"""The code of an item that has no label on that side."""

_NO_TRUTH = "no item has a ground-truth category in this taxonomy"
_NO_PREDICTION = "no prediction in this taxonomy"


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class: ground-truth items (support), predicted items, hits, and the three scores."""

    label: int
    support: int
    predicted: int
    true_positives: int
    precision: Metric
    recall: Metric
    f1: Metric


@dataclass(frozen=True, slots=True)
class AveragedScores:
    """Precision, recall and F1 under one way of averaging."""

    precision: Metric
    recall: Metric
    f1: Metric


@dataclass(frozen=True, slots=True)
class LabelScores:
    """The scores that single and multiple categories share."""

    items: int
    """Items judged: those with ground truth."""
    excluded_without_truth: int
    """Items with a prediction only, left out of every number."""
    missing_predictions: int
    """Judged items without a prediction: counted as misses."""
    accuracy: Metric
    """Share of judged items whose label, or whole set of labels, is exactly right."""
    micro: AveragedScores
    macro: AveragedScores
    weighted: AveragedScores
    per_class: tuple[ClassScores, ...]
    """Classes that occur on either side, by code."""


@dataclass(frozen=True, slots=True)
class CategoryScores(LabelScores):
    """Scores of one category per item."""

    confusion: IndexArray
    """Items by [truth, prediction]; the last column counts items without a prediction."""


@dataclass(frozen=True, slots=True)
class MulticategoryScores(LabelScores):
    """Scores of a set of categories per item."""

    samples: AveragedScores
    """Mean over items of the scores of the item's own sets; two empty sets agree (1)."""
    jaccard: Metric
    """Mean over items of shared labels / all labels of the item; two empty sets agree (1)."""
    hamming_loss: Metric
    """Share of wrong (item, class) decisions."""


def category_scores(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], *, classes: int
) -> CategoryScores:
    """Compare one label per item; *truth* and *predicted* are codes below *classes*, or `MISSING`.

    Raises ValueError when the sides differ in length or hold a code outside the range.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape or truth.ndim != 1:
        raise ValueError(
            f"truth and prediction need one code per item each, got shapes {truth.shape} and {predicted.shape}"
        )
    _check_codes(truth, classes, side="ground truth", lowest=MISSING)
    _check_codes(predicted, classes, side="prediction", lowest=MISSING)

    evaluated = truth != MISSING
    rows = truth[evaluated].astype(np.int64)
    columns = predicted[evaluated].astype(np.int64)
    columns[columns == MISSING] = classes
    confusion = np.bincount(rows * (classes + 1) + columns, minlength=classes * (classes + 1))
    confusion = confusion.reshape(classes, classes + 1).astype(np.int64)

    hits = np.diagonal(confusion).astype(np.int64)
    support = confusion.sum(axis=1)
    named = confusion[:, :classes].sum(axis=0)
    items = len(rows)
    return CategoryScores(
        items=items,
        excluded_without_truth=int(np.count_nonzero(~evaluated & (predicted != MISSING))),
        missing_predictions=int(confusion[:, classes].sum()),
        accuracy=ratio(int(hits.sum()), items, reason=_NO_TRUTH),
        micro=_micro(hits, named, support),
        macro=_macro(hits, named, support),
        weighted=_weighted(hits, named, support),
        per_class=_per_class(hits, named, support),
        confusion=confusion,
    )


def multicategory_scores(
    truth_items: NDArray[np.integer],
    truth_labels: NDArray[np.integer],
    *,
    predicted_items: NDArray[np.integer],
    predicted_labels: NDArray[np.integer],
    classes: int,
    evaluated: BoolArray | None = None,
    items: int | None = None,
) -> MulticategoryScores:
    """Compare a set of labels per item, given as parallel (item, label) columns; repeated pairs count once.

    *evaluated* marks, per item ordinal, the items that have ground truth, so that an empty set can be one; by default
    the items that occur in *truth_items*. *items* is the number of items when *evaluated* is not given.
    Raises ValueError on codes outside their range.
    """
    _check_codes(truth_labels, classes, side="ground truth", lowest=0)
    _check_codes(predicted_labels, classes, side="prediction", lowest=0)
    if evaluated is None:
        highest = max((int(side.max()) for side in (truth_items, predicted_items) if len(side)), default=-1)
        evaluated = np.zeros(highest + 1 if items is None else items, dtype=np.bool_)
        evaluated[truth_items] = True
    total = len(evaluated)
    for side, ordinals in (("ground truth", truth_items), ("prediction", predicted_items)):
        if len(ordinals) and not (int(ordinals.min()) >= 0 and int(ordinals.max()) < total):
            raise ValueError(f"{side}: an item ordinal lies outside 0..{total - 1}")

    truth_keys = np.unique(np.asarray(truth_items, dtype=np.int64) * classes + truth_labels)
    predicted_keys = np.unique(np.asarray(predicted_items, dtype=np.int64) * classes + predicted_labels)
    excluded_items = np.unique(predicted_keys[~evaluated[predicted_keys // classes]] // classes)
    truth_keys = truth_keys[evaluated[truth_keys // classes]]
    predicted_keys = predicted_keys[evaluated[predicted_keys // classes]]
    shared_keys = np.intersect1d(truth_keys, predicted_keys, assume_unique=True)

    hits, named, support = (
        np.bincount(keys % classes, minlength=classes).astype(np.int64)
        for keys in (shared_keys, predicted_keys, truth_keys)
    )
    item_hits, item_named, item_support = (
        np.bincount(keys // classes, minlength=total).astype(np.int64)[evaluated]
        for keys in (shared_keys, predicted_keys, truth_keys)
    )
    count = int(np.count_nonzero(evaluated))
    wrong = len(truth_keys) + len(predicted_keys) - 2 * len(shared_keys)
    exact = (item_hits == item_support) & (item_hits == item_named)
    return MulticategoryScores(
        items=count,
        excluded_without_truth=len(excluded_items),
        missing_predictions=int(np.count_nonzero((item_named == 0) & (item_support > 0))),
        accuracy=ratio(int(np.count_nonzero(exact)), count, reason=_NO_TRUTH),
        micro=_micro(hits, named, support),
        macro=_macro(hits, named, support),
        weighted=_weighted(hits, named, support),
        per_class=_per_class(hits, named, support),
        samples=AveragedScores(
            _item_mean(*precision_terms(item_hits, item_named), exact),
            _item_mean(*recall_terms(item_hits, item_support), exact),
            _item_mean(*f1_terms(item_hits, item_named, item_support), exact),
        ),
        jaccard=_item_mean(item_hits, item_named + item_support - item_hits, exact),
        hamming_loss=ratio(wrong, count * classes, reason=_NO_TRUTH),
    )


def top_k_accuracy(truth: NDArray[np.integer], probabilities: FloatArray, *, k: int) -> Metric:
    """Return the share of items whose true class is among the *k* most probable.

    Of equally probable classes the lower code comes first. A class of probability 0 was not predicted and is never a hit,
    however few others there are. *probabilities* is [items, classes]; items whose truth is `MISSING` are left out.
    """
    evaluated = np.asarray(truth) != MISSING
    order = np.argsort(-probabilities[evaluated], axis=1, kind="stable")[:, :k]
    possible = np.take_along_axis(probabilities[evaluated], order, axis=1) > 0
    hits = (possible & (order == np.asarray(truth)[evaluated][:, None])).any(axis=1)
    return ratio(int(np.count_nonzero(hits)), len(hits), reason=_NO_TRUTH)


def _check_codes(codes: NDArray[np.integer], classes: int, *, side: str, lowest: int) -> None:
    if len(codes) and not (lowest <= int(codes.min()) and int(codes.max()) < classes):
        raise ValueError(f"{side}: a label code lies outside {lowest}..{classes - 1}")


def _micro(hits: IndexArray, named: IndexArray, support: IndexArray) -> AveragedScores:
    found, predicted, true = int(hits.sum()), int(named.sum()), int(support.sum())
    return AveragedScores(
        ratio(*precision_terms(found, predicted), reason=_NO_PREDICTION),
        ratio(*recall_terms(found, true), reason=_NO_TRUTH),
        ratio(*f1_terms(found, predicted, true), reason="no category on either side"),
    )


def _macro(hits: IndexArray, named: IndexArray, support: IndexArray) -> AveragedScores:
    return _average(hits, named, support, weights=((named + support) > 0).astype(np.int64))


def _weighted(hits: IndexArray, named: IndexArray, support: IndexArray) -> AveragedScores:
    return _average(hits, named, support, weights=support)


def _average(
    hits: IndexArray, named: IndexArray, support: IndexArray, *, weights: IndexArray
) -> AveragedScores:
    total = int(weights.sum())
    if total == 0 or not support.any():
        nothing = undefined(_NO_TRUTH)
        return AveragedScores(nothing, nothing, nothing)
    return AveragedScores(
        Metric(float(weights @ zero_when_undefined(*precision_terms(hits, named))) / total),
        Metric(float(weights @ zero_when_undefined(*recall_terms(hits, support))) / total),
        Metric(float(weights @ zero_when_undefined(*f1_terms(hits, named, support))) / total),
    )


def _per_class(hits: IndexArray, named: IndexArray, support: IndexArray) -> tuple[ClassScores, ...]:
    return tuple(
        ClassScores(
            label=label,
            support=int(support[label]),
            predicted=int(named[label]),
            true_positives=int(hits[label]),
            precision=ratio(
                *precision_terms(int(hits[label]), int(named[label])), reason=ABSENT_FROM_PREDICTIONS
            ),
            recall=ratio(
                *recall_terms(int(hits[label]), int(support[label])), reason=ABSENT_FROM_GROUND_TRUTH
            ),
            f1=ratio(
                *f1_terms(int(hits[label]), int(named[label]), int(support[label])),
                reason=ABSENT_FROM_BOTH_SIDES,
            ),
        )
        for label in np.flatnonzero(named + support).tolist()
    )


def _item_mean(numerator: IndexArray, denominator: IndexArray, exact: BoolArray) -> Metric:
    """Mean over items of the quotient; 0/0 is 1 where the sets agree (both empty), else 0."""
    values = zero_when_undefined(numerator, denominator)
    values[exact & (denominator == 0)] = 1.0
    return ratio(float(values.sum()), len(values), reason=_NO_TRUTH)
