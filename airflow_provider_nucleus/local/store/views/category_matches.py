"""Pages of category matches, made when they are asked for from what is stored at that moment."""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.annotation_table import CATEGORY_LABELS
from airflow_provider_nucleus.local.store.views.category_matching import CategoryLabel, match_categories
from airflow_provider_nucleus.local.store.views.match_pages import match_wire, user_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_nucleus.local.requests.match_options import MatchOptions
    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.views.category_matching import CategoryMatch
    from airflow_provider_nucleus.local.store.views.match_pages import UserNames

__all__ = ["category_labels", "category_match_page"]

_IN_MODE: Final[dict[str, Callable[[CategoryMatch], bool]]] = {
    "iou": lambda found: found.prediction is not None and found.truth is not None,
    "false_positive": lambda found: found.prediction is not None and not found.correct,
    "false_negative": lambda found: found.prediction is None,
}

_LABELS: Final = (
    "SELECT item_no, taxonomy_name, label, object_no FROM ("
    "SELECT set_no, item_no, taxonomy_name, object_no, "
    f"unnest({CATEGORY_LABELS}) AS label "
    "FROM categories WHERE set_no = ? AND item_no IS NOT NULL AND {})"
)


def category_match_page(
    cursor: Cursor, sets: ComparedSets, options: MatchOptions, *, mode: str, dataset: DatasetRecord, condition: Fragment, after: int,
    size: int, run_id: str,
) -> tuple[list[dict[str, Any]], int | None]:  # fmt: skip
    """Return the rows of a mode on the next `size` items behind item `after`, and the item to go on after."""
    found = cursor.execute(
        "SELECT DISTINCT c.item_no FROM categories c JOIN items i USING (item_no) WHERE i.dataset_no = ? "
        f"AND c.set_no IN (SELECT unnest(?::INTEGER[])) AND c.item_no > ? AND ({condition.sql}) ORDER BY 1 LIMIT ?",
        [dataset.number, sets.numbers, after, *condition.parameters, size + 1],
    ).fetchall()
    items = [row[0] for row in found[:size]]
    if not items:
        return [], None
    among = "item_no IN (SELECT unnest(?::BIGINT[]))"
    matched = match_categories(
        category_labels(cursor, sets.truth, among, [items]),
        category_labels(cursor, sets.predictions, among, [items]),
        options,
    )
    names = user_names(cursor, items=items, objects=[])
    rows = [_wire(run_id, names, match) for match in matched if _IN_MODE[mode](match)]
    return rows, items[-1] if len(found) > size else None


def category_labels(
    cursor: Cursor, set_no: int | None, condition: str, parameters: list[Any]
) -> list[CategoryLabel]:
    """Return the labels of a set's categories on the items a condition selects."""
    if set_no is None:
        return []
    return list(
        starmap(CategoryLabel, cursor.execute(_LABELS.format(condition), [set_no, *parameters]).fetchall())
    )


def _wire(run_id: str, names: UserNames, match: CategoryMatch) -> dict[str, Any]:
    prediction, truth = match.prediction, match.truth
    return match_wire(
        run_id,
        names,
        item_no=match.item_no,
        prediction_no=prediction.object_no if prediction else None,
        truth_no=truth.object_no if truth else None,
        prediction_label=prediction.label if prediction else None,
        truth_label=truth.label if truth else None,
        iou=1.0 if prediction and truth else 0.0,
        true_positive=match.correct,
        family="category",
    )
