"""Rows of a match as columns, gathered while they are counted."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.gating.measurement import MatchColumns
from airflow_provider_nucleus.match_summary import is_category, labels_agree, pair_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.schema.matches import EvaluationMatch

__all__ = ["MOST_ROWS", "MatchRecorder"]

MOST_ROWS: Final = 2_000_000
"""Rows that are kept, about 400 MB of memory; of a longer match none are."""

_NOTHING: Final = -1


class MatchRecorder:
    """Rows kept as columns, one by one in the order of `MatchCounting`; a pair that a server lists among the unmatched rows as well is kept once.

    *names* are the reference ids of the items by their ids. Rows of categories are kept apart: a match is of one kind of objects.
    """

    def __init__(self, names: Mapping[str, str], *, most: int = MOST_ROWS) -> None:
        self._places = {item: place for place, item in enumerate(names)}
        self._names = list(names.values())
        self._columns = {False: _Columns(), True: _Columns()}
        self._pairs: set[tuple[str | None, str | None]] = set()
        self._most, self._rows, self._full = most, 0, False

    def pair(self, row: EvaluationMatch) -> None:
        """Keep a row of the mode `iou`."""
        agrees = labels_agree(row)
        if not agrees:
            # Only these are listed a second time.
            self._pairs.add(pair_id(row))
        self._add(
            row,
            truth=row.ground_truth_annotation_label or "",
            predicted=row.model_prediction_label or "",
            agrees=agrees,
        )

    def unmatched(self, row: EvaluationMatch) -> None:
        """Keep a row of the modes `false_positive` and `false_negative`, unless it is a pair that was kept."""
        truth, predicted = row.ground_truth_annotation_label, row.model_prediction_label
        if truth is not None and predicted is not None:
            if not labels_agree(row) and pair_id(row) not in self._pairs:
                self.pair(row)
        elif predicted is not None:
            self._add(row, predicted=predicted)
        else:
            self._add(row, truth=truth or "")

    def _add(
        self,
        row: EvaluationMatch,
        *,
        truth: str | None = None,
        predicted: str | None = None,
        agrees: bool = False,
    ) -> None:
        if self._full:
            return
        self._rows += 1
        if self._rows > self._most:
            self._full, self._columns = True, {}
            return
        self._columns[is_category(row)].add(
            self._places[row.dataset_item_id], truth=truth, predicted=predicted, agrees=agrees, row=row
        )

    def columns(
        self,
        *,
        categories: bool = False,
        groups: Mapping[str, Mapping[str, list[int]]] | None = None,
    ) -> MatchColumns | None:
        """Return what was kept, of shapes or of categories, None of a match with more rows than are kept.

        Every item is named, those without a row included. *groups* are places of items by metadata and value.
        """
        if self._full:
            return None
        return self._columns[categories].to_match(
            self._names, {key: dict(of) for key, of in (groups or {}).items()}
        )


class _Columns:
    """Columns of the rows of one kind of objects."""

    def __init__(self) -> None:
        self.labels: dict[str, int] = {}
        self.item, self.truth, self.predicted = array("l"), array("l"), array("l")
        self.iou = array("d")
        self.confidence: list[float | None] = []
        self.truth_id: list[str | None] = []
        self.prediction_id: list[str | None] = []
        self.agrees = bytearray()

    def add(
        self, place: int, *, truth: str | None, predicted: str | None, agrees: bool, row: EvaluationMatch
    ) -> None:
        self.item.append(place)
        self.truth.append(self._code(truth))
        self.predicted.append(self._code(predicted))
        self.iou.append(row.iou)
        self.confidence.append(row.confidence)
        self.truth_id.append(row.ground_truth_annotation_id)
        self.prediction_id.append(row.model_prediction_id)
        self.agrees.append(agrees)

    def _code(self, label: str | None) -> int:
        return _NOTHING if label is None else self.labels.setdefault(label, len(self.labels))

    def to_match(self, names: list[str], groups: dict[str, dict[str, list[int]]]) -> MatchColumns:
        return MatchColumns(
            items=names,
            labels=list(self.labels),
            item=list(self.item),
            truth=[None if code == _NOTHING else code for code in self.truth],
            predicted=[None if code == _NOTHING else code for code in self.predicted],
            iou=list(self.iou),
            confidence=self.confidence,
            truth_id=self.truth_id,
            prediction_id=self.prediction_id,
            agrees=[bool(flag) for flag in self.agrees],
            groups=groups,
        )
