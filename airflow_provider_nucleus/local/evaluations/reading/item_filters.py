"""Filters that look at what is stored about items and predictions, answered by the store."""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants and compiled conditions; values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING

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


def chosen_items(cursor: Cursor, result: EvaluationResult, filters: Filters) -> BoolArray:
    """Return per place whether the item satisfies the filters of items, as it is stored now."""
    condition = Fragment("true")
    for entry in filters.item_metadata:
        condition = condition + " AND " + entry.condition("i.metadata")
    if filters.slice_ids:
        parts = [slice_contents.items_condition(slices.find(cursor, name)) for name in filters.slice_ids]
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
    found = cursor.execute(
        " UNION ALL ".join(
            f"SELECT object_no FROM {table} WHERE set_no IN ({numbers}) AND {condition.sql}"
            for table in ("objects", "categories")
        ),
        [*condition.parameters, *condition.parameters],
    ).fetchnumpy()["object_no"]
    return _member(result.arrays["prediction_number"], found)


def _member(values: IndexArray, wanted: IndexArray) -> BoolArray:
    return np.isin(values, wanted)
