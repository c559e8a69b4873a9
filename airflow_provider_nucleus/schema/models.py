"""What the account holds: datasets, models, model runs, slices; and how it answers uploads."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from airflow_provider_nucleus.schema.base import Answer

__all__ = ["Dataset", "DatasetInfo", "Members", "Model", "ModelRun", "Slice", "SliceInfo", "UploadAnswer"]


def _list(value: Any) -> Any:
    return [] if value is None else value


def _object(value: Any) -> Any:
    return {} if value is None else value


def _count(value: Any) -> Any:
    return 0 if value is None else value


# Servers send null where they mean "none of them".
Names = Annotated[list[str], BeforeValidator(_list)]
Members = Annotated[dict[str, Any], BeforeValidator(_object)]
Count = Annotated[int, BeforeValidator(_count)]


class Dataset(Answer):
    """A dataset in a listing."""

    id: str
    name: str
    is_public: bool = False


class DatasetInfo(Answer):
    """A dataset in numbers: `length` is the count of items."""

    dataset_id: str
    name: str
    length: int
    model_run_ids: Names = Field(default_factory=list)
    slice_ids: Names = Field(default_factory=list)
    annotation_metadata_schema: dict[str, Any] | None = None
    item_metadata_schema: dict[str, Any] | None = None
    tags: Names = Field(default_factory=list)


class Model(Answer):
    """A model; `reference_id` is the user's name for it, unique in the account."""

    id: str
    name: str
    reference_id: str | None = Field(default=None, alias="ref_id")
    metadata: Members = Field(default_factory=dict)
    tags: Names = Field(default_factory=list)
    trained_slice_ids: Names = Field(default_factory=list)


class ModelRun(Answer):
    """A set of predictions of one model."""

    model_id: str
    name: str | None = None
    status: str | None = None
    metadata: Members = Field(default_factory=dict)


class Slice(Answer):
    """A named selection of items, in a listing."""

    id: str
    created_at: str | None = None
    name: str | None = None
    dataset_id: str | None = None
    type: str | None = None
    pending_job_count: Count = 0


class SliceInfo(Answer):
    """A slice looked up by id."""

    name: str | None = None
    dataset_id: str | None = None
    created_at: str | None = None
    pending_job_count: Count = 0
    type: str | None = None
    description: str | None = None
    tags: Names = Field(default_factory=list)
    slice_id: str | None = None


class UploadAnswer(Answer):
    """What became of one synchronous upload.

    `processed` counts created and replaced objects, `ignored` those that existed and were not to be replaced; each bad row has
    one text in `errors` and is in neither count.
    """

    dataset_id: str | None = None
    model_id: str | None = None
    model_run_id: str | None = None
    annotations_processed: Count = 0
    annotations_ignored: Count = 0
    predictions_processed: Count = 0
    predictions_ignored: Count = 0
    errors: Names = Field(default_factory=list)

    @property
    def processed(self) -> int:
        """Objects created or replaced, of either kind."""
        return self.annotations_processed + self.predictions_processed

    @property
    def ignored(self) -> int:
        """Objects that existed and stayed as they were, of either kind."""
        return self.annotations_ignored + self.predictions_ignored
