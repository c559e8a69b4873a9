"""Routes that find images which look alike (contract sections 2.14 and 2.15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.jobs.deduplication import DEDUPLICATION_JOB
from airflow_provider_nucleus.local.requests.deduplication import DeduplicateRequest
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, image_hashes

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.post("dataset/{ds}/deduplicate_async", body=DeduplicateRequest)
def start(call: RouteCall, request: DeduplicateRequest) -> Any:
    """Start looking for images that look alike, among all items or the named ones."""
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        # What is not there is told at once.
        image_hashes.chosen_items(
            cursor, dataset, reference_ids=request.reference_ids, item_ids=request.dataset_item_ids
        )
        job = call.services.start_job(
            cursor, DEDUPLICATION_JOB, dataset_no=dataset.number, request=request.model_dump()
        )
    return job.to_wire()
