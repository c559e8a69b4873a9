"""The result of one family of objects on a span of items, and the builder that concatenates such results."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE, descending, group_sizes, stable_order
from airflow_provider_nucleus.evaluation.matching.candidates import stored_pairs
from airflow_provider_nucleus.evaluation.matching.coco import (
    COCO_THRESHOLDS,
    CocoOptions,
    coco_edges,
    coco_outcomes,
    ranked_predictions,
)
from airflow_provider_nucleus.evaluation.matching.coco_order import match_in_order
from airflow_provider_nucleus.evaluation.readers.histograms import bucket_of
from airflow_provider_nucleus.local.evaluations.computing.ap_classes import ap_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray, IntArray
    from airflow_provider_nucleus.evaluation.matching.coco_order import CocoOrder
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches
    from airflow_provider_nucleus.evaluation.sides.columns import Columns
    from airflow_provider_nucleus.local.engine.keypoints import KeypointFacts

__all__ = [
    "BUCKETS",
    "SIZES",
    "ObjectSide",
    "ResultBuilder",
    "ScoredOutcomes",
    "SpanResult",
    "by_confidence",
    "coco_outcome",
]

SIZES: Final = ("all", "small", "medium", "large")
"""The size ranges of the stored COCO outcome."""

BUCKETS: Final = 20
"""Buckets of the score histogram, equal ones over 0 to 1."""

_EVERY: Final = np.uint16((1 << len(COCO_THRESHOLDS)) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class ObjectSide:
    """One side of a span result: columns of the engine, and per row the stored object, its segment and its raw label.

    `image` of the columns is the place of the item, `label` the canonical code.
    """

    columns: Columns
    number: IndexArray
    segment: IntArray
    raw: IntArray

    def __len__(self) -> int:
        return len(self.columns)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredOutcomes:
    """Rows that have a confidence, by (image, label, confidence): their hits and ignored bits per size of `SIZES`.

    `rank` counts the rows of an image and label from 0; those from `limit` on are ignored. `coco_order` has the pairs of
    all rows that can match, and which of them did, for matching some of the rows once more. `label` is that of every
    prediction under which it is ranked.
    """

    row: IndexArray
    rank: IndexArray
    limit: int
    label: IntArray
    hit: NDArray[np.uint16]
    ignored: NDArray[np.uint16]
    coco_order: CocoOrder


@dataclass(frozen=True, slots=True, eq=False)
class SpanResult:
    """A family on a span: both sides, their Nucleus match, and the COCO outcome where the family has one."""

    family: int
    truth: ObjectSide
    predictions: ObjectSide
    matches: Matches
    outcome: ScoredOutcomes | None
    sized: bool
    """True when areas are square pixels, so that size ranges mean something."""
    beyond_box: int = 0
    """Ground truth whose stated area is larger than its box."""
    keypoints: KeypointFacts | None = None


def coco_outcome(truth: Columns, predictions: Columns, *, options: CocoOptions) -> ScoredOutcomes:
    """Match by confidence; sizes the options do not have are ignored throughout."""
    limit = options.max_detections[-1]
    row, rank = ranked_predictions(predictions, limit=len(predictions) + 1)
    edges = coco_edges(truth, predictions, rows=row, options=options)
    late = row[rank >= limit]
    offered = None
    if late.size:
        offered = np.ones(len(predictions), dtype=np.bool_)
        offered[late] = False
    coco_order = match_in_order(edges, truth, predictions, thresholds=options.thresholds, offered=offered)
    hits, ignoring = coco_outcomes(coco_order, truth, predictions, options=options)
    hit = np.zeros((row.size, len(SIZES)), dtype=np.uint16)
    ignored = np.full((row.size, len(SIZES)), _EVERY, dtype=np.uint16)
    for column, area in enumerate(options.areas):
        place = SIZES.index(area.name)
        hit[:, place], ignored[:, place] = hits[row, column], ignoring[row, column]
    ignored[rank >= limit] = _EVERY
    return ScoredOutcomes(row, rank, limit, predictions.label, hit, ignored, coco_order)


@dataclass(slots=True)
class ResultBuilder:
    """Collects the results of spans; `arrays` concatenates them."""

    _parts: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    _ranked: set[int] = field(default_factory=set)
    truths: int = 0
    predictions: int = 0
    beyond_box: int = 0
    keypoints: list[KeypointFacts] = field(default_factory=list)
    beyond_limit: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Predictions beyond the limit of detections, by family and limit."""

    def add(self, span_result: SpanResult) -> None:
        """Append the result of a span; its row numbers are shifted behind those there are."""
        before_truth, before = self.truths, self.predictions
        for prefix, side in (("truth", span_result.truth), ("prediction", span_result.predictions)):
            columns = side.columns
            area = columns.area if span_result.sized else np.full(len(side), np.inf)
            self._put(f"{prefix}_image", columns.image)
            self._put(f"{prefix}_label", columns.label)
            self._put(f"{prefix}_raw", side.raw)
            self._put(f"{prefix}_number", side.number)
            self._put(f"{prefix}_segment", side.segment)
            self._put(f"{prefix}_ordinal", columns.ordinal)
            self._put(f"{prefix}_area", area)
            self._put(f"{prefix}_family", np.full(len(side), span_result.family, dtype=np.uint8))
        self._put("prediction_confidence", span_result.predictions.columns.confidence)
        self._put("prediction_bucket", _bucket(span_result.predictions.columns.confidence))
        self._put("truth_crowd", span_result.truth.columns.crowd)
        self._put("truth_ignore", span_result.truth.columns.ignore)
        matches = span_result.matches
        for name in ("match", "displayed", "best_correct", "best_incorrect"):
            self._put(name, _shifted(getattr(matches, name), before_truth))
        for name in ("found_by", "displayed_with"):
            self._put(name, _shifted(getattr(matches, name), before))
        for name in (
            "overlap",
            "displayed_overlap",
            "best_correct_overlap",
            "best_incorrect_overlap",
            "correct",
        ):
            self._put(name, getattr(matches, name))
        pairs = stored_pairs(matches)
        for name, candidates in (("candidate", pairs.matched), ("displayed_candidate", pairs.displayed)):
            self._put(f"{name}_count", candidates.count)
            self._put(f"{name}_prediction", candidates.prediction + np.int32(before))
            self._put(f"{name}_overlap", candidates.overlap)
        if span_result.outcome is None:
            self._put("ap_label", span_result.predictions.columns.label)
        else:
            self._ranked.add(span_result.family)
            self._put("ap_label", span_result.outcome.label)
            outcome = span_result.outcome
            self._put_long_groups(outcome, before)
            self.beyond_limit[span_result.family, outcome.limit] += int(
                np.count_nonzero(outcome.rank >= outcome.limit)
            )
            self._put("coco_row", (span_result.outcome.row + before).astype(np.int32))
            self._put("coco_hit", span_result.outcome.hit)
            self._put("coco_ignored", span_result.outcome.ignored)
            edges = span_result.outcome.coco_order.edges
            self._put("edge_truth", (edges.ground_truth + before_truth).astype(np.int32))
            self._put("edge_prediction", (edges.prediction + before).astype(np.int32))
            self._put("edge_overlap", edges.overlap)
            self._put("edge_taken", span_result.outcome.coco_order.taken)
        self.beyond_box += span_result.beyond_box
        if span_result.keypoints is not None:
            self.keypoints.append(span_result.keypoints)
        self.truths += len(span_result.truth)
        self.predictions += len(span_result.predictions)

    def _put_long_groups(self, outcome: ScoredOutcomes, before: int) -> None:
        """Keep the order of those images and labels that have more rows than count: others move up when some go."""
        starts = np.flatnonzero(outcome.rank == 0)
        sizes = group_sizes(starts, outcome.row.size)
        inside = np.flatnonzero(np.repeat(sizes > outcome.limit, sizes))
        self._put("long_row", (outcome.row[inside] + before).astype(np.int32))
        self._put("long_first", outcome.rank[inside] == 0)
        self._put("long_limit", np.full(inside.size, outcome.limit, dtype=np.int32))

    def _put(self, name: str, values: NDArray[Any]) -> None:
        self._parts.setdefault(name, []).append(values)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return every column, and the COCO rows sorted by (class, confidence) with a column per size."""
        found = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        for name, empty in _EMPTY.items():
            found.setdefault(name, empty)
        found |= ap_classes(found, ranked=self._ranked)
        return found | _coco_order(found) | _nucleus_order(found)


def _coco_order(found: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Sort the rows that have a confidence by (class, confidence), and keep for each size those that count in it.

    The sizes share few rows, so AP by size costs little more than AP. Of all sizes together every row is kept, the
    ignored ones too: they may count among fewer rows. `edge_place` is where the prediction of a pair lies in that order.
    """
    row = found.pop("coco_row")
    hit, ignored = found.pop("coco_hit"), found.pop("coco_ignored")
    confidence, label = found["prediction_confidence"][row], found["prediction_class"][row]
    order = descending(confidence)
    order = order[stable_order(label[order])]
    result: dict[str, NDArray[Any]] = {}
    for column, size in enumerate(SIZES):
        kept = order if size == "all" else order[ignored[order, column] != _EVERY]
        result |= {
            f"coco_{size}_row": row[kept],
            f"coco_{size}_label": label[kept],
            f"coco_{size}_confidence": confidence[kept],
            f"coco_{size}_hit": hit[kept, column],
            f"coco_{size}_ignored": ignored[kept, column],
        }
    place = np.zeros(found["prediction_label"].size, dtype=np.int32)
    place[result["coco_all_row"]] = np.arange(order.size, dtype=np.int32)
    return result | {
        "coco_all_area": found["prediction_area"][result["coco_all_row"]],
        "edge_place": place[found["edge_prediction"]],
    }


def _bucket(confidence: FloatArray) -> NDArray[np.uint8]:
    """Return the bucket of the score histogram, `BUCKETS` for a prediction without confidence."""
    scored = ~np.isnan(confidence)
    buckets = np.full(confidence.size, BUCKETS, dtype=np.uint8)
    buckets[scored] = bucket_of(confidence[scored], BUCKETS)
    return buckets


def by_confidence(found: Mapping[str, NDArray[Any]]) -> IndexArray:
    """Return the rows of the predictions that have a confidence, most confident first, then by (image, family, ordinal).

    Ordinals count within a family: compared between two, they would depend on predictions that are left out.
    """
    confidence: FloatArray = found["prediction_confidence"]
    rows = np.flatnonzero(~np.isnan(confidence))
    for column in ("prediction_ordinal", "prediction_family", "prediction_image"):
        rows = rows[stable_order(found[column][rows])]
    return rows[descending(confidence[rows])]


def _nucleus_order(found: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Sort the predictions that have a confidence by (label, confidence), as curves rank them unless labels are listed."""
    confidence: FloatArray = found["prediction_confidence"]
    rows = by_confidence(found)
    rows = rows[stable_order(found["prediction_label"][rows])]
    return {
        "ranked_row": rows.astype(np.int32),
        "ranked_label": found["prediction_label"][rows],
        "ranked_confidence": confidence[rows],
        "ranked_area": found["prediction_area"][rows],
    }


def _shifted(values: IntArray, by: int) -> IntArray:
    return np.where(values == NONE, np.int32(NONE), values + np.int32(by)).astype(np.int32)


def _empty(dtype: Any, *shape: int) -> NDArray[Any]:
    return np.zeros(shape or (0,), dtype=dtype)


_EMPTY: Final[dict[str, NDArray[Any]]] = {
    **{
        f"{prefix}_{name}": _empty(dtype)
        for prefix in ("truth", "prediction")
        for name, dtype in (
            ("image", np.int32), ("label", np.int32), ("raw", np.int32), ("number", np.int64), ("segment", np.int32),
            ("ordinal", np.int32), ("area", np.float64), ("family", np.uint8),
        )
    },
    "prediction_confidence": _empty(np.float64), "prediction_bucket": _empty(np.uint8), "truth_crowd": _empty(np.bool_), "truth_ignore": _empty(np.bool_),
    "correct": _empty(np.bool_),
    **{name: _empty(np.int32) for name in ("match", "displayed", "best_correct", "best_incorrect", "found_by", "displayed_with")},
    **{
        name: _empty(np.float64) for name in ("overlap", "displayed_overlap", "best_correct_overlap", "best_incorrect_overlap")
    },
    "edge_truth": _empty(np.int32), "edge_prediction": _empty(np.int32), "edge_overlap": _empty(np.float64),
    "edge_taken": _empty(np.uint16),
    **{f"{name}_{column}": _empty(dtype) for name in ("candidate", "displayed_candidate")
       for column, dtype in (("count", np.int32), ("prediction", np.int32), ("overlap", np.float64))},
    "ap_label": _empty(np.int32), "long_row": _empty(np.int32), "long_first": _empty(np.bool_),
    "long_limit": _empty(np.int32),
    "coco_row": _empty(np.int32), "coco_hit": _empty(np.uint16, 0, len(SIZES)),
    "coco_ignored": _empty(np.uint16, 0, len(SIZES)),
}  # fmt: skip
