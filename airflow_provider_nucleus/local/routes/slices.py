"""Routes of slices (contract section 2.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.http.paging import Pager, Position
from airflow_provider_nucleus.local.requests.paging import PageRequest
from airflow_provider_nucleus.local.requests.slices import (
    CreateSliceRequest,
    SliceAppendRequest,
    SlicesAddress,
    SliceTagsRequest,
)
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, slice_members, slices
from airflow_provider_nucleus.local.store.views import slice_contents

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()
_ITEM_PAGE: Final = 100_000


@ROUTES.get("slice/")
def listing(call: RouteCall) -> Any:
    """List all slices."""
    with call.db.read() as cursor:
        return [found.to_wire() for found in slices.listing(cursor)]


@ROUTES.get("dataset/{ds}/slices", query=SlicesAddress)
def of_dataset(call: RouteCall, address: SlicesAddress) -> Any:
    """List the slices of a dataset, by name or type if given."""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        found = slices.listing(cursor, dataset=dataset, name=address.name, kind=address.type)
        return [entry.to_wire() for entry in found]


@ROUTES.post("dataset/{ds}/create_slice", body=CreateSliceRequest)
def create(call: RouteCall, request: CreateSliceRequest) -> Any:
    """Create a slice from reference ids, item, scene or object ids."""
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        made = slices.create(cursor, dataset, name=request.name, members=_members(cursor, dataset, request))
    return {"slice_id": made.id}


def _members(cursor: Cursor, dataset: DatasetRecord, request: CreateSliceRequest) -> slice_members.Members:
    if request.reference_ids:
        return slice_members.by_reference(cursor, dataset, request.reference_ids)
    for kind, names in (
        (slice_members.ITEMS, request.dataset_item_ids),
        (slice_members.SCENES, request.scene_ids),
        (slice_members.OBJECTS, request.object_ids),
    ):
        if names:
            return slice_members.by_id(cursor, dataset, kind, names)
    return slice_members.no_members(dataset)


@ROUTES.get("slice/{s}")
def members(call: RouteCall) -> Any:
    """Return everything in a slice."""
    with call.db.read() as cursor:
        found = slices.find(cursor, call.params["s"])
        return {**found.info_to_wire(), "items": slice_contents.members(cursor, found)}


@ROUTES.get("slice/{s}/info")
def info(call: RouteCall) -> Any:
    """Describe a slice."""
    with call.db.read() as cursor:
        return slices.find(cursor, call.params["s"]).info_to_wire()


@ROUTES.delete("slice/{s}")
def delete(call: RouteCall) -> Any:
    """Delete a slice; what it held stays."""
    with call.db.write() as cursor:
        found = slices.find(cursor, call.params["s"])
        slices.delete(cursor, found)
    return {"slice_id": found.id, "message": "Slice deleted."}


@ROUTES.post("slice/{s}/append", body=SliceAppendRequest)
def append(call: RouteCall, request: SliceAppendRequest) -> Any:
    """Add items or scenes by reference id; those in the slice already are not added again."""
    with call.db.write() as cursor:
        found = slices.find(cursor, call.params["s"])
        if request.dataset_id not in {None, found.dataset_id}:
            raise BadRequestError(
                f"Slice {found.id} belongs to dataset {found.dataset_id}, not {request.dataset_id}."
            )
        dataset = datasets.find(cursor, found.dataset_id)
        added = slice_members.by_reference(cursor, dataset, request.reference_ids, kind=found.type)
        places = slices.add_members(cursor, found, added)
    return {"slice_id": found.id, "new_items": [added.names[place] for place in places]}


@ROUTES.post("slice/{s}/tag", body=SliceTagsRequest)
def tag(call: RouteCall, request: SliceTagsRequest) -> Any:
    """Add tags to a slice."""
    with call.db.write() as cursor:
        found = slices.find(cursor, call.params["s"])
        return {"slice_id": found.id, "tags": slices.add_tags(cursor, found, request.slice_tags)}


@ROUTES.post("slice/{s}/itemsPage", body=PageRequest, reads=True)
def items_page(call: RouteCall, request: PageRequest) -> Any:
    """Return one page of the items of a slice."""
    pager = Pager(call.services.settings.api_key, ("slice", call.params["s"]))
    position, size = pager.read(request.token), request.size_within(_ITEM_PAGE)
    with call.db.read() as cursor:
        found = slices.find(cursor, call.params["s"])
        items, last = slice_contents.item_page(cursor, found, after=position.after, size=size)
    token = None if last is None else pager.token(Position(0, last))
    return {"items": [item.to_wire() for item in items], "nextPageToken": token}


@ROUTES.get("slice/{s}/class_labels")
def class_labels(call: RouteCall) -> Any:
    """List the labels of the annotations on the items of a slice."""
    with call.db.read() as cursor:
        found = slices.find(cursor, call.params["s"])
        return {"data": slice_contents.labels(cursor, datasets.find(cursor, found.dataset_id), found)}
