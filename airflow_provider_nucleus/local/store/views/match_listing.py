"""Listing of the matches of a run: those that were calculated, and behind them those of categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.store.catalog import matches
from airflow_provider_nucleus.local.store.views.category_matches import category_match_page
from airflow_provider_nucleus.local.store.views.match_pages import match_page

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.views.comparisons import RunOnDataset

__all__ = ["calculated_matches", "listed_matches"]


def calculated_matches(cursor: Cursor, comparison: RunOnDataset) -> matches.MatchSet | None:
    """Return the current matches; None only if there is nothing but categories, which need no calculation.

    Raises `BadRequestError` if matches were never calculated.
    """
    found = matches.current(cursor, comparison.sets.predictions)
    if found is None and matches.objects_by_type(cursor, comparison.sets):
        raise BadRequestError(
            f"No metrics were calculated for model run {comparison.run.id} on dataset {comparison.dataset.id}: post to "
            f"dataset/{comparison.dataset.id}/model/{comparison.run.model_id}/calculateEvaluationMetrics and wait for its job."
        )
    return found


def listed_matches(
    cursor: Cursor,
    comparison: RunOnDataset,
    match_set: matches.MatchSet | None,
    *,
    mode: str,
    condition: Fragment,
    part: int,
    after: int,
    size: int,
) -> tuple[list[dict[str, Any]], tuple[int, int] | None]:
    """Return up to `size` matches behind a place, and the place to go on after, None at the end.

    A place is a part (0: calculated matches, 1: those of categories) and the last row of it.
    """
    rows: list[dict[str, Any]] = []
    dataset, run_id = comparison.dataset, comparison.run.id
    if part == 0:
        last = None
        if match_set is not None:
            rows, last = match_page(
                cursor, match_set, mode=mode, dataset=dataset, condition=condition, after=after, size=size, run_id=run_id
            )  # fmt: skip
        if last is not None:
            return rows, (0, last)
        after = -1
    options = matches.NO_OPTIONS if match_set is None else match_set.options
    of_categories, last = category_match_page(
        cursor, comparison.sets, options, mode=mode, dataset=dataset, condition=condition, after=after,
        size=max(size - len(rows), 1), run_id=run_id,
    )  # fmt: skip
    return rows + of_categories, None if last is None else (1, last)
