"""The page of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.jobs.matching import MATCHING_JOB
from airflow_provider_nucleus.local.pages.layout import Fact, Link, PageFrame
from airflow_provider_nucleus.local.pages.text import json_text, moment, task_text, whole
from airflow_provider_nucleus.local.store.catalog import evaluations, jobs

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.pages.urls import Urls
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["JobPage", "job_page"]

_ERRORS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage(PageFrame):
    """A job: how far it is, its message as JSON, the latest of its row errors and how many there are."""

    status: str
    running: bool
    facts: tuple[Fact, ...]
    message: str
    errors: tuple[str, ...]
    error_count: str


def job_page(cursor: Cursor, urls: Urls, job_id: str) -> JobPage:
    """Gather the page of a job; raises `NotFoundError` if there is none with this id."""
    job = jobs.find(cursor, job_id)
    errors = jobs.errors(cursor, job)
    facts = [
        Fact("Job id", job.id, code=True),
        Fact("Type", job.type),
        Fact("Started", moment(job.created_at)),
        Fact("Steps", f"{whole(job.state.completed_steps)} of {whole(job.state.total_steps)}"),
    ]
    if job.requested_by is not None:
        facts.append(Fact("Requested by", task_text(job.requested_by)))
    if job.dataset_id is not None:
        facts.append(Fact("Dataset", job.dataset_id, urls.dataset(job.dataset_id), code=True))
    if job.type == MATCHING_JOB and job.dataset_id is not None:
        state = {"calculation": job.id}
        address = urls.evaluation(job.dataset_id, job.request["run_id"], state=state)
        facts.append(Fact("Result", "evaluation", address))
    if job.type == evaluations.EVALUATION_JOB:
        evaluation = evaluations.by_number(cursor, job.request["evaluation_no"])
        if evaluation is not None and evaluation.status == evaluations.SUCCEEDED:
            facts += [Fact("Result", name, address) for name, address in urls.numbers(evaluation.id).items()]
    return JobPage(
        title=job.id,
        trail=(Link("All", urls.home),),
        status=job.status,
        running=job.status == jobs.RUNNING,
        facts=tuple(facts),
        message=json_text(job.message) if job.message else "",
        errors=tuple(errors[-_ERRORS:]),
        error_count=whole(len(errors)),
    )
