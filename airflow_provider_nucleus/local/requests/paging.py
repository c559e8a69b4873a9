"""Requests for one page of a listing, and for a list of jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from airflow_provider_nucleus.local.requests.base import Flag, RequestModel, Strings, must

__all__ = ["ExportPageRequest", "JobsRequest", "ObjectsPageRequest", "PageRequest", "QueryPageRequest"]

PatchMode: TypeAlias = Literal[
    "iou", "false_positive", "false_negative", "predictions_only", "ground_truth_only"
]


def _moment(text: Any) -> Any:
    """Return the moment, in UTC, that a text names."""
    if not isinstance(text, str):
        return text
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no date") from None


Moment: TypeAlias = Annotated[
    datetime,
    BeforeValidator(_moment, json_schema_input_type=str),
    must("a date: YYYY-MM-DD or YYYY-MM-DD HH:MM:SS"),
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
    from_date: Moment | None = None
    to_date: Moment | None = None
    limit: int = Field(50_000, ge=0)
    show_completed: Flag = False
