"""The request to find images that look alike."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from airflow_provider_nucleus.local.requests.base import RequestModel, must

__all__ = ["DeduplicateRequest"]

_Ids = Annotated[list[str] | None, Field(min_length=1), must("a non-empty list of strings, or left out")]


class DeduplicateRequest(RequestModel):
    """The bits of 64 that may differ between images that are alike, and the items: named one way or the other, else all."""

    threshold: Annotated[int, Field(ge=0, le=64), must("a whole number from 0 to 64")]
    reference_ids: _Ids = None
    dataset_item_ids: _Ids = None

    @model_validator(mode="after")
    def _named_once(self) -> DeduplicateRequest:
        if self.reference_ids is not None and self.dataset_item_ids is not None:
            raise ValueError("reference_ids and dataset_item_ids exclude each other")
        return self
