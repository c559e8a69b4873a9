"""The page of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from airflow_provider_nucleus.local.pages.dataset import RunRow, run_row
from airflow_provider_nucleus.local.pages.layout import Fact, Link, PageFrame
from airflow_provider_nucleus.local.pages.text import json_text
from airflow_provider_nucleus.local.store.catalog import models
from airflow_provider_nucleus.local.store.views import page_counts

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.pages.urls import Urls
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ModelPage", "model_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPage(PageFrame):
    """A model, its metadata as JSON (empty if it has none), and its runs."""

    facts: tuple[Fact, ...]
    metadata: str
    runs: tuple[RunRow, ...]


def model_page(cursor: Cursor, urls: Urls, model_id: str) -> ModelPage:
    """Gather the page of a model (a run's id leads to its model); raises `NotFoundError`."""
    model = models.find(cursor, model_id)
    metadata = orjson.loads(model.metadata)
    return ModelPage(
        title=model.name,
        trail=(Link("All", urls.home),),
        facts=(
            Fact("Model id", model.id, code=True),
            Fact("Reference id", model.reference_id, code=True),
            Fact("Tags", ", ".join(model.tags) or "none"),
            Fact("Trained on slices", ", ".join(model.trained_slice_ids) or "not given"),
        ),
        metadata=json_text(metadata) if metadata else "",
        runs=tuple(run_row(facts, urls) for facts in page_counts.runs_of_model(cursor, model)),
    )
