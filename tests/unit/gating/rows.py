"""Rows of a match for tests: written by hand, drawn at random, and the measurement that is counted from them."""

from __future__ import annotations

from collections import defaultdict

from airflow_provider_nucleus.gating.measurement import Coverage, MatchColumns, Measurement, Numbers
from airflow_provider_nucleus.rates import (
    f1_terms,
    mean_overlap_terms,
    precision_terms,
    quotient,
    recall_terms,
)
from tests.unit.gating.measurements import FINGERPRINT

THRESHOLD = 0.5


def match_columns(rows, *, items, labels, groups=None):
    """Return columns of `(item, truth label | None, predicted label | None, iou, agrees)`; ids are made up from the places."""
    place = {name: number for number, name in enumerate(items)}
    code = {name: number for number, name in enumerate(labels)}
    truths: dict = defaultdict(int)
    truth_ids = []
    for item, truth, *_ in rows:
        truths[item, truth] += truth is not None
        truth_ids.append(None if truth is None else f"{item}/{truth}/{truths[item, truth]}")
    return MatchColumns(
        items=list(items),
        labels=list(labels),
        item=[place[row[0]] for row in rows],
        truth=[None if row[1] is None else code[row[1]] for row in rows],
        predicted=[None if row[2] is None else code[row[2]] for row in rows],
        iou=[row[3] for row in rows],
        confidence=[None if row[2] is None else 0.5 for row in rows],
        truth_id=truth_ids,
        prediction_id=[None if row[2] is None else f"p{number}" for number, row in enumerate(rows)],
        agrees=[row[4] for row in rows],
        groups=groups or {},
    )


def measured(columns, *, fingerprint=FINGERPRINT, **members):
    """Return the measurement of columns: numbers overall, per label and per slice, counted one row after another."""
    whole, labels, slices = _Counts(), defaultdict(_Counts), defaultdict(lambda: defaultdict(_Counts))
    values = defaultdict(list)
    for key, of_key in columns.groups.items():
        for value, places in of_key.items():
            for place in places:
                values[place].append((key, value))
    for item, truth, predicted, iou, agrees in zip(
        columns.item, columns.truth, columns.predicted, columns.iou, columns.agrees, strict=True
    ):
        hit = truth is not None and predicted is not None and agrees and iou >= THRESHOLD
        named = [whole] + [slices[key][value] for key, value in values[item]]
        for counts in named:
            counts.add(hit=hit, truth=truth is not None, predicted=predicted is not None, iou=iou)
        if hit:
            labels[columns.labels[truth]].add(hit=True, truth=True, predicted=True, iou=iou)
            continue
        if truth is not None:
            labels[columns.labels[truth]].add(hit=False, truth=True, predicted=False, iou=0)
        if predicted is not None:
            labels[columns.labels[predicted]].add(hit=False, truth=False, predicted=True, iou=0)
    items = len(columns.items)
    return Measurement(
        fingerprint=fingerprint,
        coverage=Coverage(
            items=items,
            with_ground_truth=items,
            without_ground_truth=0,
            ground_truth=whole.truths,
            predictions=whole.predictions,
        ),
        iou_threshold=THRESHOLD,
        overall=whole.numbers(),
        per_label={name: counts.numbers() for name, counts in labels.items()},
        slices={
            key: {value: counts.numbers() for value, counts in found.items()} for key, found in slices.items()
        },
        matches=columns,
        **members,
    )


class _Counts:
    def __init__(self):
        self.hits = self.predictions = self.truths = 0
        self.overlaps = 0.0

    def add(self, *, hit, truth, predicted, iou):
        self.hits += hit
        self.truths += truth
        self.predictions += predicted
        self.overlaps += iou if hit else 0.0

    def numbers(self):
        rates = {
            "precision": quotient(*precision_terms(self.hits, self.predictions)),
            "recall": quotient(*recall_terms(self.hits, self.truths)),
            "f1": quotient(*f1_terms(self.hits, self.predictions, self.truths)),
            "mean_iou": quotient(*mean_overlap_terms(self.overlaps, self.hits)),
        }
        return Numbers(
            values=rates
            | {"tp": self.hits, "fp": self.predictions - self.hits, "fn": self.truths - self.hits},
            undefined={name: "nothing to divide by" for name, value in rates.items() if value is None},
            ground_truth=self.truths,
            predictions=self.predictions,
        )
