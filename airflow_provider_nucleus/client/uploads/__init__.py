"""Uploads of any size: validated, cut into chunks, remembered, resumed, accounted for."""

from __future__ import annotations

from airflow_provider_nucleus.client.uploads.resume.ledger import MemoryState, StateStore
from airflow_provider_nucleus.client.uploads.summary import Progress, UploadSummary
from airflow_provider_nucleus.client.uploads.upload import StartedUpload, Upload
from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget

__all__ = [
    "MemoryState",
    "Progress",
    "StartedUpload",
    "StateStore",
    "Upload",
    "UploadOptions",
    "UploadSummary",
    "UploadTarget",
]
