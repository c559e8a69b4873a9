"""Counts per item of the rows of a match: everything, each label, each slice, as short tables of the items that have any.

The rows count as everywhere in this package: a pair is a true positive, of the ground truth's label, when its labels may match and its
overlap is at the threshold or above; any other pair is a false positive of the prediction's label and a false negative of the ground
truth's. Precision, recall, F1, mean overlap and the counts are quotients of sums of these columns, with any weight per item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_nucleus.rates import f1_terms, mean_overlap_terms, precision_terms, recall_terms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray
    from airflow_provider_nucleus.gating.measurement import Measurement

__all__ = ["COLUMNS", "COUNTS", "GroupCounts", "ItemCounts", "countable", "terms"]

COLUMNS: Final = 4
_HITS, _PREDICTIONS, _TRUTHS, _OVERLAPS = range(COLUMNS)
"""Columns: true positives, predictions, objects to be found, overlaps of the true positives summed up."""

_TERMS: Final[dict[str, Callable[[FloatArray], tuple[Any, Any]]]] = {
    "precision": lambda sums: precision_terms(sums[..., _HITS], sums[..., _PREDICTIONS]),
    "recall": lambda sums: recall_terms(sums[..., _HITS], sums[..., _TRUTHS]),
    "f1": lambda sums: f1_terms(sums[..., _HITS], sums[..., _PREDICTIONS], sums[..., _TRUTHS]),
    "mean_iou": lambda sums: mean_overlap_terms(sums[..., _OVERLAPS], sums[..., _HITS]),
    "tp": lambda sums: (sums[..., _HITS], np.ones_like(sums[..., _HITS])),
    "fp": lambda sums: (sums[..., _PREDICTIONS] - sums[..., _HITS], np.ones_like(sums[..., _HITS])),
    "fn": lambda sums: (sums[..., _TRUTHS] - sums[..., _HITS], np.ones_like(sums[..., _HITS])),
}

COUNTS: Final = frozenset({"tp", "fp", "fn"})
"""Numbers that are sums over items rather than quotients."""


def countable(metric: str) -> bool:
    """Return whether a number is a quotient of these counts."""
    return metric in _TERMS


def terms(metric: str, sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return numerator and denominator of a number for sums of shape [..., column]; a count's denominator is 1."""
    numerator, denominator = _TERMS[metric](sums)
    return numerator, denominator


@dataclass(frozen=True, slots=True, eq=False)
class GroupCounts:
    """Counts of one group (everything, a label, a slice): the places of its items in ascending order, and a row for each."""

    place: IndexArray
    table: FloatArray

    def at(self, places: IndexArray) -> FloatArray:
        """Return the rows of given places, zeros where the group has nothing."""
        result = np.zeros((places.size, COLUMNS))
        if self.place.size:
            where = np.minimum(np.searchsorted(self.place, places), self.place.size - 1)
            found = self.place[where] == places
            result[found] = self.table[where[found]]
        return result


class ItemCounts:
    """Counts of one measurement, with the items in a stated order."""

    def __init__(self, measurement: Measurement, *, items: Sequence[str] | None = None) -> None:
        rows = measurement.matches
        assert rows is not None
        self.items: list[str] = list(rows.items if items is None else items)
        self.labels: list[str] = rows.labels
        place = {name: number for number, name in enumerate(self.items)}
        order = np.array([place[name] for name in rows.items], dtype=np.int64)
        item = order[np.array(rows.item, dtype=np.int64)] if rows.item else np.zeros(0, dtype=np.int64)
        truth, predicted = _codes(rows.truth), _codes(rows.predicted)
        if min(rows.item, default=0) < 0 or max(truth.max(initial=-1), predicted.max(initial=-1)) >= len(
            rows.labels
        ):
            raise ValueError(
                f"places lie outside the {len(rows.items)} items or the {len(rows.labels)} labels"
            )
        overlap = np.array(rows.iou, dtype=np.float64)
        hit = (
            (truth >= 0)
            & (predicted >= 0)
            & np.array(rows.agrees, dtype=np.bool_)
            & (overlap >= (measurement.iou_threshold or 0.0))
        )
        size = len(self.items)
        self._overall = _group(
            [
                (item[hit], _HITS, None),
                (item[predicted >= 0], _PREDICTIONS, None),
                (item[truth >= 0], _TRUTHS, None),
            ],
            overlaps=(item[hit], overlap[hit]),
        ).at(np.arange(size))
        named = predicted >= 0
        # A true positive is a prediction of the ground truth's label.
        label = np.where(hit, truth, predicted)
        self._by_label = _group(
            [
                (truth[hit] * size + item[hit], _HITS, None),
                (label[named] * size + item[named], _PREDICTIONS, None),
                (truth[truth >= 0] * size + item[truth >= 0], _TRUTHS, None),
            ],
            overlaps=(truth[hit] * size + item[hit], overlap[hit]),
        )
        self._groups = {
            key: {value: order[np.array(places, dtype=np.int64)] for value, places in values.items()}
            for key, values in rows.groups.items()
        }

    def overall(self) -> GroupCounts:
        """Return the counts of everything."""
        return GroupCounts(np.arange(len(self.items)), self._overall)

    def of_label(self, label: str) -> GroupCounts | None:
        """Return the counts of one label; None for a label without any row."""
        if label not in self.labels:
            return None
        code, size = self.labels.index(label), len(self.items)
        begin, end = np.searchsorted(self._by_label.place, [code * size, (code + 1) * size])
        return GroupCounts(self._by_label.place[begin:end] - code * size, self._by_label.table[begin:end])

    def of_slice(self, key: str, value: str) -> GroupCounts | None:
        """Return the counts of the items with a value of metadata; None where the rows do not say which those are."""
        places = self._groups.get(key, {}).get(value)
        if places is None:
            return None
        places = np.unique(places)
        return GroupCounts(places, self._overall[places])


def _codes(values: Sequence[int | None]) -> IndexArray:
    return np.array([-1 if value is None else value for value in values], dtype=np.int64)


def _group(
    counted: Sequence[tuple[IndexArray, int, FloatArray | None]], *, overlaps: tuple[IndexArray, FloatArray]
) -> GroupCounts:
    """Add up what is counted by key: one row for each key that occurs, in ascending order."""
    keys = np.unique(np.concatenate([each for each, _, _ in counted]))
    table = np.zeros((keys.size, COLUMNS))
    for each, column, weights in [*counted, (overlaps[0], _OVERLAPS, overlaps[1])]:
        table[:, column] = np.bincount(np.searchsorted(keys, each), weights=weights, minlength=keys.size)
    return GroupCounts(keys, table)
