"""Filters that look at what is stored about items and predictions, answered by the store."""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants and compiled conditions; values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_nucleus.local.evaluations.computing.population import NO_SET
from airflow_provider_nucleus.local.requests.query.compile import Fragment, QueriedObjects, compile_query
from airflow_provider_nucleus.local.store.catalog import slices
from airflow_provider_nucleus.local.store.views import slice_contents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.requests.filters import Filters
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["chosen_items", "chosen_predictions"]

_SAMPLE: Final = 5_000
"""Objects whose metadata is looked at to see how different it is."""
_FEW_TEXTS: Final = 500


def chosen_items(cursor: Cursor, result: EvaluationResult, filters: Filters) -> BoolArray:
    """Return per place whether the item satisfies the filters of items, as it is stored now."""
    condition = Fragment("true")
    for entry in filters.item_metadata:
        condition = condition + " AND " + entry.condition("i.metadata")
    if filters.slice_ids:
        parts = [
            slice_contents.items_condition(slices.find(cursor, name))
            for name in dict.fromkeys(filters.slice_ids)
        ]
        condition = condition + " AND (" + _any_of(parts) + ")"
    if filters.query:
        condition = condition + " AND (" + _any_of(_query_parts(result, filters.query)) + ")"
    if not result.items.size:
        return np.zeros(0, dtype=np.bool_)
    found = cursor.execute(
        f"SELECT i.item_no FROM items i WHERE i.item_no BETWEEN ? AND ? AND {condition.sql}",
        [int(result.items[0]), int(result.items[-1]), *condition.parameters],
    ).fetchnumpy()["item_no"]
    return np.isin(result.items, found)


def _any_of(parts: Sequence[Fragment]) -> Fragment:
    joined = parts[0]
    for part in parts[1:]:
        joined = joined + " OR " + part
    return joined


def _query_parts(result: EvaluationResult, query: str) -> list[Fragment]:
    """Compile the query for each dataset of the evaluation, with its ground truth and the evaluated predictions."""
    parts: list[Fragment] = []
    for sets in result.about["sets"]:
        sets_with_objects = [
            number for number in (sets["truth"], sets["predictions"]) if number not in {None, NO_SET}
        ]
        scope = QueriedObjects(truth=sets["truth"], predictions=sets["predictions"])
        place = Fragment(
            "i.dataset_no IN (SELECT dataset_no FROM object_sets WHERE set_no IN (SELECT unnest(?::INTEGER[])))",
            (sets_with_objects,),
        )
        parts.append(Fragment("(") + place + " AND " + compile_query(query, scope) + ")")
    return parts or [Fragment("false")]


def chosen_predictions(cursor: Cursor, result: EvaluationResult, filters: Filters) -> BoolArray:
    """Return per prediction whether its metadata satisfies the filters, as it is stored now."""
    condition = Fragment("true")
    for entry in filters.prediction_metadata:
        condition = condition + " AND " + entry.condition("metadata")
    numbers = ", ".join(str(int(sets["predictions"])) for sets in result.about["sets"]) or str(NO_SET)
    found = [
        _numbers(cursor, f"{table} WHERE set_no IN ({numbers})", condition)
        for table in ("objects", "categories")
    ]
    return np.isin(result.arrays["prediction_number"], np.concatenate(found))


def _numbers(cursor: Cursor, rows: str, condition: Fragment) -> IndexArray:
    """Return the numbers of the objects that satisfy a condition on their metadata; *rows* is what follows FROM.

    Metadata of few different texts, of which the store keeps one each, is looked at once for each text, not for each object.
    """
    different = cursor.execute(
        f"SELECT count(DISTINCT metadata) FROM (SELECT metadata FROM {rows} LIMIT {_SAMPLE})"
    ).fetchone()
    if different is not None and different[0] <= _FEW_TEXTS:
        texts = cursor.execute(
            f"SELECT metadata FROM (SELECT DISTINCT metadata FROM {rows}) WHERE {condition.sql}",
            condition.parameters,
        ).fetchall()
        condition = Fragment("metadata IN (SELECT unnest(?::VARCHAR[]))", ([text for (text,) in texts],))
    found: IndexArray = cursor.execute(
        f"SELECT object_no FROM {rows} AND {condition.sql}", condition.parameters
    ).fetchnumpy()["object_no"]
    return found
