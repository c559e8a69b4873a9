"""Categories: same item, same taxonomy; an equal label is right, whatever is left over is shown beside each other."""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants; values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.evaluation.matching.nucleus import match_pairs
from airflow_provider_nucleus.evaluation.overlap.masks import Segments
from airflow_provider_nucleus.evaluation.sides.columns import columns
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy
from airflow_provider_nucleus.local.annotation_table import CATEGORY_LABELS
from airflow_provider_nucleus.local.engine.sides import item_spans
from airflow_provider_nucleus.local.evaluations.computing.population import NO_SET
from airflow_provider_nucleus.local.evaluations.computing.result_builder import ObjectSide, SpanResult
from airflow_provider_nucleus.local.evaluations.computing.sides import codes_of, no_segments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.local.engine.sides import Span
    from airflow_provider_nucleus.local.engine.span_matches import Skipped
    from airflow_provider_nucleus.local.evaluations.computing.population import EvaluatedItems
    from airflow_provider_nucleus.local.evaluations.computing.sides import LabelCodes
    from airflow_provider_nucleus.local.requests.label_taxonomy import Taxonomy
    from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["CategoryMatcher"]


class CategoryMatcher:
    """Categories and the labels of multicategories; those of whole scenes are not on an item and take no part."""

    types: tuple[str, ...] = ("category", "multicategory")

    def __init__(self, taxonomy: Taxonomy, *, family: int) -> None:
        self._taxonomy, self._family = taxonomy, family

    def spans(self, cursor: Cursor, sets: ComparedSets) -> list[Span]:
        """Cut the evaluated items of a dataset that have categories into spans."""
        condition = "item_no IN (SELECT item_no FROM evaluated)"
        return item_spans(cursor, sets, table="categories", condition=condition)

    def match_span(
        self, cursor: Cursor, population: EvaluatedItems, sets: ComparedSets, *, span: Span, codes: LabelCodes
    ) -> Iterator[SpanResult]:
        """Match a span."""
        truth = _rows(cursor, sets.truth, span, population.ground_truth.labels)
        found = _rows(cursor, sets.predictions, span, population.predictions.labels)
        rule = LabelMatchPolicy.from_names(self._taxonomy.pairs, codes.canonical)
        sides = (_side(truth, codes, truth=True), _side(found, codes, truth=False))
        pairs = _pairs(truth, found)
        yield SpanResult(
            family=self._family,
            truth=sides[0],
            predictions=sides[1],
            matches=match_pairs(
                sides[0].columns,
                sides[1].columns,
                ground_truth_rows=pairs[:, 0],
                prediction_rows=pairs[:, 1],
                overlap=np.ones(len(pairs)),
                rule=rule,
            ),
            outcome=None,
            sized=False,
        )

    def skipped(self) -> list[Skipped]:
        """Return nothing: all categories on items can be compared."""
        return []


def _rows(
    cursor: Cursor, set_no: int | None, span: Span, dropped: frozenset[str]
) -> list[tuple[int, int, str, str, float | None]]:
    """Return (object, place, taxonomy and type, label, confidence), one per label."""
    found = cursor.execute(
        f"""SELECT object_no, place, type || ':' || taxonomy_name,
            unnest({CATEGORY_LABELS}) AS name, confidence
        FROM categories JOIN evaluated USING (item_no) WHERE set_no = ? AND item_no BETWEEN ? AND ?
        ORDER BY place, object_no, name""",
        [NO_SET if set_no is None else set_no, span.first, span.last],
    ).fetchall()
    return [row for row in found if row[3] not in dropped]


def _side(rows: list[Any], codes: LabelCodes, *, truth: bool) -> ObjectSide:
    raw, canonical = codes_of([row[3] for row in rows], codes)
    made = columns(
        Segments(np.zeros(len(rows))),
        np.array([row[1] for row in rows], dtype=np.int64),
        label=canonical,
        confidence=None if truth else [row[4] for row in rows],
    )
    number = np.array([row[0] for row in rows], dtype=np.int64)
    return ObjectSide(made, number, no_segments(len(rows)), raw)


def _pairs(truth: list[Any], found: list[Any]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    places: dict[tuple[int, str], list[int]] = {}
    for row, entry in enumerate(truth):
        places.setdefault((entry[1], entry[2]), []).append(row)
    pairs = [
        (partner, row) for row, entry in enumerate(found) for partner in places.get((entry[1], entry[2]), ())
    ]
    return np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)
