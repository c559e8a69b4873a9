"""Requests for one page of a listing, and for a list of jobs."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from airflow_provider_nucleus.local.requests.base import Flag, RequestModel, Strings, must

__all__ = ["ExportPageRequest", "JobsRequest", "ObjectsPageRequest", "PageRequest", "QueryPageRequest"]

PatchMode: TypeAlias = Literal[
    "iou", "false_positive", "false_negative", "predictions_only", "ground_truth_only"
]


class PageRequest(RequestModel):
    """A page of a listing: the token it goes on with and its size; absent or null means from the start, and the most."""

    token: str | None = Field(None, alias="pageToken")
    size: Annotated[Annotated[int, Field(ge=1)] | None, must("a whole number of at least 1")] = Field(
        None, alias="pageSize"
    )

    def size_within(self, most: int) -> int:
        """Return the size of the page, at most `most`."""
        return most if self.size is None else min(self.size, most)


class QueryPageRequest(PageRequest):
    """A page of what a query selects; no query selects everything."""

    query: str | None = None
    model_run_id: str | None = None


class ObjectsPageRequest(QueryPageRequest):
    """A page of annotations, predictions or matches on the items that a query selects."""

    patch_mode: PatchMode


class ExportPageRequest(QueryPageRequest):
    """A page of an export; with `chip` items name the stored copy of their bytes."""

    chip: Flag = False


class JobsRequest(RequestModel):
    """A selection of jobs."""

    dataset_id: str | None = None
    job_types: Strings = Field(default_factory=list)
    from_date: str | None = None
    to_date: str | None = None
    limit: int = Field(50_000, ge=0)
    show_completed: Flag = False
