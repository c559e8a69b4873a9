"""A match of the engine as columns of a measurement, and its curve as outcomes of operating points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.readers.ranked import rank_match
from airflow_provider_nucleus.gating.curve_outcomes import curve_outcomes
from airflow_provider_nucleus.gating.measurement import MatchColumns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.evaluation.arrays import FloatArray
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches
    from airflow_provider_nucleus.gating.operating_point import Outcomes

__all__ = ["MatchedNames", "exact_outcomes", "matched_columns"]


@dataclass(frozen=True, slots=True)
class MatchedNames:
    """Names of what the engine has numbers for: items and labels by code, objects by row."""

    items: Sequence[str]
    labels: Sequence[str]
    truth: Sequence[str]
    predictions: Sequence[str]


def matched_columns(matches: Matches, names: MatchedNames) -> MatchColumns:
    """Return the counted rows of a match: predictions, each with its partner if any, then ground truth that has none.

    A partner of another label, which is displayed beside a prediction and is no true positive, is a pair that does not agree.
    """
    truths, predictions = matches.ground_truth, matches.predictions
    rows = np.flatnonzero(predictions.counted)
    partner = np.where(matches.match[rows] != NONE, matches.match[rows], matches.displayed[rows])
    overlap = np.where(matches.match[rows] != NONE, matches.overlap[rows], matches.displayed_overlap[rows])
    alone = np.flatnonzero(
        truths.counted & (matches.found_by == NONE) & (matches.displayed_with == NONE)
    ).tolist()
    none: list[None] = [None] * len(alone)
    return MatchColumns(
        items=list(names.items),
        labels=list(names.labels),
        item=[*predictions.image[rows].tolist(), *truths.image[alone].tolist()],
        truth=[
            *(None if row == NONE else int(truths.label[row]) for row in partner.tolist()),
            *truths.label[alone].tolist(),
        ],
        predicted=[*predictions.label[rows].tolist(), *none],
        iou=[*overlap.tolist(), *[0.0] * len(alone)],
        confidence=[*_or_none(predictions.confidence[rows]), *none],
        truth_id=[
            *(None if row == NONE else names.truth[row] for row in partner.tolist()),
            *(names.truth[row] for row in alone),
        ],
        prediction_id=[*(names.predictions[row] for row in rows.tolist()), *none],
        agrees=[*(matches.correct[rows] & (matches.match[rows] != NONE)).tolist(), *[False] * len(alone)],
    )


def exact_outcomes(matches: Matches, labels: Sequence[str], *, iou_threshold: float) -> Outcomes:
    """Return what each prediction adds when they come in by confidence, matched anew at each cut."""
    ranked = rank_match(matches, labels=len(labels), thresholds=(iou_threshold,))
    return curve_outcomes(ranked.rows(), labels, unscored=ranked.unscored.label.tolist())


def _or_none(values: FloatArray) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
