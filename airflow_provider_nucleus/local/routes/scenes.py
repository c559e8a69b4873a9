"""Routes of scenes (contract section 2.12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.jobs.starting import start_on_upload
from airflow_provider_nucleus.local.requests.scenes import SceneAddress
from airflow_provider_nucleus.local.requests.uploads import ScenesRequest, UploadAddress
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets, scenes

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.post("{ds}/upload_scenes", body=ScenesRequest, query=UploadAddress)
def upload_lidar(call: RouteCall, request: ScenesRequest, address: UploadAddress) -> Any:
    """Upload lidar scenes as a job."""
    return _upload(call, request, address, "uploadLidarScene", "lidar")


@ROUTES.post("{ds}/upload_video_scenes", body=ScenesRequest, query=UploadAddress)
def upload_video(call: RouteCall, request: ScenesRequest, address: UploadAddress) -> Any:
    """Upload video scenes as a job."""
    return _upload(call, request, address, "uploadVideoScene", "video")


def _upload(call: RouteCall, request: ScenesRequest, address: UploadAddress, job_type: str, kind: str) -> Any:
    update = request.update
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        if not dataset.is_scene:
            raise BadRequestError(
                f"Dataset {dataset.id} is not a scene dataset: create one with is_scene true."
            )
        if not address.as_job:
            return _store_now(cursor, dataset, request.scenes, kind=kind, update=update)
        job = start_on_upload(
            call.services,
            cursor,
            job_type,
            dataset=dataset,
            request_id=request.upload_id,
            request={"kind": kind, "update": update},
        )
    return job.to_wire()


def _store_now(cursor: Cursor, dataset: DatasetRecord, found: list[Any], *, kind: str, update: bool) -> Any:
    """Store the scenes of a synchronous request, as clients up to 0.18.8 send it."""
    stored = [scenes.store_checked(cursor, dataset, scene, kind=kind, update=update) for scene in found]
    return {
        "dataset_id": dataset.id,
        "new_scenes": sum(entry.status == "created" for entry in stored),
        "updated_scenes": sum(entry.status == "updated" for entry in stored),
        "ignored_scenes": sum(entry.status == "ignored" for entry in stored),
        "upload_errors": [entry.problem for entry in stored if entry.problem is not None],
    }


@ROUTES.get("dataset/{ds}/scenes_list")
def listing(call: RouteCall) -> Any:
    """List the scenes of a dataset."""
    with call.db.read() as cursor:
        return {"scenes": scenes.listing(cursor, datasets.find(cursor, call.params["ds"]))}


def _find(cursor: Cursor, call: RouteCall, address: SceneAddress) -> scenes.Scene:
    dataset = datasets.find(cursor, call.params["ds"])
    find = scenes.by_item if address.from_item else scenes.by_reference
    return find(cursor, dataset, call.params["ref"])


@ROUTES.get("dataset/{ds}/scene/{ref*}", query=SceneAddress)
def read(call: RouteCall, address: SceneAddress) -> Any:
    """Return a scene with its frames."""
    with call.db.read() as cursor:
        return scenes.to_wire(cursor, _find(cursor, call, address))


@ROUTES.delete("dataset/{ds}/scene/{ref*}")
def delete(call: RouteCall) -> Any:
    """Delete a scene with its items."""
    with call.db.write() as cursor:
        scene = scenes.by_reference(cursor, datasets.find(cursor, call.params["ds"]), call.params["ref"])
        scenes.delete(cursor, scene)
    return {"reference_id": scene.reference_id, "message": "Scene deleted."}
