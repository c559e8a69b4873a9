"""Finding a job whose start left no answer: nothing in a job says who started it, or which file it reads."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from airflow_provider_nucleus.client.calls.jobs import job_status
from airflow_provider_nucleus.client.job_counts import job_rows
from airflow_provider_nucleus.exceptions import NucleusNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.schema.jobs import Job

__all__ = ["certainly_before", "unnamed_job"]


def unnamed_job(client: NucleusClient, listed: Iterable[Job], *, since: str, rows: int) -> Job | None:
    """Return the one job of *listed* that a start after *since* with so many *rows* may have led to.

    It must have, or at least not contradict, the number of rows; with several that fit nothing is certain and none is taken.
    """
    fitting: list[tuple[Job, bool]] = []
    for job in listed:
        if certainly_before(job.job_creation_time, since):
            continue
        try:
            status = client.send(job_status(job.job_id))
        except NucleusNotFoundError:
            continue
        found = job_rows(status)
        if found is None or found == rows:
            fitting.append((job, found is not None))
    proven = [job for job, exact in fitting if exact]
    best = proven or [job for job, _ in fitting]
    return best[0] if len(best) == 1 else None


def certainly_before(one: str, other: str) -> bool:
    """Whether a time of the server's certainly lies before another; unreadable times lie nowhere."""
    if not one or not other:
        return False
    try:
        return _instant(one) < _instant(other)
    except ValueError:
        return False


def _instant(text: str) -> dt.datetime:
    when = dt.datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=dt.UTC)
