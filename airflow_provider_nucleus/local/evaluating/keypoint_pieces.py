"""Keypoints: objects with the same set of names are compared by object keypoint similarity.

Nucleus keypoints carry neither an area nor tolerances. The area is COCO's where the metadata has it (see
``reading.COCO_FIELDS``), else that of the box around the labelled points; the tolerances are COCO's for 17 points and one
uniform value otherwise. A point is labelled unless it is invisible and has no place (null, or COCO's 0, 0); ground truth
without a labelled point is a region in which nothing is counted.
"""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants and checked rules; values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from airflow_provider_nucleus.evaluation.areas import COCO_AREAS
from airflow_provider_nucleus.evaluation.coco_match import CocoOptions
from airflow_provider_nucleus.evaluation.columns import columns
from airflow_provider_nucleus.evaluation.labels import LabelRule
from airflow_provider_nucleus.evaluation.matching import match
from airflow_provider_nucleus.evaluation.overlap.keypoints import Keypoints, sigmas_for
from airflow_provider_nucleus.local.evaluating.pieces import ObjectSide, Piece, coco_outcome
from airflow_provider_nucleus.local.evaluating.reading import COCO_FIELDS, codes_of, no_segments
from airflow_provider_nucleus.local.evaluating.scope import NO_SET
from airflow_provider_nucleus.local.matching.sides import item_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray
    from airflow_provider_nucleus.local.evaluating.reading import LabelCodes
    from airflow_provider_nucleus.local.evaluating.scope import Scope
    from airflow_provider_nucleus.local.evaluating.taxonomy import Taxonomy
    from airflow_provider_nucleus.local.matching.parts import Skipped
    from airflow_provider_nucleus.local.matching.sides import Sets, Span
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["KeypointPieces"]

_OPTIONS: Final = CocoOptions(areas=COCO_AREAS, max_detections=(20,))
"""COCO's twenty detections per image; its small size range is left to the reader."""


class KeypointPieces:
    """Keypoint objects of both sides, grouped by their names."""

    types: tuple[str, ...] = ("keypoints",)

    def __init__(self, taxonomy: Taxonomy, *, family: int) -> None:
        self._taxonomy, self._family = taxonomy, family

    def spans(self, cursor: Cursor, sets: Sets) -> list[Span]:
        """Cut the evaluated items of a dataset that have keypoints into spans."""
        condition = "type = 'keypoints' AND item_no IN (SELECT item_no FROM evaluated)"
        return item_spans(cursor, sets, table="objects", condition=condition, rows=20_000)

    def pieces(
        self, cursor: Cursor, scope: Scope, sets: Sets, *, span: Span, codes: LabelCodes
    ) -> Iterator[Piece]:
        """Match a span, one piece per set of names."""
        truth = _rows(
            cursor, sets.truth, scope.ground_truth.kept.sql, scope.ground_truth.kept.parameters, span
        )
        found = _rows(
            cursor, sets.predictions, scope.predictions.kept.sql, scope.predictions.kept.parameters, span
        )
        rule = LabelRule.from_names(self._taxonomy.pairs, codes.canonical)
        for names in sorted(truth.keys() | found.keys(), key=sorted):
            order = sorted(names) if names not in truth else truth[names][0]["names"]
            sides = [
                _side(rows.get(names, []), order, codes, truth=is_truth)
                for rows, is_truth in ((truth, True), (found, False))
            ]
            yield Piece(
                family=self._family,
                truth=sides[0],
                predictions=sides[1],
                matches=match(sides[0].columns, sides[1].columns, rule=rule),
                outcome=coco_outcome(sides[0].columns, sides[1].columns, options=_OPTIONS),
                sized=True,
            )

    def skipped(self) -> list[Skipped]:
        """Return nothing: all keypoints can be compared."""
        return []


def _rows(
    cursor: Cursor, set_no: int | None, kept: str, parameters: Sequence[Any], span: Span
) -> dict[frozenset[str], list[dict[str, Any]]]:
    found = cursor.execute(
        "SELECT object_no, place, label, confidence, row_number() OVER (PARTITION BY place ORDER BY annotation_id, "
        f"object_no) - 1, geometry, {COCO_FIELDS} FROM objects JOIN evaluated USING (item_no) WHERE set_no = ? "
        f"AND item_no BETWEEN ? AND ? AND type = 'keypoints' AND {kept} ORDER BY place, object_no",
        [NO_SET if set_no is None else set_no, span.first, span.last, *parameters],
    ).fetchall()
    grouped: dict[frozenset[str], list[dict[str, Any]]] = {}
    for number, place, label, confidence, ordinal, geometry, crowd, area in found:
        shape = orjson.loads(geometry)
        row = {
            "number": number, "place": place, "label": label, "confidence": confidence, "ordinal": ordinal,
            "points": dict(zip(shape["names"], shape["keypoints"], strict=True)), "names": shape["names"],
            "crowd": crowd, "area": area,
        }  # fmt: skip
        grouped.setdefault(frozenset(shape["names"]), []).append(row)
    return grouped


def _side(rows: list[dict[str, Any]], names: Sequence[str], codes: LabelCodes, *, truth: bool) -> ObjectSide:
    x = _coordinates(rows, names, "x")
    y = _coordinates(rows, names, "y")
    visible = np.array(
        [[bool(row["points"][name]["visible"]) for name in names] for row in rows], dtype=np.bool_
    ).reshape(len(rows), len(names))
    known: BoolArray = ~(np.isnan(x) | np.isnan(y))
    labelled: BoolArray = known & (visible | (x != 0) | (y != 0))
    box = _around(x, y, labelled if truth else known)
    area = box[:, 2] * box[:, 3]
    stated = np.array([np.nan if row["area"] is None else row["area"] for row in rows], dtype=np.float64)
    if truth:
        area = np.where(np.isfinite(stated) & (stated >= 0), stated, area)
    shapes = Keypoints(np.nan_to_num(x), np.nan_to_num(y), labelled, box, area, sigmas_for(len(names)))
    raw, canonical = codes_of([row["label"] for row in rows], codes)
    made = columns(
        shapes,
        np.array([row["place"] for row in rows], dtype=np.int64),
        label=canonical,
        confidence=None if truth else [row["confidence"] for row in rows],
        ordinal=np.array([row["ordinal"] for row in rows], dtype=np.int64),
        crowd=[row["crowd"] for row in rows] if truth else None,
        ignore=np.count_nonzero(labelled, axis=1) == 0 if truth else None,
    )
    number = np.array([row["number"] for row in rows], dtype=np.int64)
    return ObjectSide(made, number, no_segments(len(rows)), raw)


def _coordinates(rows: list[dict[str, Any]], names: Sequence[str], axis: str) -> FloatArray:
    values = [[row["points"][name].get(axis) for name in names] for row in rows]
    return np.array(values, dtype=np.float64).reshape(len(rows), len(names))


def _around(x: FloatArray, y: FloatArray, there: BoolArray) -> FloatArray:
    """Return the box (x, y, width, height) around the points of each row; zeros around none."""
    if not x.size:
        return np.zeros((x.shape[0], 4))
    low = [np.where(there, axis, np.inf).min(axis=1) for axis in (x, y)]
    high = [np.where(there, axis, -np.inf).max(axis=1) for axis in (x, y)]
    box = np.stack([low[0], low[1], high[0] - low[0], high[1] - low[1]], axis=1)
    empty = np.flatnonzero(np.count_nonzero(there, axis=1) == 0)
    box[empty] = 0.0
    return box
