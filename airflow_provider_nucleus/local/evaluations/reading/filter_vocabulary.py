"""The vocabulary of filters of an evaluation: labels of both sides and fields of item metadata."""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants; values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import IntArray
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["filter_schema"]

MOST_VALUES: Final = 250
"""Distinct values beyond which a field is plain text: it can be filtered by, but its values are not listed."""

_TYPES: Final = {
    "VARCHAR": "string", "BOOLEAN": "boolean", "UBIGINT": "number", "BIGINT": "number", "DOUBLE": "number",
}  # fmt: skip
_FIELDS: Final = f"""WITH entry AS (
    SELECT key, json_extract(metadata, '/' || replace(replace(key, '~', '~0'), '/', '~1')) AS value
    FROM (SELECT metadata, unnest(json_keys(metadata)) AS key FROM items JOIN shown_items USING (item_no)))
SELECT key, list(DISTINCT json_type(value)), count(DISTINCT json_extract_string(value, '$')),
    CASE WHEN count(DISTINCT json_extract_string(value, '$')) <= {MOST_VALUES}
        THEN list_sort(list(DISTINCT json_extract_string(value, '$'))) ELSE [] END
FROM entry WHERE json_type(value) NOT IN ('NULL', 'OBJECT', 'ARRAY') GROUP BY key ORDER BY key"""


def filter_schema(session: Cursor, result: EvaluationResult) -> dict[str, Any]:
    """Return the vocabulary; `session` is a connection of its own.

    A field with values of several types is a string.
    """
    session.register("shown_items", pa.table({"item_no": result.items}))
    fields = [
        {
            "key": key,
            "value_type": next(iter(kinds))
            if len(kinds := {_TYPES.get(t, "string") for t in types}) == 1
            else "string",
            "values": values,
        }
        for key, types, _, values in session.execute(_FIELDS).fetchall()
    ]
    session.unregister("shown_items")
    return {
        "gt_labels": _present(result, result.truth.label),
        "pred_labels": _present(result, result.predictions.label),
        "metadata_fields": fields,
    }


def _present(result: EvaluationResult, label: IntArray) -> list[str]:
    there = np.flatnonzero(np.bincount(label, minlength=len(result.labels)))
    return [result.labels.names[code] for code in there.tolist()]
