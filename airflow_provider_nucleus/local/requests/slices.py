"""Requests about slices."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from airflow_provider_nucleus.local.requests.base import (
    AddressModel,
    Name,
    RequestModel,
    Strings,
    distinct,
    must,
    nothing_is,
)

__all__ = [
    "BuildSliceRequest", "CreateSliceRequest", "SliceAppendRequest", "SliceTagsRequest", "SlicesAddress",
]  # fmt: skip

SliceKind: TypeAlias = Literal["dataset_item", "object", "scene"]

_IDS_AT_ONCE: Final = 10_000
_SAMPLE_LIMIT: Final = 100_000


def _few(ids: list[str]) -> list[str]:
    if len(ids) > _IDS_AT_ONCE:
        raise ValueError(
            f"has {len(ids)} ids; a request may bring {_IDS_AT_ONCE}: append the rest to the slice"
        )
    return distinct(ids)


MemberIds = Annotated[Strings, AfterValidator(_few)]
"""Ids of members, each once; null means none."""


class SlicesAddress(AddressModel):
    """A selection of a dataset's slices."""

    name: str | None = None
    type: Annotated[
        SliceKind | None,
        # On Python 3.12 and later the official client sends the name of its enumeration.
        BeforeValidator(
            lambda text: text.removeprefix("SliceType.").lower() if text.startswith("SliceType.") else text
        ),
    ] = None


class CreateSliceRequest(RequestModel):
    """A slice to be, with members of one kind."""

    complaints: ClassVar = {"name": "A slice needs a name: a non-empty string."}

    name: Name
    reference_ids: MemberIds = Field(default_factory=list)
    dataset_item_ids: MemberIds = Field(default_factory=list)
    scene_ids: MemberIds = Field(default_factory=list)
    object_ids: MemberIds = Field(default_factory=list)
    allow_empty: bool | int | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        kinds = ("reference_ids", "dataset_item_ids", "scene_ids", "object_ids")
        given = [kind for kind in kinds if getattr(self, kind)]
        if len(given) > 1:
            raise ValueError(f"A slice has members of one kind; {' and '.join(given)} were given.")
        if not given and not self.allow_empty:
            raise ValueError(
                f"Give the members of the slice as one of {', '.join(kinds)}, or set allow_empty."
            )
        return self


class SliceAppendRequest(RequestModel):
    """Items or scenes to add to a slice."""

    dataset_id: str | None = None
    reference_ids: MemberIds = Field(default_factory=list)


class SliceTagsRequest(RequestModel):
    """Tags to add to a slice."""

    slice_tags: Strings = Field(default_factory=list)


class SampleFilters(RequestModel):
    """Source of a sample: a slice, or else the whole dataset."""

    slice_id: str | None = Field(None, alias="sliceId")
    autotag: Any = None


class BuildSliceRequest(RequestModel):
    """A slice of items to be drawn by the server."""

    complaints: ClassVar = {"name": "A slice needs a name: a non-empty string."}

    name: Name
    sample_size: Annotated[
        int, Field(ge=1, le=_SAMPLE_LIMIT), must(f"a whole number from 1 to {_SAMPLE_LIMIT}")
    ] = Field(alias="sampleSize")
    sample_method: Literal["Random", "Uniqueness"] = Field(alias="sampleMethod")
    filters: Annotated[SampleFilters, nothing_is(SampleFilters(), SampleFilters | None)] = Field(
        default_factory=SampleFilters
    )
