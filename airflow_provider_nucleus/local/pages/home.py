"""The home page: datasets, models and the latest jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.pages.layout import Link, PageFrame
from airflow_provider_nucleus.local.pages.text import moment, whole
from airflow_provider_nucleus.local.store.catalog import jobs
from airflow_provider_nucleus.local.store.views import page_counts

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.pages.urls import Urls
    from airflow_provider_nucleus.local.store.catalog.jobs import JobRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["HomePage", "JobRow", "home_page", "job_rows"]

_ROWS: Final = 200
_JOBS: Final = 20


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset in the list."""

    link: Link
    id: str
    items: str
    annotations: str
    runs: str
    created: str


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in the list."""

    link: Link
    id: str
    reference_id: str
    runs: str
    created: str


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job in the list."""

    link: Link
    type: str
    status: str
    steps: str
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HomePage(PageFrame):
    """Everything the server has, newest first; `limit` is how many of each are listed at most."""

    datasets: tuple[DatasetRow, ...]
    models: tuple[ModelRow, ...]
    jobs: tuple[JobRow, ...]
    limit: str


def home_page(cursor: Cursor, urls: Urls) -> HomePage:
    """Gather the home page."""
    datasets = [
        DatasetRow(
            Link(facts.name, urls.dataset(facts.id)),
            facts.id,
            whole(facts.items),
            whole(facts.annotations),
            whole(facts.runs),
            moment(facts.created_at),
        )
        for facts in page_counts.dataset_facts(cursor, limit=_ROWS)
    ]
    models = [
        ModelRow(
            Link(facts.name, urls.model(facts.id)),
            facts.id,
            facts.reference_id,
            whole(facts.runs),
            moment(facts.created_at),
        )
        for facts in page_counts.model_facts(cursor, limit=_ROWS)
    ]
    latest = jobs.listing(
        cursor, dataset_id=None, job_types=[], since=None, until=None, limit=_JOBS, show_completed=True
    )
    return HomePage(
        title="Embedded Nucleus",
        datasets=tuple(datasets),
        models=tuple(models),
        jobs=job_rows(latest, urls),
        limit=whole(_ROWS),
    )


def job_rows(found: list[JobRecord], urls: Urls) -> tuple[JobRow, ...]:
    """Return jobs as rows of a table."""
    return tuple(
        JobRow(
            Link(job.id, urls.job(job.id)),
            job.type,
            job.status,
            f"{whole(job.state.completed_steps)} of {whole(job.state.total_steps)}",
            moment(job.created_at),
        )
        for job in found
    )
