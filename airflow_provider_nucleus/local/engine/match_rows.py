"""Rows of the store from a match of the engine, one per prediction and one per ground truth that was not found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from airflow_provider_nucleus.evaluation.arrays import NONE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches
    from airflow_provider_nucleus.evaluation.sides.labels import Vocabulary
    from airflow_provider_nucleus.local.engine.sides import Side

__all__ = ["FALSE_NEGATIVE", "FALSE_POSITIVE", "MATCHED", "match_rows"]

MATCHED: Final = "matched"
FALSE_POSITIVE: Final = "false_positive"
FALSE_NEGATIVE: Final = "false_negative"

_KINDS: Final = (MATCHED, FALSE_POSITIVE, FALSE_NEGATIVE)


def match_rows(
    truth: Side, predictions: Side, matches: Matches, *, vocabulary: Vocabulary, family: str, first: int
) -> pa.Table:
    """Return the rows of the `matches` table without the match set, numbered from `first`.

    Ground truth in which nothing is counted has no row. Rows come by item; within an item predictions first, in the order they were stored.
    """
    missed = np.flatnonzero((matches.found_by == NONE) & truth.columns.counted)
    prediction_row = np.concatenate([np.arange(len(predictions)), np.full(missed.size, NONE)])
    truth_row = np.concatenate([matches.match.astype(np.int64), missed])
    beside = np.concatenate([matches.displayed.astype(np.int64), np.full(missed.size, NONE)])
    item = np.concatenate([predictions.item, truth.item[missed]])
    order = np.argsort(item, kind="stable")
    prediction_row, truth_row, beside = prediction_row[order], truth_row[order], beside[order]
    kind = np.where(prediction_row == NONE, 2, np.where(truth_row == NONE, 1, 0))
    count = item.size
    return pa.table({
        "match_no": np.arange(first, first + count, dtype=np.int64),
        "item_no": item[order],
        "kind": _named(kind, _KINDS),
        "family": _named(np.zeros(count, dtype=np.int64), (family,)),
        "prediction_no": _chosen(predictions.number, prediction_row),
        "truth_no": _chosen(truth.number, truth_row),
        "prediction_segment": _segments(predictions, prediction_row),
        "truth_segment": _segments(truth, truth_row),
        "prediction_label": _labels(predictions.columns.label, prediction_row, vocabulary),
        "truth_label": _labels(truth.columns.label, truth_row, vocabulary),
        "confidence": _confidence(predictions.columns.confidence, prediction_row),
        "iou": np.where(kind == 0, _per_prediction(matches.overlap, prediction_row), 0.0),
        "true_positive": (kind == 0) & (_per_prediction(matches.correct, prediction_row) > 0),
        "beside_no": _chosen(truth.number, beside),
        "beside_label": _labels(truth.columns.label, beside, vocabulary),
        "beside_iou": pa.array(
            _per_prediction(matches.displayed_overlap, prediction_row), mask=beside == NONE
        ),
    })


def _per_prediction(values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Spread a column of predictions over the match rows; 0 where there is no prediction."""
    return np.append(values.astype(np.float64), 0.0)[rows]


def _chosen(values: NDArray[np.int64], rows: NDArray[np.int64]) -> pa.Array:
    return pa.array(np.append(values, 0)[rows], mask=rows == NONE)


def _segments(side: Side, rows: NDArray[np.int64]) -> pa.Array:
    if side.segment is None:
        return pa.nulls(rows.size, pa.int32())
    return pa.array(np.append(side.segment, 0)[rows].astype(np.int32), mask=rows == NONE)


def _confidence(values: NDArray[np.float64], rows: NDArray[np.int64]) -> pa.Array:
    chosen = np.append(values, np.nan)[rows]
    return pa.array(chosen, mask=np.isnan(chosen))


def _labels(codes: NDArray[np.int32], rows: NDArray[np.int64], vocabulary: Vocabulary) -> pa.Array:
    return _named(np.append(codes, 0)[rows].astype(np.int64), vocabulary.names or ("",), mask=rows == NONE)


def _named(
    codes: NDArray[np.int64], names: tuple[str, ...], *, mask: NDArray[np.bool_] | None = None
) -> pa.Array:
    indices = pa.array(codes.astype(np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, type=pa.string()))
