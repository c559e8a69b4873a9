"""Wait for the jobs of an upload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.client.calls.jobs import job_status
from airflow_provider_nucleus.client.stalled import StalledJobs
from airflow_provider_nucleus.exceptions import (
    NucleusError,
    NucleusJobTimeout,
    NucleusNotFoundError,
    NucleusUploadError,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions
    from airflow_provider_nucleus.schema.jobs import JobStatus

__all__ = ["wait_for_jobs"]

_FIRST_PAUSE = 0.5
"""Seconds until the second look; it doubles up to the poll interval, so that small uploads do not wait for nothing."""


def wait_for_jobs(
    client: NucleusClient,
    job_ids: Sequence[str],
    options: UploadOptions,
    *,
    stopped: Callable[[], bool],
    log: logging.Logger,
) -> dict[str, JobStatus]:
    """Return how each job ended; a job that the server does not have (any more) is left out.

    Raises NucleusJobTimeout after ``job_timeout`` seconds and NucleusUploadError when stopped. Jobs go on in both cases.
    """
    ended: dict[str, JobStatus] = {}
    left = list(job_ids)
    stalled = StalledJobs(log)
    begun = client.clock()
    pause = min(_FIRST_PAUSE, options.poll_interval)
    while True:
        for job_id in tuple(left):
            try:
                status = client.send(job_status(job_id))
            except NucleusNotFoundError:
                left.remove(job_id)
                continue
            except NucleusError as error:
                stays = (
                    f"{len(left)} upload jobs are left as they are ({_few(left)}); a retry attaches to them."
                )
                error.hint = f"{error.hint} {stays}" if error.hint else stays
                raise
            stalled.note(job_id, status.waiting)
            if status.state.terminal:
                ended[job_id] = status
                left.remove(job_id)
                log.info("Job %s ended: %s (%d to go)", job_id, status.status, len(left))
        if not left:
            return ended
        if options.job_timeout is not None and client.clock() - begun > options.job_timeout:
            raise NucleusJobTimeout(
                f"{len(left)} of {len(job_ids)} upload jobs did not end within {options.job_timeout:.0f} s: {_few(left)}.",
                job_id=left[0],
                status="Running",
                conn_id=client.config.conn_id,
                hint=stalled.completed("They are left running; a retry attaches to them.", left),
            )
        if stopped():
            raise NucleusUploadError(
                f"Waiting was stopped; jobs are left running: {_few(left)}.",
                job_ids=left,
                conn_id=client.config.conn_id,
                hint="A retry attaches to them.",
            )
        client.sleep(pause)
        pause = min(2 * pause, options.poll_interval)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
