"""Jobs whose start had no answer: finding them, and verifying, once they ended, that they stored our rows.

A job names neither its client nor the file it reads. Its number of rows does not identify it either: parts of a batch that are
uploaded in parallel are often equally long. So a few rows are read back.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.calls.annotations import annotation
from airflow_provider_nucleus.client.calls.items import item_by_reference
from airflow_provider_nucleus.client.calls.jobs import job_status
from airflow_provider_nucleus.client.calls.predictions import prediction
from airflow_provider_nucleus.client.job_counts import job_rows
from airflow_provider_nucleus.exceptions import NucleusNotFoundError, NucleusValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget
    from airflow_provider_nucleus.schema.jobs import Job, JobStatus

__all__ = ["certainly_before", "find_missing_row", "find_orphan_job", "sample_rows"]

_COMPARED = ("label", "geometry", "confidence")


def find_orphan_job(
    send: Callable[[Call[JobStatus]], JobStatus], listed: Iterable[Job], *, since: str, rows: int
) -> Job | None:
    """Return the one job of `listed` that a start after `since` with so many `rows` may have led to.

    It must have, or at least not contradict, the number of rows; with several that fit nothing is certain and none is taken.
    """
    fitting: list[tuple[Job, bool]] = []
    for job in listed:
        if certainly_before(job.job_creation_time, since):
            continue
        try:
            status = send(job_status(job.job_id))
        except NucleusNotFoundError:
            continue
        found = job_rows(status)
        if found is None or found == rows:
            fitting.append((job, found is not None))
    exact_matches = [job for job, exact in fitting if exact]
    best = exact_matches or [job for job, _ in fitting]
    return best[0] if len(best) == 1 else None


def certainly_before(one: str, other: str) -> bool:
    """Return whether one time of the server certainly lies before another; False when a time cannot be read."""
    if not one or not other:
        return False
    try:
        return _instant(one) < _instant(other)
    except ValueError:
        return False


def _instant(text: str) -> dt.datetime:
    when = dt.datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=dt.UTC)


def sample_rows(lines: Iterator[bytes], count: int) -> list[dict[str, Any]]:
    """Return identity and content of the first, a middle and the last of the rows that can be read back by their id."""
    wanted = {0, count // 2, count - 1}
    rows: list[dict[str, Any]] = []
    missed = False
    for number, line in enumerate(lines):
        missed = missed or number in wanted
        if missed:
            row = json.loads(line)
            if "image_url" in row or row.get("annotation_id"):
                kept = ("reference_id", "annotation_id", *_COMPARED)
                rows.append({name: row[name] for name in kept if name in row})
                missed = False
    return rows


def find_missing_row(
    client: NucleusClient,
    target: UploadTarget,
    options: UploadOptions,
    samples: Iterable[dict[str, Any]],
    *,
    is_refused: Callable[[dict[str, Any]], bool],
) -> str | None:
    """Return the reference id of a sampled row that the job did not deal with, None when it dealt with all.

    A row is dealt with when it is stored, or when the job refused it (`is_refused`). When rows are replaced, a stored row must
    also have our content; else an older one may rightly have stayed.
    """
    for row in samples:
        try:
            found = client.send(_read_call(target, row))
        except NucleusNotFoundError:
            if is_refused(row):
                continue
            return str(row["reference_id"])
        except NucleusValidationError:
            continue  # an id that no address can hold
        if options.update and target.kind != "items":
            stored = found.to_wire()
            if any(stored.get(name) != row[name] for name in _COMPARED if name in row):
                return str(row["reference_id"])
    return None


def _read_call(target: UploadTarget, row: dict[str, Any]) -> Call[Any]:
    if target.kind == "items":
        return item_by_reference(target.dataset_id, row["reference_id"])
    if target.model_id is None:
        return annotation(target.dataset_id, row["reference_id"], row["annotation_id"])
    return prediction(target.dataset_id, target.model_id, row["reference_id"], row["annotation_id"])
