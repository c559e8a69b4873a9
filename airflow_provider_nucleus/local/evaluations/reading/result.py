"""Stored results as columns and matches of the engine over mapped files, and a cache of the last ones."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.matching.candidates import (
    Candidates,
    StoredPairs,
    match_only,
)
from airflow_provider_nucleus.evaluation.matching.coco import CocoOptions
from airflow_provider_nucleus.evaluation.matching.coco_order import CocoOrder, pair_groups
from airflow_provider_nucleus.evaluation.matching.gains import CurvePairs, curve_pairs, gains
from airflow_provider_nucleus.evaluation.matching.nucleus import Matches
from airflow_provider_nucleus.evaluation.matching.pairs import Edges
from airflow_provider_nucleus.evaluation.overlap.masks import Segments
from airflow_provider_nucleus.evaluation.readers.ranked import (
    RankedCoco,
    RankedMatch,
    Unscored,
    by_gained_label,
    unscored_columns,
    unscored_of,
)
from airflow_provider_nucleus.evaluation.sides.areas import LARGE, MEDIUM, SMALL, AreaRange
from airflow_provider_nucleus.evaluation.sides.columns import Columns
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy, Vocabulary
from airflow_provider_nucleus.evaluation_options import parse_options
from airflow_provider_nucleus.local.evaluations.computing.ap_classes import evaluated_families
from airflow_provider_nucleus.local.evaluations.computing.result_builder import by_confidence
from airflow_provider_nucleus.local.evaluations.reading.match_view import MatchView
from airflow_provider_nucleus.local.requests.label_taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray, IntArray
    from airflow_provider_nucleus.local.evaluations.computing.result_files import ResultFiles
    from airflow_provider_nucleus.local.store.catalog.evaluations import EvaluationRecord

__all__ = ["ANY_AREA", "COCO_OPTIONS", "EvaluationResult", "ResultCache", "load"]

T = TypeVar("T")

ANY_AREA: Final = AreaRange("all", 0.0, float("inf"))
"""All sizes, objects without an area in square pixels included: those are stored with an infinite one."""

_FLOORS: Final = (0.5, 0.25, 0.1, 0.0)
"""Overlaps from which pairs are made ready for curves at any threshold above: the lower, the more are in each other's way."""

COCO_OPTIONS: Final = CocoOptions(areas=(ANY_AREA, SMALL, MEDIUM, LARGE))
"""Options for reading the stored COCO outcome."""


class EvaluationResult:
    """A result with everything readers of the engine need. Safe to share between threads: what is in it never changes."""

    def __init__(self, evaluation_id: str, arrays: dict[str, NDArray[Any]], about: dict[str, Any]) -> None:
        self._once: dict[str, Any] = {}
        self.id = evaluation_id
        self.arrays = arrays
        self.about = about
        self.items: IndexArray = arrays["items"]
        self.raw = Vocabulary(tuple(about["labels"]["raw"]))
        self.labels = Vocabulary(tuple(about["labels"]["canonical"]))
        self.taxonomy = Taxonomy.from_wire(about["taxonomy"])
        self.options = parse_options(about["options"])
        self.truth = self._columns("truth")
        self.predictions = self._columns("prediction")
        matches = self.matches = self._matches()
        self.pairs = StoredPairs(self._candidates("candidate"), self._candidates("displayed_candidate"))
        self.view = MatchView(lambda: matches)
        """The match of everything."""
        self.ap_truth = self._in_ap(self.truth, "truth")
        """Ground truth of AP: by class (see `computing.ap_classes`), ignored where it has no place in AP."""
        self.ap_predictions = self._in_ap(self.predictions, "prediction")
        self.coco = self._coco()
        """COCO's matching by size range; one that counts everything under `all`."""

    def _columns(self, side: str) -> Columns:
        arrays, count = self.arrays, self.arrays[f"{side}_image"].size
        nothing = np.broadcast_to(np.False_, count)
        return Columns(
            image=arrays[f"{side}_image"],
            label=arrays[f"{side}_label"],
            geometry=Segments(arrays[f"{side}_area"]),
            confidence=arrays.get(f"{side}_confidence", np.broadcast_to(np.nan, count)),
            ordinal=arrays[f"{side}_ordinal"],
            crowd=arrays.get(f"{side}_crowd", nothing),
            ignore=arrays.get(f"{side}_ignore", nothing),
            area=arrays[f"{side}_area"],
        )

    def _in_ap(self, side: Columns, name: str) -> Columns:
        classes: IntArray = self.arrays[f"{name}_class"]
        absent = classes == NONE
        return replace(side, label=classes, ignore=side.ignore | absent if absent.any() else side.ignore)

    def _matches(self) -> Matches:
        names = (
            "match", "overlap", "correct", "displayed", "displayed_overlap", "best_correct", "best_correct_overlap", "best_incorrect",
            "best_incorrect_overlap", "found_by", "displayed_with",
        )  # fmt: skip
        stored: dict[str, Any] = {name: self.arrays[name] for name in names}
        rule = LabelMatchPolicy.from_names(self.taxonomy.pairs, self.labels)
        return Matches(ground_truth=self.truth, predictions=self.predictions, rule=rule, **stored)

    def _candidates(self, name: str) -> Candidates:
        arrays = self.arrays
        return Candidates(arrays[f"{name}_count"], arrays[f"{name}_prediction"], arrays[f"{name}_overlap"])

    def _coco(self) -> dict[str, RankedCoco]:
        arrays = self.arrays
        unscored = unscored_columns(self.ap_predictions)
        return {
            area.name: RankedCoco(
                ground_truth=self.ap_truth,
                prediction_image=self.predictions.image,
                row=arrays[f"coco_{area.name}_row"],
                label=arrays[f"coco_{area.name}_label"],
                confidence=arrays[f"coco_{area.name}_confidence"],
                hit=arrays[f"coco_{area.name}_hit"][:, None],
                ignored=arrays[f"coco_{area.name}_ignored"][:, None],
                options=CocoOptions(areas=(area,)),
                labels=arrays["class_label"].size,
                unscored=unscored,
            )
            for area in COCO_OPTIONS.areas
        }

    @property
    def no_ap(self) -> str | None:
        """The reason why this evaluation has no matching by confidence; None if it has one."""
        reason: str | None = self.about["no_ap"]
        return reason

    @cached_property
    def ranked_under(self) -> IntArray:
        """Per prediction, the label under which AP ranks it; its own where it has no place in AP."""
        classes = self.arrays["prediction_class"]
        labels = np.append(self.arrays["class_label"], np.int32(NONE))[classes]
        return np.where(classes == NONE, self.predictions.label, labels)

    @property
    def ap_families(self) -> list[int]:
        """The codes of the families that AP is about."""
        return sorted(set(self.arrays["class_family"].tolist()))

    def coco_over(self, families: Collection[int]) -> RankedCoco:
        """Return the matching with the ground truth of more families, which the model does not predict, to be found too."""
        found, more = self.coco["all"], sorted(set(families).difference(self.ap_families))
        rows = np.flatnonzero(np.isin(self.arrays["truth_family"], more))
        if not rows.size:
            return found
        kinds = self.arrays["truth_family"][rows].astype(np.int64) * len(self.labels) + self.truth.label[rows]
        unique, code = np.unique(kinds, return_inverse=True)
        label, ignore = found.ground_truth.label.copy(), found.ground_truth.ignore.copy()
        label[rows] = found.labels + code
        ignore[rows] = self.truth.ignore[rows]
        truth = replace(found.ground_truth, label=label, ignore=ignore)
        return replace(found, ground_truth=truth, labels=found.labels + unique.size)

    def once(self, name: str, compute: Callable[[], T]) -> T:
        """Return what depends on nothing but the result: computed when first needed, then kept."""
        if name not in self._once:
            # Two threads may compute it both; the same numbers come of it.
            self._once[name] = compute()
        found: T = self._once[name]
        return found

    @cached_property
    def coco_order(self) -> CocoOrder:
        """The pairs of COCO's matching in its order, and which of them are matched."""
        arrays = self.arrays
        edges = Edges(arrays["edge_truth"], arrays["edge_prediction"], arrays["edge_overlap"])
        groups = pair_groups(edges, self.ap_predictions)
        return CocoOrder(edges, groups, arrays["edge_taken"], COCO_OPTIONS.thresholds)

    def match_only(self, predictions: BoolArray) -> Matches:
        """Return the match of the predictions marked, as if the others did not exist."""
        return match_only(self.matches, self.pairs, predictions)

    def matches_above(self, minimum_confidence: float | None) -> Matches:
        """Return the match of the predictions of a confidence or more; of all for None."""
        if minimum_confidence is None:
            return self.matches
        return self.match_only(self.predictions.confidence >= minimum_confidence)

    def ranked(
        self,
        threshold: float,
        predictions: BoolArray | None = None,
        *,
        ground_truth: Columns | None = None,
    ) -> RankedMatch:
        """Rank the predictions marked (None: all) for curves over confidence at one overlap threshold.

        *ground_truth* is what there is to be found: `curve_truth` by default, or `f1_truth`.
        """
        row, label = self.arrays["ranked_row"], self.arrays["ranked_label"]
        confidence, area = self.arrays["ranked_confidence"], self.arrays["ranked_area"]
        listed = bool(self.taxonomy.pairs)
        if listed:
            # Labels may match each other, so that confidence has to decide between them as well.
            row = self.once("by confidence", lambda: by_confidence(self.arrays))
        floor = next(value for value in _FLOORS if value <= threshold)
        pairs = self.once(f"curve pairs from {floor}", lambda: self._curve_pairs(row, floor))
        found = gains(pairs, thresholds=(threshold,), predictions=predictions)
        unscored = self.curve_unscored
        if listed:
            if predictions is not None and len(unscored):
                unscored = self._unscored_of(self.match_only(predictions))
            row, label, found = by_gained_label(row, self.predictions.label, self.truth.label, found)
            confidence, area = self.predictions.confidence[row], self.predictions.area[row]
        return RankedMatch(
            ground_truth=self.curve_truth if ground_truth is None else ground_truth,
            row=row,
            label=label,
            confidence=confidence,
            own_area=area,
            gains=found,
            thresholds=(threshold,),
            labels=len(self.labels),
            unscored=unscored,
        )

    def _curve_pairs(self, ranked: IntArray | IndexArray, least: float) -> CurvePairs:
        candidates = self.pairs.matched
        return curve_pairs(
            Edges(candidates.ground_truth(), candidates.prediction, candidates.overlap),
            self.truth,
            self.predictions,
            ranked=ranked,
            least=least,
            across_labels=bool(self.taxonomy.pairs),
        )

    @cached_property
    def _scored_families(self) -> list[int]:
        """The codes of the families whose predictions can have a confidence: all but segments."""
        return [code for code, name in enumerate(self.about["families"]) if name != "mask"]

    @cached_property
    def curve_families(self) -> list[int]:
        """The codes of the families in curves of precision against recall: those the model predicts, as in AP."""
        return evaluated_families(self.arrays["prediction_family"], among=self._scored_families)

    @cached_property
    def curve_truth(self) -> Columns:
        """Ground truth of curves of precision against recall: ignored in the families that are not in them."""
        return self._truth_of(self.curve_families)

    @cached_property
    def f1_truth(self) -> Columns:
        """Ground truth of F1 against confidence: in a family the model does not predict it is missed, as in counts."""
        return self._truth_of(self._scored_families)

    def _truth_of(self, families: list[int]) -> Columns:
        outside = ~np.isin(self.arrays["truth_family"], families)
        return replace(self.truth, ignore=self.truth.ignore | outside) if outside.any() else self.truth

    @cached_property
    def curve_unscored(self) -> Unscored:
        """The predictions that miss in the curves for want of a confidence."""
        return self._unscored_of(self.matches)

    def _unscored_of(self, matches: Matches) -> Unscored:
        found = unscored_of(matches)
        inside = np.isin(self.arrays["prediction_family"][found.row], self.curve_families)
        return Unscored(found.row[inside], found.label[inside])


def load(files: ResultFiles, evaluation: EvaluationRecord) -> EvaluationResult:
    """Map a result into memory; raises FileNotFoundError when there is none."""
    name = evaluation.result
    return EvaluationResult(evaluation.id, files.arrays(name), files.about(name))


class ResultCache:
    """The results used last, at most `capacity` of them.

    Columns are mapped files, so what is held is a view of the page cache; the bound is on derived columns and on
    address space.
    """

    def __init__(self, files: ResultFiles, *, capacity: int = 8) -> None:
        self.files = files
        self._capacity = capacity
        self._lock = threading.Lock()
        self._slots: OrderedDict[str, EvaluationResult] = OrderedDict()

    def get(self, evaluation: EvaluationRecord) -> EvaluationResult:
        """Return a result, from memory if it was used lately."""
        name = evaluation.result
        with self._lock:
            unique = self._slots.get(name)
            if unique is not None:
                self._slots.move_to_end(name)
                return unique
        result = load(self.files, evaluation)
        with self._lock:
            self._slots[name] = result
            self._slots.move_to_end(name)
            while len(self._slots) > self._capacity:
                self._slots.popitem(last=False)
        return result

    def evict(self, evaluation: EvaluationRecord) -> None:
        """Drop a result from memory, when its files go."""
        with self._lock:
            self._slots.pop(evaluation.result, None)

    def remove(self, evaluation: EvaluationRecord) -> None:
        """Delete a result, its files included."""
        self.evict(evaluation)
        self.files.remove(evaluation.result)
