"""Routes of ground truth and taxonomies (contract section 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.requests.fields import flag, strings
from airflow_provider_nucleus.local.routes.objects import one_object, start_upload, store_now, summary
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, taxonomies
from airflow_provider_nucleus.local.store.catalog.object_sets import SetOwner, find_set

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import Call
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.post("dataset/{ds}/annotate")
def annotate(call: Call) -> Any:
    """Upload ground truth, at once or as a job."""

    def target(cursor: Cursor) -> SetOwner:
        return SetOwner(role="truth", dataset=datasets.find(cursor, call.params["ds"]))

    if call.is_async and call.form is None:
        return start_upload(call, "uploadAnnotations", target)
    stored, place = store_now(call, "truth", target)
    assert place.dataset is not None
    return {"dataset_id": place.dataset.id, **summary(stored, "annotations")}


@ROUTES.get("dataset/{ds}/groundTruth/loc/{rest*}")
def one_annotation(call: Call) -> Any:
    """Return one annotation by reference id and annotation id, both unencoded in the path."""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        set_no = find_set(cursor, SetOwner(role="truth", dataset=dataset), dataset.number)
        return one_object(cursor, dataset, set_no, call.params["rest"], truth=True)


@ROUTES.delete("annotation/{ds}")
def delete_annotations(call: Call) -> Any:
    """Delete the ground truth of some items, or of the whole dataset if the list of them is there and empty."""
    request = _deletion(call.json())
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        job = call.services.start_job(
            cursor, "annotationDeletion", dataset_no=dataset.number, request=request
        )
    return job.to_wire()


def _deletion(body: dict[str, Any]) -> dict[str, Any]:
    """Return what to delete; a list that is misspelled or missing must not stand for the whole dataset."""
    unknown = body.keys() - {"reference_ids", "keep_history"}
    if unknown or body.get("reference_ids") is None:
        found = f"has {', '.join(sorted(unknown))}" if unknown else "names no items"
        raise BadRequestError(
            f"The request {found}; nothing was deleted. Send reference_ids, the list of reference ids of the items whose "
            "annotations are to be deleted ([] for those of the whole dataset), and keep_history if you like."
        )
    return {
        "reference_ids": strings(body, "reference_ids"),
        "keep_history": flag(body, "keep_history", default=True),
    }


@ROUTES.post("dataset/{ds}/add_taxonomy")
def add_taxonomy(call: Call) -> Any:
    """Create a taxonomy or add labels to it."""
    body = call.json()
    name = body.get("taxonomy_name")
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        status = taxonomies.add(
            cursor,
            dataset,
            name=name,
            kind=body.get("type"),
            labels=body.get("labels"),
            update=flag(body, "update"),
        )
    return {"dataset_id": dataset.id, "taxonomy_name": name, "status": status}


@ROUTES.delete("dataset/{ds}/taxonomy/{name*}")
def delete_taxonomy(call: Call) -> Any:
    """Delete a taxonomy with its annotations and predictions."""
    name = call.params["name"]
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        taxonomies.delete(cursor, dataset, name)
    return {"dataset_id": dataset.id, "taxonomy_name": name, "status": "Taxonomy successfully deleted"}
