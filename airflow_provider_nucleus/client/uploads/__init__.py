"""Uploads of any size: validated, cut into chunks, remembered, resumed, accounted for."""

from __future__ import annotations

from airflow_provider_nucleus.client.uploads.ledger import MemoryState, StateStore
from airflow_provider_nucleus.client.uploads.progress import Progress
from airflow_provider_nucleus.client.uploads.summary import UploadSummary
from airflow_provider_nucleus.client.uploads.target import UploadOptions, UploadTarget
from airflow_provider_nucleus.client.uploads.upload import StartedUpload, Upload

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
