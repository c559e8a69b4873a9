"""Requests of an upload: rows batched, and the calls made of lines that are JSON already."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_nucleus.client.calls.annotations import annotate, annotate_local_masks, start_annotate
from airflow_provider_nucleus.client.calls.items import (
    MAX_FILES_PER_REQUEST,
    append_local_images,
    start_append,
)
from airflow_provider_nucleus.client.calls.predictions import (
    start_upload_predictions,
    upload_local_prediction_masks,
    upload_predictions,
)
from airflow_provider_nucleus.client.content import BytesContent
from airflow_provider_nucleus.client.uploads.check.encoding import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.local_files import LocalFiles
    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget
    from airflow_provider_nucleus.schema.jobs import Job
    from airflow_provider_nucleus.schema.models import UploadAnswer

__all__ = [
    "RequestBatch",
    "file_batches",
    "local_images_call",
    "local_masks_call",
    "row_batches",
    "rows_call",
    "start_call",
]

LINES_PER_REQUEST = 5_000
MASKS_PER_REQUEST = 20
"""The sizes of the official client: a mask is much more work for the server than any other row."""


@dataclass(frozen=True, slots=True)
class RequestBatch:
    """The rows of one request, as lines of JSON."""

    lines: list[bytes]
    masks: bool = False
    files: bool = False


def row_batches(lines: Iterator[bytes]) -> Iterator[RequestBatch]:
    """Gather lines into requests of 5000, masks into requests of 20."""
    rows: list[bytes] = []
    masks: list[bytes] = []
    for line in lines:
        if _is_mask(line):
            masks.append(line)
            if len(masks) == MASKS_PER_REQUEST:
                yield RequestBatch(masks, masks=True)
                masks = []
        else:
            rows.append(line)
            if len(rows) == LINES_PER_REQUEST:
                yield RequestBatch(rows)
                rows = []
    if rows:
        yield RequestBatch(rows)
    if masks:
        yield RequestBatch(masks, masks=True)


def file_batches(lines: Iterator[bytes]) -> Iterator[RequestBatch]:
    """Gather lines that take a file along into requests of ten."""
    while taken := list(islice(lines, MAX_FILES_PER_REQUEST)):
        yield RequestBatch(taken, files=True)


def _is_mask(line: bytes) -> bool:
    """Return whether a wire line is a mask: masks alone begin with their type."""
    return line.startswith(b'{"type":"mask"')


def rows_call(
    target: UploadTarget, options: UploadOptions, lines: Sequence[bytes], *, masks: bool
) -> Call[UploadAnswer]:
    """Describe the synchronous upload of wire lines without decoding them again.

    Every row has an identity, so the request may be repeated.
    """
    if target.model_id is None:
        call = annotate(target.dataset_id, [], repeatable=True)
    else:
        call = upload_predictions(target.dataset_id, target.model_id, [], repeatable=True)
    slice_id = (
        b"" if options.trained_slice_id is None else b',"trained_slice_id":' + dumps(options.trained_slice_id)
    )
    body = b'{"update":%s,"%s":[%s]%s}' % (
        b"true" if options.update else b"false",
        b"segmentations" if masks else b"annotations",
        b",".join(lines),
        slice_id,
    )
    return replace(
        call,
        name=f"upload {len(lines)} {target}",
        body=None,
        content=BytesContent(body),
        content_type="application/json",
    )


def local_masks_call(
    target: UploadTarget, options: UploadOptions, lines: Sequence[bytes], *, files: LocalFiles
) -> Call[UploadAnswer]:
    """Describe the upload of masks with their files; NucleusSourceError when a file may not be sent (any more)."""
    masks = [json.loads(line) for line in lines]
    images = [files.content(mask["mask_url"]) for mask in masks]
    if target.model_id is None:
        return annotate_local_masks(target.dataset_id, masks, images, update=options.update)
    return upload_local_prediction_masks(
        target.dataset_id, target.model_id, masks, images, update=options.update
    )


def local_images_call(
    target: UploadTarget, options: UploadOptions, lines: Sequence[bytes], *, files: LocalFiles
) -> Call[Job]:
    """Describe the upload of items with their images; NucleusSourceError when a file may not be sent (any more).

    Items have an identity, so the request may be repeated although it starts a job.
    """
    items = [json.loads(line) for line in lines]
    images = [files.content(item["image_url"]) for item in items]
    return replace(
        append_local_images(target.dataset_id, items, images, update=options.update), repeatable=True
    )


def start_call(target: UploadTarget, options: UploadOptions, request_id: str) -> Call[Job]:
    """Describe the start of the job over rows put under `request_id`."""
    if target.kind == "items":
        return start_append(target.dataset_id, request_id, update=options.update)
    if target.model_id is None:
        return start_annotate(target.dataset_id, request_id, update=options.update)
    return start_upload_predictions(
        target.dataset_id,
        target.model_id,
        request_id,
        update=options.update,
        trained_slice_id=options.trained_slice_id,
    )
