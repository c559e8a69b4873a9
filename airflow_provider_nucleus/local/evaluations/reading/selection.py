"""The selection that filters make of a result: masks over predictions and ground truth, and those for AP."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.matching.counts import true_positives
from airflow_provider_nucleus.evaluation.readers.attribution import ErrorKind, attribute_match
from airflow_provider_nucleus.local.evaluations.reading.item_filters import chosen_items, chosen_predictions
from airflow_provider_nucleus.local.evaluations.reading.match_view import MatchView

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IntArray
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.requests.filters import Filters, Range
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ApMasks", "Selection", "background_at", "inside", "select"]

_BACKGROUND_OVERLAP: Final = 0.1


def background_at(threshold: float) -> float:
    """Return TIDE's background threshold, brought below the foreground threshold where that is smaller."""
    return min(_BACKGROUND_OVERLAP, threshold / 2)


@dataclass(frozen=True, slots=True, eq=False)
class ApMasks:
    """The objects AP is about. None means all of them.

    `again` says that COCO's matching has to be done once more, because predictions that may have been in the way of
    others are gone; otherwise the stored one is exact. `area` is the range of areas to stay in.
    """

    predictions: BoolArray | None
    ground_truth: BoolArray | None
    again: bool
    area: Range | None

    @property
    def everything(self) -> bool:
        """True if nothing is left out."""
        return self.predictions is None and self.ground_truth is None and not self.again


@dataclass(frozen=True, eq=False)
class Selection:
    """Chosen predictions and ground truth (None: all), for counts at the threshold.

    `view` is the match of the predictions that are left and of no others; `matched` marks those (None: all). What is
    chosen beyond that are rows of this match. `ap` is None when the filters choose rows by what they were matched to,
    after which AP has no meaning.
    """

    threshold: float
    view: MatchView
    matched: BoolArray | None
    predictions: BoolArray | None
    ground_truth: BoolArray | None
    ap: ApMasks | None

    @cached_property
    def hits(self) -> BoolArray:
        """Per prediction, whether it is a true positive at the threshold."""
        return true_positives(self.view.matches, self.threshold)

    @property
    def background(self) -> float:
        """TIDE's background threshold at this threshold."""
        return background_at(self.threshold)


def select(
    cursor: Cursor | None, result: EvaluationResult, filters: Filters, *, threshold: float
) -> Selection:
    """Apply filters to a result read at an overlap threshold in (0, 1].

    `cursor` is only needed for filters that look at stored items or predictions.
    """
    predictions, truth = _LazyMask(), _LazyMask()
    if filters.of_items:
        assert cursor is not None
        items = chosen_items(cursor, result, filters)
        predictions.keep(items[result.predictions.image])
        truth.keep(items[result.truth.image])
    view, matched = result.view, _matched(cursor, result, filters)
    if matched is not None:
        predictions.keep(matched)
        view = _view(result, matched)
    ap_predictions, ap_truth = predictions.copy(), truth.copy()
    _labels(result, view, filters, predictions, truth, ap_predictions, ap_truth)
    if filters.gt_area is not None:
        _area(result, view, filters.gt_area, predictions, truth)
    if filters.of_matches:
        _rows(view, filters, threshold, predictions, truth)
    again = bool(filters.prediction_metadata) or filters.gt_area is not None
    again |= filters.confidence is not None and filters.confidence.high is not None
    ap = None if filters.of_matches else ApMasks(ap_predictions.value, ap_truth.value, again, filters.gt_area)
    return Selection(threshold, view, matched, predictions.value, truth.value, ap)


def _view(result: EvaluationResult, matched: BoolArray) -> MatchView:
    return MatchView(lambda: result.match_only(matched))


def _matched(cursor: Cursor | None, result: EvaluationResult, filters: Filters) -> BoolArray | None:
    """Mark the predictions that are left to be matched; None if none is gone.

    Filters of items take none away from the others: matching never crosses items.
    """
    left = _LazyMask()
    if filters.prediction_metadata:
        assert cursor is not None
        left.keep(chosen_predictions(cursor, result, filters))
    if filters.confidence is not None:
        left.keep(inside(result.predictions.confidence, filters.confidence))
    return None if left.value is None or left.value.all() else left.value


class _LazyMask:
    """A mask that is only made when something is left out."""

    def __init__(self, value: BoolArray | None = None) -> None:
        self.value = value

    def keep(self, wanted: BoolArray) -> None:
        self.value = wanted if self.value is None else self.value & wanted

    def copy(self) -> _LazyMask:
        return _LazyMask(self.value)


def inside(values: FloatArray, limits: Range) -> BoolArray:
    """Mark finite values in a closed range."""
    low = -np.inf if limits.low is None else limits.low
    high = np.finfo(np.float64).max if limits.high is None else limits.high
    return (values >= low) & (values <= high)


def _codes(result: EvaluationResult, labels: frozenset[str]) -> BoolArray:
    """Return per label code whether it is one of the labels, with one entry more for "no label"."""
    table = np.zeros(len(result.labels) + 1, dtype=np.bool_)
    table[[result.labels.codes[label] for label in labels if label in result.labels.codes]] = True
    return table


def _labels(
    result: EvaluationResult,
    view: MatchView,
    filters: Filters,
    predictions: _LazyMask,
    truth: _LazyMask,
    ap_predictions: _LazyMask,
    ap_truth: _LazyMask,
) -> None:
    on_predictions, on_truth = filters.pred_labels, filters.gt_labels
    if on_predictions is None and on_truth is None:
        return
    of_prediction = _codes(result, on_predictions or on_truth or frozenset())[result.predictions.label]
    of_truth = _codes(result, on_truth or on_predictions or frozenset())[result.truth.label]
    _ap_labels(result, on_predictions, on_truth, ap_predictions, ap_truth)
    truth.keep(of_truth)
    by_partner = _of_partner(view.partner, of_truth)
    if on_predictions is None:
        # What was taken for ground truth of these labels belongs to the picture.
        of_prediction = of_prediction | by_partner
    elif on_truth is not None:
        # Both sides chosen: the part of the confusion matrix where both are chosen.
        own = _codes(result, on_truth)[result.predictions.label]
        of_prediction = of_prediction & np.where(view.partner != NONE, by_partner, own)
    predictions.keep(of_prediction)


def _ap_labels(
    result: EvaluationResult,
    on_predictions: frozenset[str] | None,
    on_truth: frozenset[str] | None,
    predictions: _LazyMask,
    truth: _LazyMask,
) -> None:
    """Choose by labels what AP is about; a side without labels of its own has the ones the other is ranked with."""
    ranked_under = result.ranked_under if result.taxonomy.pairs else result.predictions.label
    if on_predictions is None:
        wanted = _codes(result, on_truth or frozenset())
        predictions.keep(wanted[ranked_under])
    else:
        chosen = _codes(result, on_predictions)[result.predictions.label]
        predictions.keep(chosen)
        wanted = _codes(result, on_truth or on_predictions)
        if on_truth is None and result.taxonomy.pairs:
            wanted[ranked_under[chosen]] = True
    truth.keep(wanted[result.truth.label])


def _of_partner(partner: IntArray, of_truth: BoolArray) -> BoolArray:
    return np.append(of_truth, [False])[partner]


def _area(
    result: EvaluationResult, view: MatchView, limits: Range, predictions: _LazyMask, truth: _LazyMask
) -> None:
    of_truth = inside(result.truth.area, limits)
    truth.keep(of_truth)
    own = inside(result.predictions.area, limits)
    predictions.keep(np.where(view.partner != NONE, _of_partner(view.partner, of_truth), own))


def _rows(
    view: MatchView,
    filters: Filters,
    threshold: float,
    predictions: _LazyMask,
    truth: _LazyMask,
) -> None:
    """Choose rows of the match; ground truth that is only in a missed row satisfies none that looks at an overlap."""
    hits = true_positives(view.matches, threshold)
    paired = view.partner != NONE
    if filters.iou is not None:
        chosen = paired & inside(view.partner_overlap, filters.iou)
        predictions.keep(chosen)
        truth.keep(_found_by(view, hits & chosen))
    if filters.label_equality is not None:
        chosen = paired & (view.same_label == (filters.label_equality == "EQ"))
        predictions.keep(chosen)
        truth.keep(_found_by(view, hits & chosen))
    if filters.has_ground_truth is not None:
        predictions.keep(paired if filters.has_ground_truth else ~paired)
        if not filters.has_ground_truth:
            truth.keep(np.zeros(len(view.matches.ground_truth), dtype=np.bool_))
    if filters.tide_background is not None:
        found = attribute_match(view.matches, foreground=threshold, background=background_at(threshold))
        background = found.kind == ErrorKind.BACKGROUND
        predictions.keep(background if filters.tide_background else ~background)
        if filters.tide_background:
            truth.keep(np.zeros(len(view.matches.ground_truth), dtype=np.bool_))


def _found_by(view: MatchView, predictions: BoolArray) -> BoolArray:
    """Mark the ground truths that chosen predictions found."""
    found = np.zeros(len(view.matches.ground_truth), dtype=np.bool_)
    found[view.matches.match[predictions]] = True
    return found
