"""Routes of tracks (contract section 2.12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.requests.tracks import TrackRequest, TracksRequest
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, tracks

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.get("dataset/{ds}/tracks")
def listing(call: RouteCall) -> Any:
    """List the tracks that objects of a dataset name."""
    with call.db.read() as cursor:
        return {"tracks": tracks.listing(cursor, datasets.find(cursor, call.params["ds"]))}


@ROUTES.post("dataset/{ds}/tracks", body=TrackRequest)
def update(call: RouteCall, request: TrackRequest) -> Any:
    """Merge metadata into a track."""
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        tracks.merge(cursor, dataset, request.reference_id, request.metadata, overwrite=request.overwrite)
    return {"dataset_id": dataset.id, "reference_id": request.reference_id}


@ROUTES.delete("dataset/{ds}/tracks", body=TracksRequest)
def delete(call: RouteCall, request: TracksRequest) -> Any:
    """Forget tracks; their objects stay."""
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        tracks.delete(cursor, dataset, request.track_reference_ids)
    return {"dataset_id": dataset.id}
