"""Sources of rows: JSONL, Parquet, COCO and memory, streamed from any storage."""

from __future__ import annotations

from airflow_provider_nucleus.sources.fingerprint import fingerprint
from airflow_provider_nucleus.sources.mapping import RowMapping
from airflow_provider_nucleus.sources.open_rows import Kind, open_rows

__all__ = ["Kind", "RowMapping", "fingerprint", "open_rows"]
