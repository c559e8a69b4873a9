"""Uploads of rows: the parts that ground truth and predictions share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.call import Call
from airflow_provider_nucleus.client.calls.items import MAX_FILES_PER_REQUEST
from airflow_provider_nucleus.client.content import FilePart, Multipart
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.annotation_table import IDENTITIES
from airflow_provider_nucleus.schema.jobs import Job
from airflow_provider_nucleus.schema.models import UploadAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.client.content import Content

__all__ = ["job_upload", "local_masks_upload", "rows_upload"]

_MASKS = frozenset(name for name, identity in IDENTITIES.items() if identity == "item")
_WITHOUT_IDS = frozenset(name for name, identity in IDENTITIES.items() if identity != "annotation id")


def rows_upload(
    path: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    name: str,
    update: bool,
    repeatable: bool | None,
    trained_slice_id: str | None = None,
) -> Call[UploadAnswer]:
    """Describe a synchronous upload of wire objects; masks travel in a list of their own."""
    others = [row for row in rows if row.get("type") not in _MASKS]
    masks = [row for row in rows if row.get("type") in _MASKS]
    body: dict[str, Any] = {"update": update}
    if others:
        body["annotations"] = others
    if masks:
        body["segmentations"] = masks
    if trained_slice_id:
        body["trained_slice_id"] = trained_slice_id
    if repeatable is None:
        repeatable = all(row.get("annotation_id") or row.get("type") in _WITHOUT_IDS for row in others)
    return Call("POST", path, UploadAnswer.from_wire, name, body=body, repeatable=repeatable)


def local_masks_upload(
    path: str, masks: Sequence[Mapping[str, Any]], images: Sequence[Content], *, name: str, update: bool
) -> Call[UploadAnswer]:
    """Describe a multipart upload of masks with their PNGs, paired by position."""
    if not 0 < len(masks) <= MAX_FILES_PER_REQUEST or len(images) != len(masks):
        raise NucleusValidationError(
            "masks",
            f"must be 1 to {MAX_FILES_PER_REQUEST}, one image each: {len(masks)} masks, {len(images)} images",
        )
    for mask in masks:
        if not str(mask["mask_url"]).lower().endswith(".png"):
            raise NucleusValidationError("mask_url", f"must name a PNG file, got {mask['mask_url']!r}")
    form = Multipart(
        name="serialized_request",
        value={"segmentations": list(masks), "update": update},
        file_name="mask",
        files=[
            FilePart(path=str(mask["mask_url"]), content=image, content_type="image/png")
            for mask, image in zip(masks, images, strict=True)
        ],
    )
    # There is one mask per item, so sending it twice stores it once.
    return Call("POST", path, UploadAnswer.from_wire, name, content=form, content_type=form.content_type)


def job_upload(path: str, body: dict[str, Any], *, name: str) -> Call[Job]:
    """Describe the start of a job over rows put at a signed address; starting twice would make two jobs."""
    return Call("POST", path, Job.from_wire, name, body=body, params={"async": "1"}, repeatable=False)
