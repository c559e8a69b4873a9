"""Exports of datasets (contract section 2.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.requests.paging import ExportPageRequest
from airflow_provider_nucleus.local.requests.query.compile import EVERYTHING, compile_query
from airflow_provider_nucleus.local.routes.exporting import all_rows, item_writer, one_page
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets
from airflow_provider_nucleus.local.store.views import comparisons
from airflow_provider_nucleus.local.store.views.exports import Export

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.get("dataset/{ds}/exportForTraining")
def export(call: RouteCall) -> Any:
    """Return every item with its annotations."""
    return all_rows(call, lambda cursor: _export(call, cursor, EVERYTHING, mirrored_images=False))


@ROUTES.post("dataset/{ds}/exportForTrainingPage", body=ExportPageRequest, reads=True)
def export_some(call: RouteCall, request: ExportPageRequest) -> Any:
    """Return one page of items with their annotations; there are no labelling tasks, so all annotations are recent."""
    query = request.query or ""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        condition = compile_query(query, comparisons.query_scope(cursor, dataset, None))
        found = _export(call, cursor, condition, mirrored_images=request.chip)
        return one_page(call, request, cursor, found, listing=("dataset", query))


def _export(call: RouteCall, cursor: Cursor, condition: Fragment, *, mirrored_images: bool) -> Export:
    dataset = datasets.find(cursor, call.params["ds"])
    return Export(
        dataset=dataset,
        condition=condition,
        set_no=comparisons.truth_set(cursor, dataset),
        truth=True,
        item_wire=item_writer(call, mirrored_images=mirrored_images),
    )
