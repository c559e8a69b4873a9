"""Routes that select items and objects by a query (contract section 2.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.http.paging import Pager, Position
from airflow_provider_nucleus.local.requests.paging import ObjectsPageRequest, QueryPageRequest
from airflow_provider_nucleus.local.requests.query.compile import compile_query
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, scenes
from airflow_provider_nucleus.local.store.views import comparisons
from airflow_provider_nucleus.local.store.views.match_listing import calculated_matches, listed_matches
from airflow_provider_nucleus.local.store.views.queried import item_page, object_page

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.views.comparisons import RunOnDataset

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()
QUERY_PAGE: Final = 10_000


@ROUTES.post("dataset/{ds}/queryItemsPage", body=QueryPageRequest, reads=True)
def query_items(call: RouteCall, request: QueryPageRequest) -> Any:
    """List the items that a query selects."""
    query, run_id = request.query or "", request.model_run_id
    pager = Pager(call.services.settings.api_key, ("items", call.params["ds"], query, run_id))
    position, size = pager.read(request.token), request.size_within(QUERY_PAGE)
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        condition = compile_query(query, comparisons.query_scope(cursor, dataset, run_id))
        items, last = item_page(cursor, dataset, condition, after=position.after, size=size)
    token = None if last is None else pager.token(Position(0, last))
    return {"items": [item.to_wire() for item in items], "nextPageToken": token}


@ROUTES.post("dataset/{ds}/queryObjectsPage", body=ObjectsPageRequest, reads=True)
def query_objects(call: RouteCall, request: ObjectsPageRequest) -> Any:
    """List annotations, predictions or matches on the items that a query selects."""
    mode, run_id = request.patch_mode, request.model_run_id
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        if mode == "ground_truth_only":
            return _objects(call, request, cursor, dataset, truth=True)
        if run_id is None:
            raise BadRequestError(f"patch_mode {mode} needs a model_run_id.")
        if mode == "predictions_only":
            return _objects(call, request, cursor, dataset, truth=False)
        return _matches(call, request, cursor, comparisons.of_run(cursor, dataset, run_id))


@ROUTES.post("dataset/{ds}/queryScenesPage", body=QueryPageRequest, reads=True)
def query_scenes(call: RouteCall, request: QueryPageRequest) -> Any:
    """List the scenes, without their frames, that have an item the query selects."""
    query = request.query or ""
    pager = Pager(call.services.settings.api_key, ("scenes", call.params["ds"], query))
    position, size = pager.read(request.token), request.size_within(QUERY_PAGE)
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        condition = compile_query(query, comparisons.query_scope(cursor, dataset, None))
        found, last = scenes.page(cursor, dataset, condition, after=position.after, size=size)
    return {"items": found, "nextPageToken": None if last is None else pager.token(Position(0, last))}


def _objects(
    call: RouteCall, request: ObjectsPageRequest, cursor: Cursor, dataset: DatasetRecord, *, truth: bool
) -> dict[str, Any]:
    query, run_id = request.query or "", request.model_run_id
    scope = comparisons.query_scope(cursor, dataset, run_id)
    set_no = scope.truth if truth else scope.predictions
    pager = Pager(call.services.settings.api_key, ("objects", dataset.id, query, run_id, set_no))
    position, size = pager.read(request.token), request.size_within(QUERY_PAGE)
    condition = compile_query(query, scope)
    rows, last = object_page(
        cursor, dataset, set_no, condition=condition, after=position.after, size=size, truth=truth
    )
    return {"items": rows, "nextPageToken": None if last is None else pager.token(Position(0, last))}


def _matches(
    call: RouteCall, request: ObjectsPageRequest, cursor: Cursor, comparison: RunOnDataset
) -> dict[str, Any]:
    query, mode = request.query or "", request.patch_mode
    match_set = calculated_matches(cursor, comparison)
    number = None if match_set is None else match_set.number
    listing = ("matches", comparison.dataset.id, comparison.run.id, mode, query, number)
    pager = Pager(call.services.settings.api_key, listing)
    position, size = pager.read(request.token), request.size_within(QUERY_PAGE)
    condition = compile_query(query, comparison.scope)
    rows, last = listed_matches(
        cursor, comparison, match_set, mode=mode, condition=condition, part=position.part, after=position.after, size=size
    )  # fmt: skip
    return {"items": rows, "nextPageToken": None if last is None else pager.token(Position(*last))}
