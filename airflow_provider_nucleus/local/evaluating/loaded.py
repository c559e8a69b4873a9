"""A result read back: columns and match of the engine over mapped files, and a few of them kept at hand."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from airflow_provider_nucleus.evaluation.areas import LARGE, MEDIUM, SMALL, AreaRange
from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.coco_match import CocoOptions
from airflow_provider_nucleus.evaluation.coco_walk import CocoWalk
from airflow_provider_nucleus.evaluation.columns import Columns
from airflow_provider_nucleus.evaluation.labels import LabelRule, Vocabulary
from airflow_provider_nucleus.evaluation.matching import Matches
from airflow_provider_nucleus.evaluation.overlap.masks import Segments
from airflow_provider_nucleus.evaluation.pairs import Edges
from airflow_provider_nucleus.evaluation.ranked import RankedCoco, RankedMatch
from airflow_provider_nucleus.local.evaluating.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray, IntArray
    from airflow_provider_nucleus.local.evaluating.files import ResultFiles

__all__ = ["COCO_OPTIONS", "Loaded", "ResultCache", "load"]

T = TypeVar("T")

ANY_AREA: Final = AreaRange("all", 0.0, float("inf"))
"""All sizes, objects without an area in square pixels included: those are stored with an infinite one."""

COCO_OPTIONS: Final = CocoOptions(areas=(ANY_AREA, SMALL, MEDIUM, LARGE))
"""How the stored COCO outcome is to be read."""


class Loaded:
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
        self.truth = self._columns("truth")
        self.predictions = self._columns("prediction")
        self.matches = self._matches()
        self.coco = self._coco()
        """COCO's matching by size range; one that counts everything under ``all``."""

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

    def _matches(self) -> Matches:
        names = (
            "match", "overlap", "right", "shown", "shown_overlap", "best_right", "best_right_overlap", "best_wrong",
            "best_wrong_overlap", "found_by", "shown_with",
        )  # fmt: skip
        rule = LabelRule.from_names(self.taxonomy.pairs, self.labels)
        return Matches(
            ground_truth=self.truth,
            predictions=self.predictions,
            rule=rule,
            **{name: self.arrays[name] for name in names},
        )

    def _coco(self) -> dict[str, RankedCoco]:
        arrays = self.arrays
        missing = int(np.isnan(self.predictions.confidence).sum())
        return {
            area.name: RankedCoco(
                ground_truth=self.truth,
                prediction_image=self.predictions.image,
                row=arrays[f"coco_{area.name}_row"],
                label=arrays[f"coco_{area.name}_label"],
                confidence=arrays[f"coco_{area.name}_confidence"],
                hit=arrays[f"coco_{area.name}_hit"][:, None],
                ignored=arrays[f"coco_{area.name}_ignored"][:, None],
                options=CocoOptions(areas=(area,)),
                labels=len(self.labels),
                without_confidence=missing,
            )
            for area in COCO_OPTIONS.areas
        }

    def once(self, name: str, compute: Callable[[], T]) -> T:
        """Return what depends on nothing but the result: computed when it is first asked for, then kept."""
        if name not in self._once:
            # Two threads may compute it both; the same numbers come of it.
            self._once[name] = compute()
        found: T = self._once[name]
        return found

    @property
    def walk(self) -> CocoWalk:
        """The pairs COCO's matching can choose from, in its order, and what it chose."""
        arrays = self.arrays
        edges = Edges(arrays["edge_truth"], arrays["edge_prediction"], arrays["edge_overlap"])
        return CocoWalk(edges, arrays["edge_taken"], COCO_OPTIONS.thresholds)

    def ranked(self, threshold: float) -> RankedMatch:
        """Return the Nucleus match in order of confidence, to be read at one overlap threshold."""
        arrays = self.arrays
        return RankedMatch(
            ground_truth=self.truth,
            row=arrays["ranked_row"],
            truth=arrays["ranked_truth"],
            label=arrays["ranked_label"],
            confidence=arrays["ranked_confidence"],
            hit=(arrays["ranked_overlap"] >= threshold).astype(np.uint16),
            own_area=arrays["ranked_area"],
            thresholds=(threshold,),
            labels=len(self.labels),
            without_confidence=self.coco["all"].without_confidence,
        )

    @cached_property
    def partner(self) -> IntArray:
        """Per prediction, the ground truth it is matched to or shown beside, else -1."""
        match = self.matches.match
        return np.where(match != NONE, match, self.matches.shown)

    @cached_property
    def partner_overlap(self) -> FloatArray:
        """Per prediction, the overlap with its partner; 0 without one."""
        found: FloatArray = np.where(
            self.matches.match != NONE, self.matches.overlap, self.matches.shown_overlap
        )
        return found

    @cached_property
    def same_label(self) -> BoolArray:
        """Per prediction, whether its partner has the same canonical label; false without one."""
        same = np.zeros(len(self.predictions), dtype=np.bool_)
        rows = np.flatnonzero(self.partner != NONE)
        same[rows] = self.truth.label[self.partner[rows]] == self.predictions.label[rows]
        return same


def load(files: ResultFiles, evaluation_id: str) -> Loaded:
    """Map a result into memory; raises FileNotFoundError when there is none."""
    return Loaded(evaluation_id, files.arrays(evaluation_id), files.about(evaluation_id))


class ResultCache:
    """The results used last, at most ``capacity`` of them.

    Columns are mapped files, so what is held is a view of the page cache; the bound is on derived columns and on
    address space.
    """

    def __init__(self, files: ResultFiles, *, capacity: int = 8) -> None:
        self.files = files
        self._capacity = capacity
        self._lock = threading.Lock()
        self._slots: OrderedDict[str, Loaded] = OrderedDict()

    def get(self, evaluation_id: str) -> Loaded:
        """Return a result, from memory if it was used lately."""
        with self._lock:
            known = self._slots.get(evaluation_id)
            if known is not None:
                self._slots.move_to_end(evaluation_id)
                return known
        loaded = load(self.files, evaluation_id)
        with self._lock:
            self._slots[evaluation_id] = loaded
            self._slots.move_to_end(evaluation_id)
            while len(self._slots) > self._capacity:
                self._slots.popitem(last=False)
        return loaded

    def forget(self, evaluation_id: str) -> None:
        """Drop a result from memory, when its files go."""
        with self._lock:
            self._slots.pop(evaluation_id, None)

    def remove(self, evaluation_id: str) -> None:
        """Delete a result, its files included."""
        self.forget(evaluation_id)
        self.files.remove(evaluation_id)
