"""Requests that delete annotations."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, model_validator

from airflow_provider_nucleus.local.requests.base import RequestModel, Strings

__all__ = ["DeleteAnnotationsRequest"]


class DeleteAnnotationsRequest(RequestModel):
    """Items whose annotations are deleted; an empty list stands for the whole dataset."""

    model_config = ConfigDict(extra="forbid")

    reference_ids: Strings
    keep_history: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _names_items(cls, value: Any) -> Any:
        """Refuse a list that is misspelled or missing: it must not stand for the whole dataset."""
        if not isinstance(value, dict):
            return value
        unknown = sorted(value.keys() - cls.model_fields.keys())
        if unknown or value.get("reference_ids") is None:
            found = f"has {', '.join(unknown)}" if unknown else "names no items"
            raise ValueError(
                f"The request {found}; nothing was deleted. Send reference_ids, the list of reference ids of the items "
                "whose annotations are to be deleted ([] for those of the whole dataset), and keep_history if you like."
            )
        return value
