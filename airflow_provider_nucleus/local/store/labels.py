"""Which labels the annotations of some items have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.datasets import Dataset

__all__ = ["of_items"]

# One row per (set, item, label): objects, categories with one or several labels, segments of masks.
_ALL: Final = """(
    SELECT set_no, item_no, label FROM objects
    UNION ALL SELECT set_no, item_no, unnest(
        CASE WHEN type = 'category' THEN [label] ELSE from_json(labels, '["VARCHAR"]') END) FROM categories
    UNION ALL SELECT set_no, item_no, unnest(from_json(segments, '[{"label":"VARCHAR"}]')).label FROM masks)"""


def of_items(cursor: Cursor, dataset: Dataset, condition: str, parameters: list[Any]) -> list[str]:
    """Return the distinct labels of the annotations on the items a condition on ``item_no`` selects, sorted."""
    found = cursor.execute(
        f"SELECT DISTINCT label FROM {_ALL} JOIN object_sets USING (set_no) "
        f"WHERE role = 'truth' AND dataset_no = ? AND {condition} ORDER BY label",
        [dataset.number, *parameters],
    ).fetchall()
    return [label for (label,) in found]
