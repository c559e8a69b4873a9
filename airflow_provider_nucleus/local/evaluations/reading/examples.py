"""Examples: the rows of the match at an overlap of 0.5, one per chosen prediction and one per missed ground truth.

A matched pair below 0.5 is two rows, a false positive (which names its ground truth) and a false negative. As many rows
of each type as the charts count at 0.5 under the same filters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.local.evaluations.reading.charts import counted_predictions
from airflow_provider_nucleus.local.store.ids import ANNOTATION, ITEM, PREDICTION, numbered
from airflow_provider_nucleus.local.store.views.match_pages import user_names
from airflow_provider_nucleus.local.store.views.source_rows import item_metadata, raw_objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.evaluations.reading.selection import Selection
    from airflow_provider_nucleus.local.requests.evaluations import MatchType
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ExamplePage", "examples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamplePage:
    """One page of examples: which rows, in which order, from where to where."""

    match_type: MatchType | None
    limit: int
    offset: int
    sort_by: str | None
    descending: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows of the match: chosen predictions (None: all of them), and behind them the missed ground truth."""

    predictions: IndexArray | None
    missed: IndexArray
    count: int
    """Predictions."""

    def __len__(self) -> int:
        return self.count + int(self.missed.size)

    def prediction(self, position: int) -> int:
        """Return the prediction of a row, -1 for missed ground truth."""
        if position >= self.count:
            return NONE
        return position if self.predictions is None else int(self.predictions[position])

    def truth(self, position: int) -> int:
        """Return the missed ground truth of a row that has no prediction."""
        return int(self.missed[position - self.count])

    def keys(self, of_predictions: FloatArray, of_missed: FloatArray | None = None) -> FloatArray:
        """Put a column over all predictions and one over the missed ground truth (None: nothing) together."""
        chosen = of_predictions if self.predictions is None else of_predictions[self.predictions]
        nothing = np.full(self.missed.size, np.nan)
        return np.concatenate([chosen, nothing if of_missed is None else of_missed])


def examples(
    cursor: Cursor, result: EvaluationResult, selection: Selection, request: ExamplePage
) -> dict[str, Any]:
    """Return one page of rows and how many there are."""
    rows = _rows(result, selection, request.match_type)
    chosen = _page(result, selection, rows, request)
    return {"rows": _wire(cursor, result, selection, rows, chosen), "total": len(rows)}


def _rows(result: EvaluationResult, selection: Selection, kind: MatchType | None) -> _Rows:
    counted = counted_predictions(result, selection)
    in_match = selection.view.matches.predictions.counted
    kept = in_match if counted is None else counted & in_match
    hits = selection.hits & kept
    nothing = np.zeros(0, dtype=np.int64)
    missed = nothing
    if kind in {None, "FN"}:
        wanted = result.truth.counted.copy()
        if selection.ground_truth is not None:
            wanted &= selection.ground_truth
        wanted[selection.view.matches.match[hits]] = False
        missed = np.flatnonzero(wanted)
    if kind == "FN":
        return _Rows(nothing, missed, 0)
    if kind is None and kept.all():
        return _Rows(None, missed, kept.size)
    predictions = np.flatnonzero(kept if kind is None else hits if kind == "TP" else kept & ~hits)
    return _Rows(predictions, missed, predictions.size)


def _page(result: EvaluationResult, selection: Selection, rows: _Rows, request: ExamplePage) -> IndexArray:
    """Return the positions of the rows of a page; rows without what is sorted by come last, whatever the direction."""
    if request.sort_by is None:
        return np.arange(request.offset, min(request.offset + request.limit, len(rows)), dtype=np.int64)
    keys = _keys(result, selection, rows, request.sort_by)
    if request.descending:
        np.negative(keys, out=keys)
    keys[~np.isfinite(keys)] = np.inf
    return _smallest(keys, request.offset + request.limit)[request.offset :]


def _smallest(keys: FloatArray, count: int) -> IndexArray:
    """Return the positions of the smallest keys in order, equal ones by position."""
    if count >= keys.size:
        return np.argsort(keys, kind="stable")[:count]
    limit = np.partition(keys, count - 1)[count - 1]
    below = np.flatnonzero(keys < limit)
    below = below[np.argsort(keys[below], kind="stable")]
    return np.concatenate([below, np.flatnonzero(keys == limit)[: count - below.size]])


def _keys(result: EvaluationResult, selection: Selection, rows: _Rows, name: str) -> FloatArray:
    if name == "confidence":
        return rows.keys(result.predictions.confidence)
    if name == "iou":
        # Without a partner the overlap is 0; with one it is not.
        overlap = selection.view.partner_overlap
        return rows.keys(np.where(overlap > 0, overlap, np.nan))
    if name == "gt_area":
        areas = np.append(result.truth.area, np.nan)
        return rows.keys(areas[selection.view.partner], result.truth.area[rows.missed])
    return rows.keys(
        result.predictions.image.astype(np.float64), result.truth.image[rows.missed].astype(np.float64)
    )


def _wire(
    cursor: Cursor, result: EvaluationResult, selection: Selection, rows: _Rows, chosen: IndexArray
) -> list[dict[str, Any]]:
    arrays = result.arrays
    predictions = [rows.prediction(position) for position in chosen.tolist()]
    truths = [
        rows.truth(position) if prediction == NONE else int(selection.view.partner[prediction])
        for position, prediction in zip(chosen.tolist(), predictions, strict=True)
    ]
    hits = [prediction != NONE and bool(selection.hits[prediction]) for prediction in predictions]
    items = [
        int(
            result.items[
                result.predictions.image[prediction] if prediction != NONE else result.truth.image[truth]
            ]
        )
        for prediction, truth in zip(predictions, truths, strict=True)
    ]
    metadata = item_metadata(cursor, items)
    names = user_names(cursor, items=items, objects=[])
    raw_predictions = raw_objects(
        cursor, [int(arrays["prediction_number"][row]) for row in predictions if row != NONE], truth=False
    )
    raw_truths = raw_objects(
        cursor, [int(arrays["truth_number"][row]) for row in truths if row != NONE], truth=True
    )
    found: list[dict[str, Any]] = []
    for prediction, truth, hit, item in zip(predictions, truths, hits, items, strict=True):
        found.append({
            "evaluation_id": result.id,
            "dataset_item_id": numbered(ITEM, item),
            "true_positive": hit,
            "match_type": "FN" if prediction == NONE else "TP" if hit else "FP",
            **_side(result, "prediction", prediction, raw_predictions),
            **_side(result, "truth", truth, raw_truths),
            "id": f"{result.id}_{'fn' if prediction == NONE else 'p'}{truth if prediction == NONE else prediction}",
            "iou": None
            if prediction == NONE or truth == NONE
            else float(selection.view.partner_overlap[prediction]),
            "item_metadata": metadata.get(item),
            "reference_id": names.references.get(item),
        })
    return found


def _side(result: EvaluationResult, side: str, row: int, raw: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """Return the fields of one side, null where the row has none."""
    short, id_field, raw_field, prefix = (
        ("pred", "model_prediction_id", "prediction_row", PREDICTION)
        if side == "prediction"
        else ("gt", "ground_truth_annotation_id", "annotation_row", ANNOTATION)
    )
    fields: dict[str, Any] = dict.fromkeys((
        id_field, f"{short}_annotation_id", f"{short}_canonical_label", f"{short}_raw_label", raw_field,
        *(("confidence", "prediction_metadata") if side == "prediction" else ("gt_area",)),
    ))  # fmt: skip
    if row == NONE:
        return fields
    arrays = result.arrays
    number = int(arrays[f"{side}_number"][row])
    record = raw.get(number)
    fields |= {
        id_field: numbered(prefix, number),
        f"{short}_annotation_id": None if record is None else record.get("annotation_id"),
        f"{short}_canonical_label": result.labels.names[arrays[f"{side}_label"][row]],
        f"{short}_raw_label": result.raw.names[arrays[f"{side}_raw"][row]],
        raw_field: record,
    }
    if side == "prediction":
        confidence = float(result.predictions.confidence[row])
        fields["confidence"] = None if np.isnan(confidence) else confidence
        fields["prediction_metadata"] = None if record is None else record.get("metadata")
    else:
        area = float(result.truth.area[row])
        fields["gt_area"] = area if np.isfinite(area) else None
    return fields
