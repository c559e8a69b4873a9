"""Requests that bring rows: items, annotations, predictions, metadata, scenes; at once, or by the name of an upload."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.requests.base import AddressModel, Flag, RequestModel, Rows, Switch

__all__ = [
    "AppendRequest",
    "MetadataRequest",
    "ObjectsRequest",
    "ScenesRequest",
    "UploadAddress",
    "UploadRequest",
]


class UploadAddress(AddressModel):
    """An upload at once, or by a job."""

    as_job: Switch = Field(False, alias="async")


class UploadRequest(RequestModel):
    """Rows at once, or the id under which a file of rows was uploaded."""

    requestId: str | None = None  # ruff: ignore[mixed-case-variable-in-class-scope]
    update: Flag = False

    @property
    def upload_id(self) -> str:
        """The id of the upload; raises `BadRequestError` where a job needs one and there is none."""
        if not self.requestId:
            raise BadRequestError("requestId must name the upload: a non-empty string.")
        return self.requestId


class AppendRequest(UploadRequest):
    """Items to append."""

    items: Rows = Field(default_factory=list)


class ObjectsRequest(UploadRequest):
    """Annotations or predictions to store; masks come apart from the rest."""

    annotations: Rows = Field(default_factory=list)
    segmentations: Rows = Field(default_factory=list)
    trained_slice_id: str | None = None


class MetadataRequest(RequestModel):
    """Metadata to merge into items or scenes."""

    metadata: Rows = Field(default_factory=list)
    level: Literal["item", "scene"] = "item"


class ScenesRequest(UploadRequest):
    """Scenes to store."""

    scenes: Rows = Field(default_factory=list)
