"""Routes of ground truth and taxonomies (contract section 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.requests.annotations import DeleteAnnotationsRequest
from airflow_provider_nucleus.local.requests.datasets import TaxonomyRequest
from airflow_provider_nucleus.local.requests.uploads import ObjectsRequest, UploadAddress
from airflow_provider_nucleus.local.routes.objects import (
    MASK_PARTS,
    start_upload,
    store_now,
    summary,
)
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, taxonomies
from airflow_provider_nucleus.local.store.catalog.object_sets import SetOwner, find_set
from airflow_provider_nucleus.local.store.views import objects

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.post("dataset/{ds}/annotate", body=ObjectsRequest, query=UploadAddress, form=MASK_PARTS)
def annotate(call: RouteCall, request: ObjectsRequest, address: UploadAddress) -> Any:
    """Upload ground truth, at once or as a job."""

    def target(cursor: Cursor) -> SetOwner:
        return SetOwner(role="truth", dataset=datasets.find(cursor, call.params["ds"]))

    if address.as_job and call.files is None:
        return start_upload(call, request, "uploadAnnotations", target)
    stored = store_now(call, request, "truth", target)
    assert stored.target.dataset is not None
    return {"dataset_id": stored.target.dataset.id, **summary(stored, "annotations")}


@ROUTES.get("dataset/{ds}/groundTruth/loc/{rest*}")
def one_annotation(call: RouteCall) -> Any:
    """Return one annotation by reference id and annotation id, both unencoded in the path."""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        set_no = find_set(cursor, SetOwner(role="truth", dataset=dataset), dataset.number)
        return objects.object_by_path(cursor, dataset, set_no, call.params["rest"], truth=True)


@ROUTES.delete("annotation/{ds}", body=DeleteAnnotationsRequest)
def delete_annotations(call: RouteCall, request: DeleteAnnotationsRequest) -> Any:
    """Delete the ground truth of some items, or of the whole dataset if the list of them is there and empty."""
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        job = call.services.start_job(
            cursor, "annotationDeletion", dataset_no=dataset.number, request=request.model_dump()
        )
    return job.to_wire()


@ROUTES.post("dataset/{ds}/add_taxonomy", body=TaxonomyRequest)
def add_taxonomy(call: RouteCall, request: TaxonomyRequest) -> Any:
    """Create a taxonomy or add labels to it."""
    name = request.taxonomy_name
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        status = taxonomies.add(
            cursor, dataset, name=name, kind=request.type, labels=request.labels, update=request.update
        )
    return {"dataset_id": dataset.id, "taxonomy_name": name, "status": status}


@ROUTES.delete("dataset/{ds}/taxonomy/{name*}")
def delete_taxonomy(call: RouteCall) -> Any:
    """Delete a taxonomy with its annotations and predictions."""
    name = call.params["name"]
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        taxonomies.delete(cursor, dataset, name)
    return {"dataset_id": dataset.id, "taxonomy_name": name, "status": "Taxonomy successfully deleted"}
