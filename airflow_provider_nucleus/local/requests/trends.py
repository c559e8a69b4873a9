"""Addresses of trends."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from airflow_provider_nucleus.local.requests.base import DECIMAL, DIGITS, AddressModel, must
from airflow_provider_nucleus.local.requests.evaluations import DEFAULT_IOU_THRESHOLD

__all__ = ["TrendAddress"]


class TrendAddress(AddressModel):
    """The overlap of the counts, one model of several, and how many of the newest points of each series."""

    iou_threshold: Annotated[float, Field(ge=0, le=1), DECIMAL, must("a number from 0 to 1")] = (
        DEFAULT_IOU_THRESHOLD
    )
    model_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000), DIGITS, must("a whole number from 1 to 1000")] = 366
