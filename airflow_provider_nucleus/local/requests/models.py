"""Requests about models and their runs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from airflow_provider_nucleus.local.requests.base import Name, RequestModel, Strings, distinct

__all__ = [
    "CopyRunRequest",
    "CreateModelRequest",
    "CreateRunRequest",
    "MergeRunsRequest",
    "RunOnDatasetRequest",
    "TrainedSlicesRequest",
]


class CreateModelRequest(RequestModel):
    """A model to be."""

    name: Name
    reference_id: Name
    metadata: dict[str, Any] | None = None
    bundle_name: str | None = None
    tags: Strings = Field(default_factory=list)
    trained_slice_ids: Strings = Field(default_factory=list)


class TrainedSlicesRequest(RequestModel):
    """Slices a model was trained on."""

    trained_slice_ids: Strings = Field(default_factory=list)


class CreateRunRequest(RequestModel):
    """A run to be; without a name it has that of its model."""

    name: str | None
    metadata: dict[str, Any] | None = None


class RunOnDatasetRequest(CreateRunRequest):
    """A run to be, of the model with an id or else with a reference id."""

    reference_id: str | None = None
    model_id: str | None = None


def _different(ids: list[str]) -> list[str]:
    unique = distinct(ids)
    if len(unique) < 2:
        raise ValueError("must name at least two different runs")
    return unique


class MergeRunsRequest(RequestModel):
    """Runs to merge into a new one."""

    model_run_ids: Annotated[Strings, AfterValidator(_different)]
    name: str | None = None
    metadata: dict[str, Any] | None = None


class CopyRunRequest(RequestModel):
    """The run whose predictions are copied."""

    model_run_id: str
