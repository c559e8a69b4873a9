"""Requests about indexes of embeddings."""

from __future__ import annotations

from airflow_provider_nucleus.local.requests.base import Flag, RequestModel

__all__ = ["IndexingStatusRequest"]


class IndexingStatusRequest(RequestModel):
    """The index that is asked about: that of the images, or that of the objects of ground truth or of a run."""

    image: Flag = False
    model_run_id: str | None = None
