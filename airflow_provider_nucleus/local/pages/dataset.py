"""The page of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.pages.home import JobRow, job_rows
from airflow_provider_nucleus.local.pages.layout import Fact, Link, PageFrame
from airflow_provider_nucleus.local.pages.text import moment, whole
from airflow_provider_nucleus.local.store.catalog import datasets, jobs, slices
from airflow_provider_nucleus.local.store.views import page_counts

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.pages.urls import Urls
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.views.page_counts import RunFacts

__all__ = ["DatasetPage", "RunRow", "dataset_page", "run_row"]

_LABELS: Final = 100
_JOBS: Final = 20


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run of a model on a dataset; `evaluation` leads to its numbers, `calculated` is when they came about."""

    model: Link
    dataset: Link
    run_id: str
    predictions: str
    evaluation: Link
    calculated: str


@dataclass(frozen=True, slots=True)
class LabelObjectCounts:
    """A label of the ground truth."""

    label: str
    count: str
    items: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPage(PageFrame):
    """A dataset: what it holds, who predicted on it, what was done to it."""

    facts: tuple[Fact, ...]
    types: tuple[Fact, ...]
    labels: tuple[LabelObjectCounts, ...]
    label_limit: str
    runs: tuple[RunRow, ...]
    slices: tuple[Fact, ...]
    jobs: tuple[JobRow, ...]


def dataset_page(cursor: Cursor, urls: Urls, dataset_id: str) -> DatasetPage:
    """Gather the page of a dataset; raises `NotFoundError` if there is none with this id."""
    dataset = datasets.find(cursor, dataset_id)
    tags = datasets.tags(cursor, dataset)
    latest = jobs.listing(
        cursor,
        dataset_id=dataset.id,
        job_types=[],
        since=None,
        until=None,
        limit=_JOBS,
        show_completed=True,
    )
    return DatasetPage(
        title=dataset.name,
        trail=(Link("All", urls.home),),
        facts=(
            Fact("Dataset id", dataset.id, code=True),
            Fact("Items", whole(datasets.size(cursor, dataset))),
            Fact("Kind", "scenes" if dataset.is_scene else "items"),
            Fact("Tags", ", ".join(tags) or "none"),
        ),
        types=tuple(
            Fact(entry.type, whole(entry.count)) for entry in page_counts.type_facts(cursor, dataset)
        ),
        labels=tuple(
            LabelObjectCounts(entry.label, whole(entry.count), whole(entry.items))
            for entry in page_counts.label_facts(cursor, dataset, limit=_LABELS)
        ),
        label_limit=whole(_LABELS),
        runs=tuple(run_row(facts, urls) for facts in page_counts.runs_of_dataset(cursor, dataset)),
        slices=tuple(Fact(entry.name, entry.id) for entry in slices.listing(cursor, dataset=dataset)),
        jobs=job_rows(latest, urls),
    )


def run_row(facts: RunFacts, urls: Urls) -> RunRow:
    """Return a run as a row of a table."""
    at = facts.calculated_at
    return RunRow(
        Link(facts.model_name, urls.model(facts.model_id)),
        Link(facts.dataset_name, urls.dataset(facts.dataset_id)),
        facts.run_id,
        whole(facts.predictions),
        Link(
            "not calculated yet" if at is None else "see metrics",
            urls.evaluation(facts.dataset_id, facts.model_id),
        ),
        "" if at is None else moment(at),
    )
