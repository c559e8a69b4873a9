"""Uploads of any size: validated, cut into chunks, resumed, every row counted.

`upload.py` does it in four steps: `resume/` (the record of an earlier attempt and the decision about it), `check/` (rows validated,
encoded and spooled), `send/` (chunks sent by requests or by jobs), and `settlement.py` (the outcome of every row). The options are
in `upload_spec.py`, the result in `summary.py`; `job_wait.py` waits for the jobs.
"""

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
