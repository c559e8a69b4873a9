"""Requests about datasets, their tags and their taxonomies."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter

from airflow_provider_nucleus.dot_ids import DOT_ID_PROBLEM, DOT_IDS
from airflow_provider_nucleus.local.requests.base import Flag, Name, RequestModel, Strings, must

__all__ = ["CreateDatasetRequest", "MetadataField", "TagsRequest", "TaxonomyRequest"]

_KINDS: Final = ("category", "json", "number", "text")


class MetadataField(RequestModel):
    """One field of a metadata schema, whatever else is said about it."""

    type: Literal["category", "json", "number", "text"]


_FIELDS: Final[TypeAdapter[dict[str, MetadataField] | None]] = TypeAdapter(dict[str, MetadataField] | None)


def _typed(schema: Any) -> Any:
    _FIELDS.validate_python(schema, strict=True)
    return schema


_MetadataSchema: TypeAlias = Annotated[
    dict[str, Any] | None,
    BeforeValidator(_typed, json_schema_input_type=dict[str, MetadataField] | None),
    must(f"a map of each field to an object with a type of {list(_KINDS)}"),
]


class CreateDatasetRequest(RequestModel):
    """A dataset to be; names need not be unique."""

    complaints: ClassVar = {"name": "A dataset needs a name: a non-empty string."}

    name: Name
    is_scene: bool = False
    use_privacy_mode: bool = False
    annotation_metadata_schema: _MetadataSchema = None
    item_metadata_schema: _MetadataSchema = None


class TagsRequest(RequestModel):
    """Tags to add or to remove."""

    tags: Strings = Field(default_factory=list)


def _reachable(name: str) -> str:
    # The official client does not encode the slashes of a name.
    if not DOT_IDS.isdisjoint(name.split("/")):
        raise ValueError(f"has a part that {DOT_ID_PROBLEM}")
    return name


class TaxonomyRequest(RequestModel):
    """A taxonomy to create, or labels to add to one."""

    taxonomy_name: Annotated[Name, AfterValidator(_reachable)]
    type: Literal["category", "multicategory"]
    labels: Annotated[list[str], must("a list of strings")]
    update: Flag = False
