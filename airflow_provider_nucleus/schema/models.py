"""Objects of an account: datasets, models, model runs, slices; and how it answers uploads."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from airflow_provider_nucleus.schema.base import Answer
from airflow_provider_nucleus.schema.counts import row_count

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
    """Outcome of one synchronous upload.

    `processed` counts created and replaced objects, `ignored` those that existed and were not to be replaced; each bad row has
    one text in `errors` and is in neither count. What is no count (`row_count`) makes the other of its kind worthless too: both
    are 0 then, as if the server had said nothing.
    """

    dataset_id: str | None = None
    model_id: str | None = None
    model_run_id: str | None = None
    annotations_processed: int = 0
    annotations_ignored: int = 0
    predictions_processed: int = 0
    predictions_ignored: int = 0
    errors: Names = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _counted(cls, answer: Any) -> Any:
        if not isinstance(answer, dict):
            return answer
        read = dict(answer)
        for kind in ("annotations", "predictions"):
            names = (f"{kind}_processed", f"{kind}_ignored")
            counts = [row_count(answer.get(name)) for name in names]
            for name, count in zip(names, counts, strict=True):
                read[name] = 0 if count is None or None in counts else count
        return read

    @property
    def processed(self) -> int:
        """Objects created or replaced, of either kind."""
        return self.annotations_processed + self.predictions_processed

    @property
    def ignored(self) -> int:
        """Objects that existed and stayed as they were, of either kind."""
        return self.annotations_ignored + self.predictions_ignored
