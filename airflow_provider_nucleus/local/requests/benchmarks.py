"""Requests about benchmarks and the presets of evaluations; keys in either casing."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from airflow_provider_nucleus.local.requests.base import (
    DIGITS,
    AddressModel,
    Name,
    RequestModel,
    Strings,
    TwoCasingsModel,
    must,
)
from airflow_provider_nucleus.local.requests.exclusion_rules import ExclusionRules
from airflow_provider_nucleus.local.requests.label_taxonomy import RollupGroups

__all__ = [
    "AddItemsRequest", "BenchmarkItemsAddress", "CreateBenchmarkRequest", "CreatePresetRequest", "ItemSources", "RemoveItemsRequest", "TaxonomyFields",
    "UpdateBenchmarkRequest", "UpdatePresetRequest",
]  # fmt: skip

_MOST: Final = 2**53
_Version = Annotated[Annotated[int, Field(ge=0, le=2**31 - 1)] | None, must("a whole number, 0 or more")]


class ItemReference(RequestModel):
    """An item by its dataset and its reference id."""

    dataset_id: str
    ref_id: str = Field(validation_alias=AliasChoices("ref_id", "reference_id"))


class ItemSources(TwoCasingsModel):
    """Sources of the items of a benchmark; all of them together."""

    item_ids: Strings = Field(default_factory=list)
    items: list[ItemReference] | None = None
    slice_id: str | None = None
    dataset_id: str | None = None
    slice_ids: Strings = Field(default_factory=list)
    dataset_ids: Strings = Field(default_factory=list)
    scene_ids: Strings = Field(default_factory=list)

    @property
    def given(self) -> bool:
        """True if a source is named."""
        return any(getattr(self, name) for name in ItemSources.model_fields)

    @property
    def references(self) -> list[tuple[str, str]]:
        """Dataset id and reference id of each item that is named by them."""
        return [(entry.dataset_id, entry.ref_id) for entry in self.items or ()]


class AddItemsRequest(ItemSources):
    """Sources of the items to add to a draft."""

    @model_validator(mode="after")
    def _names_a_source(self) -> Self:
        if not self.given:
            raise ValueError(f"Give at least one source of items: {', '.join(ItemSources.model_fields)}.")
        return self


class TaxonomyFields(TwoCasingsModel):
    """The taxonomy of a benchmark: at most one of three."""

    rollup_groups: RollupGroups | None = None
    allowed_label_matches_id: str | None = None
    class_agnostic: bool | None = None

    @model_validator(mode="after")
    def _one_taxonomy(self) -> Self:
        given = [name for name in TaxonomyFields.model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"{' and '.join(given)} exclude each other: a benchmark has one taxonomy. Send one of them."
            )
        return self


class CreateBenchmarkRequest(ItemSources, TaxonomyFields):
    """A benchmark to be, or a new version of one."""

    complaints: ClassVar = {"name": "A benchmark needs a name: a non-empty string."}

    name: Name
    description: str | None = None
    metadata: dict[str, Any] | None = None
    draft: bool | None = None
    parent_benchmark_id: str | None = None
    removed_item_ids: list[str] | None = None
    bump_type: Literal["minor", "major"] | None = None
    version_major: _Version = None
    version_minor: _Version = None
    version_label: str | None = None
    exclusion_rules: ExclusionRules | None = None

    @model_validator(mode="after")
    def _removes_from_parent(self) -> Self:
        if self.removed_item_ids is not None and self.parent_benchmark_id is None:
            raise ValueError("removed_item_ids needs parent_benchmark_id: there is nothing to remove from.")
        return self

    @model_validator(mode="after")
    def _has_items(self) -> Self:
        if not (self.given or self.draft or self.parent_benchmark_id is not None):
            raise ValueError(
                "Give at least one source of items: item_ids, items, slice_id(s), dataset_id(s), scene_ids or "
                "parent_benchmark_id; or set draft."
            )
        return self


class UpdateBenchmarkRequest(TaxonomyFields):
    """Changes of a benchmark; what is absent stays."""

    name: Name = Field(default_factory=str)
    description: str | None = None
    metadata: dict[str, Any] | None = None
    exclusion_rules: ExclusionRules | None = None

    @property
    def plain_values(self) -> dict[str, Any]:
        """The given fields that are stored as they are."""
        given = self.model_fields_set & {"name", "description", "metadata"}
        return {name: getattr(self, name) for name in sorted(given)}

    @property
    def changes_taxonomy(self) -> bool:
        """True if a field of the taxonomy is given, be it null."""
        return not self.model_fields_set.isdisjoint(TaxonomyFields.model_fields)


class RemoveItemsRequest(TwoCasingsModel):
    """Items to remove from a draft."""

    item_ids: Strings = Field(default_factory=list)


class BenchmarkItemsAddress(AddressModel):
    """A page of the items of a benchmark."""

    limit: Annotated[int, Field(ge=0, le=_MOST), DIGITS, must(f"a whole number from 0 to {_MOST}")] = 1000
    offset: Annotated[int, Field(ge=0, le=_MOST), DIGITS, must(f"a whole number from 0 to {_MOST}")] = 0


_PRESET_NAME: Final = {"name": "A preset needs a name: a non-empty string."}
_PresetName = Annotated[str, Field(pattern=r"\S")]


class UpdatePresetRequest(TwoCasingsModel):
    """Changes of a preset: null clears groups or rules, what is absent stays."""

    model_config = ConfigDict(extra="forbid")
    complaints: ClassVar = _PRESET_NAME

    name: _PresetName = Field(default_factory=str)
    rollup_groups: RollupGroups | None = None
    exclusion_rules: ExclusionRules | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The given fields as plain values."""
        return {
            name: [entry.to_wire() for entry in value] if isinstance(value, list) else value
            for name in sorted(self.model_fields_set)
            for value in [getattr(self, name)]
        }


class CreatePresetRequest(UpdatePresetRequest):
    """A preset to keep."""

    name: _PresetName
