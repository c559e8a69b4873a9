"""The wait for the jobs of an upload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.client.jobs import JOBS
from airflow_provider_nucleus.client.waiting import (
    Patience,
    StopReason,
    left_running,
    run,
    stall_hint,
    waiting,
)
from airflow_provider_nucleus.exceptions import NucleusJobTimeout, NucleusUploadError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions
    from airflow_provider_nucleus.schema.jobs import JobStatus

__all__ = ["wait_for_upload_jobs"]

_FIRST_PAUSE = 0.5
"""Seconds until the second look; it doubles up to the poll interval, so that small uploads do not wait for nothing."""

_ATTACHES = "A retry attaches to what still runs."


def wait_for_upload_jobs(
    client: NucleusClient,
    job_ids: Sequence[str],
    options: UploadOptions,
    *,
    stopped: Callable[[], bool],
    log: logging.Logger,
) -> dict[str, JobStatus]:
    """Return how each job ended; a job that the server does not have (any more) is left out.

    Raises NucleusJobTimeout after `job_timeout` seconds, the error of the last look when an outage lasts longer than `ride_out`
    or waiting does not cure it, and NucleusUploadError when stopped. Jobs go on in all cases.
    """
    patience = Patience(
        options.poll_interval,
        options.ride_out,
        options.job_timeout,
        first_pause=_FIRST_PAUSE,
        not_found_grace=0.0,
    )
    outcome = run(client, waiting(JOBS, job_ids, patience, clock=client.clock, stopped=stopped, log=log))
    left = outcome.open
    if outcome.error is not None:
        outcome.error.add_hint(_ATTACHES)
        raise outcome.error
    if outcome.stop is StopReason.DEADLINE:
        stalled = stall_hint(outcome.seen[job_id].waiting for job_id in left if job_id in outcome.seen)
        hint = f"{left_running('Job', left)} {_ATTACHES}"
        raise NucleusJobTimeout(
            f"{len(left)} of {len(job_ids)} upload jobs did not end within {options.job_timeout:.0f} s.",
            job_id=left[0],
            status="Running",
            conn_id=client.config.conn_id,
            hint=hint if stalled is None else f"{hint} {stalled}",
        )
    if left:
        raise NucleusUploadError(
            "Waiting was stopped.",
            job_ids=left,
            conn_id=client.config.conn_id,
            hint=f"{left_running('Job', left)} {_ATTACHES}",
        )
    return outcome.seen
