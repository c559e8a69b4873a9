"""Arithmetic of true positives, predictions and ground truth, of single counts and of arrays of them alike.

| rate | numerator | denominator |
| --- | --- | --- |
| precision | true positives | predictions (true and false positives) |
| recall | true positives | ground truth (true positives and false negatives) |
| F1 | 2 x true positives | predictions + ground truth |
| mean overlap | sum of the overlaps of the true positives | true positives |

Each rate is given as its two terms, since a rate over nothing is undefined: `quotient` makes None of it, the engine's `ratio` the
reason and its `zero_when_undefined` a 0 in columns. The words for the reasons are in `undefined_reasons`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["f1_terms", "harmonic_mean", "mean_overlap_terms", "precision_terms", "quotient", "recall_terms"]

Quantity = TypeVar("Quantity", int, float, "NDArray[Any]")
Sums = TypeVar("Sums")
Totals = TypeVar("Totals")


def precision_terms(true_positives: Quantity, predictions: Quantity) -> tuple[Quantity, Quantity]:
    """Return numerator and denominator of precision, the share of the predictions that are correct."""
    return true_positives, predictions


def recall_terms(true_positives: Quantity, ground_truth: Quantity) -> tuple[Quantity, Quantity]:
    """Return numerator and denominator of recall, the share of the ground truth that was found."""
    return true_positives, ground_truth


def f1_terms(
    true_positives: Quantity, predictions: Quantity, ground_truth: Quantity | int
) -> tuple[Quantity, Quantity]:
    """Return numerator and denominator of F1, the harmonic mean of precision and recall."""
    return 2 * true_positives, predictions + ground_truth


def mean_overlap_terms(overlap_sum: Sums, true_positives: Totals) -> tuple[Sums, Totals]:
    """Return numerator and denominator of the mean overlap of the true positives."""
    return overlap_sum, true_positives


def quotient(numerator: float, denominator: float) -> float | None:
    """Return numerator / denominator, None where the denominator is 0."""
    return numerator / denominator if denominator else None


def harmonic_mean(precision: float | None, recall: float | None) -> float | None:
    """Return F1 where precision and recall count different true positives; 0 if both are 0, None if either is undefined."""
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
