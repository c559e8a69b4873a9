"""Routes of slices (contract section 2.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.http.paging import Pager, Position, page_size
from airflow_provider_nucleus.local.requests.fields import strings
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, slice_members, slices
from airflow_provider_nucleus.local.store.catalog.slice_members import by_reference, members_of
from airflow_provider_nucleus.local.store.views import slice_contents

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import Call

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()
_ITEM_PAGE: Final = 100_000
_KINDS: Final = {
    # On Python 3.12 and later the official client sends the name of its enumeration.
    **{kind: kind for kind in (slice_members.ITEMS, slice_members.OBJECTS, slice_members.SCENES)},
    "SliceType.DATASET_ITEM": slice_members.ITEMS,
    "SliceType.OBJECT": slice_members.OBJECTS,
    "SliceType.SCENE": slice_members.SCENES,
}


@ROUTES.get("slice/")
def listing(call: Call) -> Any:
    """List all slices."""
    with call.db.read() as cursor:
        return [found.to_wire() for found in slices.listing(cursor)]


@ROUTES.get("dataset/{ds}/slices")
def of_dataset(call: Call) -> Any:
    """List the slices of a dataset, by name or type if given."""
    kind = call.query.get("type")
    if kind is not None and kind not in _KINDS:
        raise BadRequestError(
            f"type must be one of {slice_members.ITEMS}, {slice_members.OBJECTS}, {slice_members.SCENES}."
        )
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        found = slices.listing(
            cursor, dataset=dataset, name=call.query.get("name"), kind=None if kind is None else _KINDS[kind]
        )
        return [entry.to_wire() for entry in found]


@ROUTES.post("dataset/{ds}/create_slice")
def create(call: Call) -> Any:
    """Create a slice from reference ids, item, scene or object ids."""
    body = call.json()
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise BadRequestError("A slice needs a name: a non-empty string.")
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        made = slices.create(cursor, dataset, name=name, members=members_of(cursor, dataset, body))
    return {"slice_id": made.id}


@ROUTES.get("slice/{s}")
def members(call: Call) -> Any:
    """Return everything in a slice."""
    with call.db.read() as cursor:
        found = slices.find(cursor, call.params["s"])
        return {**found.info_to_wire(), "items": slice_contents.members(cursor, found)}


@ROUTES.get("slice/{s}/info")
def info(call: Call) -> Any:
    """Describe a slice."""
    with call.db.read() as cursor:
        return slices.find(cursor, call.params["s"]).info_to_wire()


@ROUTES.delete("slice/{s}")
def delete(call: Call) -> Any:
    """Delete a slice; what it held stays."""
    with call.db.write() as cursor:
        found = slices.find(cursor, call.params["s"])
        slices.delete(cursor, found)
    return {"slice_id": found.id, "message": "Slice deleted."}


@ROUTES.post("slice/{s}/append")
def append(call: Call) -> Any:
    """Add items or scenes by reference id; those in the slice already are not added again."""
    body = call.json()
    with call.db.write() as cursor:
        found = slices.find(cursor, call.params["s"])
        if body.get("dataset_id") not in {None, found.dataset_id}:
            raise BadRequestError(
                f"Slice {found.id} belongs to dataset {found.dataset_id}, not {body['dataset_id']}."
            )
        dataset = datasets.find(cursor, found.dataset_id)
        added = by_reference(cursor, dataset, strings(body, "reference_ids"), kind=found.type)
        places = slices.add_members(cursor, found, added)
    return {"slice_id": found.id, "new_items": [added.names[place] for place in places]}


@ROUTES.post("slice/{s}/tag")
def tag(call: Call) -> Any:
    """Add tags to a slice."""
    with call.db.write() as cursor:
        found = slices.find(cursor, call.params["s"])
        return {
            "slice_id": found.id,
            "tags": slices.add_tags(cursor, found, strings(call.json(), "slice_tags")),
        }


@ROUTES.post("slice/{s}/itemsPage")
def items_page(call: Call) -> Any:
    """Return one page of the items of a slice."""
    body = call.json()
    pager = Pager(call.services.settings.api_key, ("slice", call.params["s"]))
    position, size = pager.read(body.get("pageToken")), page_size(body, limit=_ITEM_PAGE)
    with call.db.read() as cursor:
        found = slices.find(cursor, call.params["s"])
        items, last = slice_contents.item_page(cursor, found, after=position.after, size=size)
    token = None if last is None else pager.token(Position(0, last))
    return {"items": [item.to_wire() for item in items], "nextPageToken": token}


@ROUTES.get("slice/{s}/class_labels")
def class_labels(call: Call) -> Any:
    """List the labels of the annotations on the items of a slice."""
    with call.db.read() as cursor:
        found = slices.find(cursor, call.params["s"])
        return {"data": slice_contents.labels(cursor, datasets.find(cursor, found.dataset_id), found)}
