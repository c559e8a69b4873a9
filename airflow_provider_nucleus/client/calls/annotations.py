"""Routes of ground truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.call import Call, path_segment, path_tail
from airflow_provider_nucleus.client.calls._upload import job_upload, local_masks_upload, rows_upload
from airflow_provider_nucleus.schema.annotation_table import read_annotation
from airflow_provider_nucleus.schema.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.client.content import Content
    from airflow_provider_nucleus.schema.annotations import AnyAnnotation
    from airflow_provider_nucleus.schema.models import UploadAnswer

__all__ = ["annotate", "annotate_local_masks", "annotation", "delete_annotations", "start_annotate"]


def _route(dataset_id: str) -> str:
    return f"dataset/{path_segment(dataset_id)}/annotate"


def annotate(
    dataset_id: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    update: bool = False,
    repeatable: bool | None = None,
) -> Call[UploadAnswer]:
    """Send ground truth (wire objects) and have it stored before the answer; at most 5000 rows, 20 with remote masks.

    `repeatable` defaults to whether every row has an identity, so that storing it twice is storing it once.
    """
    name = f"upload {len(rows)} annotations to dataset {dataset_id}"
    return rows_upload(_route(dataset_id), rows, name=name, update=update, repeatable=repeatable)


def annotate_local_masks(
    dataset_id: str, masks: Sequence[Mapping[str, Any]], images: Sequence[Content], *, update: bool = False
) -> Call[UploadAnswer]:
    """Send at most 10 masks with their PNGs; `images[i]` are the bytes of `masks[i]`, whose `mask_url` is the path."""
    name = f"upload {len(masks)} masks to dataset {dataset_id}"
    return local_masks_upload(_route(dataset_id), masks, images, name=name, update=update)


def start_annotate(dataset_id: str, request_id: str, *, update: bool = False) -> Call[Job]:
    """Start the job that stores the ground truth put under `request_id`."""
    name = f"start the upload of annotations to dataset {dataset_id}"
    return job_upload(_route(dataset_id), {"requestId": request_id, "update": update}, name=name)


def annotation(dataset_id: str, reference_id: str, annotation_id: str) -> Call[AnyAnnotation]:
    """Return one object of the ground truth."""
    # This route leaves slashes alone.
    leaf = f"{path_tail(reference_id, 'reference_id')}/{path_tail(annotation_id, 'annotation_id')}"
    name = f"read annotation {annotation_id!r} of item {reference_id!r} in dataset {dataset_id}"
    return Call("GET", f"dataset/{path_segment(dataset_id)}/groundTruth/loc/{leaf}", read_annotation, name)


def delete_annotations(
    dataset_id: str, reference_ids: Sequence[str], *, keep_history: bool = True, whole_dataset: bool = False
) -> Call[Job]:
    """Start the job that deletes the ground truth of some items.

    An empty list means the whole dataset to the server; it is refused here unless `whole_dataset` says so.
    """
    if bool(reference_ids) == whole_dataset:
        raise ValueError("name the items, or ask for the whole dataset, but not both")
    what = "all annotations" if whole_dataset else f"the annotations of {len(reference_ids)} items"
    return Call(
        "DELETE",
        f"annotation/{path_segment(dataset_id)}",
        Job.from_wire,
        f"delete {what} of dataset {dataset_id}",
        body={"keep_history": keep_history, "reference_ids": list(reference_ids)},
    )
