"""Requests about tracks."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from airflow_provider_nucleus.local.requests.base import Flag, Name, RequestModel, Strings, must, nothing_is

__all__ = ["TrackRequest", "TracksRequest"]


class TrackRequest(RequestModel):
    """Metadata of a track, merged into what it has or in place of it."""

    reference_id: Name
    metadata: Annotated[dict[str, Any], must("an object"), nothing_is({}, dict[str, Any] | None)] = Field(
        default_factory=dict
    )
    overwrite: Flag = False


class TracksRequest(RequestModel):
    """Names of tracks."""

    track_reference_ids: Strings
