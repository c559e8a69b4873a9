"""Routes of scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.call import Call, path_segment
from airflow_provider_nucleus.client.calls._read import as_is, member
from airflow_provider_nucleus.schema.jobs import Job
from airflow_provider_nucleus.schema.scenes import LidarScene

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "delete_scene",
    "lidar_scene",
    "list_scenes",
    "start_append_lidar_scenes",
    "start_append_video_scenes",
]


def start_append_lidar_scenes(dataset_id: str, request_id: str, *, update: bool = False) -> Call[Job]:
    """Start the job that appends the lidar scenes put under `request_id`."""
    return _start(dataset_id, "upload_scenes", request_id, update=update)


def start_append_video_scenes(dataset_id: str, request_id: str, *, update: bool = False) -> Call[Job]:
    """Start the job that appends the video scenes put under `request_id`."""
    return _start(dataset_id, "upload_video_scenes", request_id, update=update)


def _start(dataset_id: str, leaf: str, request_id: str, *, update: bool) -> Call[Job]:
    return Call(
        "POST",
        f"{path_segment(dataset_id)}/{leaf}",
        Job.from_wire,
        f"start appending scenes to dataset {dataset_id}",
        body={"requestId": request_id, "update": update},
        params={"async": "1"},
        repeatable=False,
    )


def list_scenes(dataset_id: str) -> Call[Sequence[dict[str, Any]]]:
    """List the scenes of a dataset: id, reference id, type, metadata."""
    path = f"dataset/{path_segment(dataset_id)}/scenes_list"
    return Call("GET", path, member("scenes"), f"list the scenes of dataset {dataset_id}")


def lidar_scene(dataset_id: str, reference_id: str) -> Call[LidarScene]:
    """Return a lidar scene."""
    path = f"dataset/{path_segment(dataset_id)}/scene/{path_segment(reference_id, 'reference_id')}"
    return Call("GET", path, LidarScene.from_wire, f"read scene {reference_id!r} of dataset {dataset_id}")


def delete_scene(dataset_id: str, reference_id: str) -> Call[Any]:
    """Delete a scene with its items."""
    path = f"dataset/{path_segment(dataset_id)}/scene/{path_segment(reference_id, 'reference_id')}"
    return Call("DELETE", path, as_is, f"delete scene {reference_id!r} of dataset {dataset_id}", body={})
