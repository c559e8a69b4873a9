"""Job rows: request, progress and outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.errors import ConflictError, NotFoundError
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.database import one, rows
from airflow_provider_nucleus.local.store.ids import new_id
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "ERRORS_KEPT",
    "RUNNING",
    "JobProgress",
    "JobRecord",
    "add_errors",
    "create",
    "errors",
    "find",
    "find_by_request",
    "finish",
    "id_of",
    "is_cancelled",
    "listing",
    "request_cancel",
    "save_progress",
    "unfinished",
]

ERRORS_KEPT: Final = 10_000
"""Number of row errors of a chunk, and of a job, that are kept: the latest."""

LISTING_LIMIT: Final = 50_000
RUNNING: Final = "Running"

_COLUMNS: Final = (
    "job_no, job_id, type, status, j.dataset_no, d.dataset_id, request, cursor, counts, message, completed_steps, "
    "total_steps, cancel_requested, j.created_at, requested_by"
)
_FROM: Final = "FROM jobs j LEFT JOIN datasets d USING (dataset_no)"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """Progress of a job: `cursor` in units of its own (bytes for uploads), `counts` its tallies so far."""

    cursor: int
    counts: dict[str, Any]
    completed_steps: int
    total_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job as stored; `request` is what its runner needs to know, from the first run to the last resumption."""

    number: int
    id: str
    type: str
    status: str
    dataset_no: int | None
    dataset_id: str | None
    request: dict[str, Any]
    message: dict[str, Any]
    state: JobProgress
    cancel_requested: bool
    created_at: datetime
    requested_by: dict[str, str] | None

    def to_wire(self) -> dict[str, str]:
        """Return the four keys of a job object."""
        return {
            "job_id": self.id,
            "job_last_known_status": self.status,
            "job_type": self.type,
            "job_creation_time": timestamps.to_wire(self.created_at),
        }

    def status_to_wire(self) -> dict[str, Any]:
        """Return the status object of `GET job/{id}`."""
        done, steps = self.state.completed_steps, self.state.total_steps
        if self.status.startswith("Errored"):
            # Rows that were refused are steps that came to nothing.
            refused = sum(int(self.state.counts.get(name, 0)) for name in ("errored", "mask_errored"))
            done = max(done - refused, 0)
        share = done / steps if steps else float(self.status == "Completed")
        return {
            "job_id": self.id,
            "job_type": self.type,
            "status": self.status,
            "message": self.message,
            "job_progress": f"{share:.2f}",
            "completed_steps": done,
            "total_steps": steps,
            "job_creation_time": timestamps.to_wire(self.created_at),
        }


def _job(row: dict[str, Any]) -> JobRecord:
    return JobRecord(
        number=row["job_no"],
        id=row["job_id"],
        type=row["type"],
        status=row["status"],
        dataset_no=row["dataset_no"],
        dataset_id=row["dataset_id"],
        request=orjson.loads(row["request"]),
        message=orjson.loads(row["message"]),
        state=JobProgress(
            cursor=row["cursor"],
            counts=orjson.loads(row["counts"]),
            completed_steps=row["completed_steps"],
            total_steps=row["total_steps"],
        ),
        cancel_requested=row["cancel_requested"],
        created_at=row["created_at"],
        requested_by=None if row["requested_by"] is None else orjson.loads(row["requested_by"]),
    )


def create(
    cursor: Cursor,
    job_type: str,
    *,
    dataset_no: int | None,
    request: dict[str, Any],
    total_steps: int,
    requested_by: dict[str, str] | None = None,
) -> JobRecord:
    """Add a job. It is reported as Running at once: clients take anything else for an end."""
    job_id = new_id("job")
    text = orjson.dumps(request).decode()
    cursor.execute(
        "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, 0, '{}', '{}', 0, ?, false, ?, NULL, ?)",
        [
            reserve(cursor, "job"), job_id, job_type, RUNNING, dataset_no, text, total_steps,
            timestamps.now(), None if requested_by is None else orjson.dumps(requested_by).decode(),
        ],
    )  # fmt: skip
    return find(cursor, job_id)


def find(cursor: Cursor, job_id: str) -> JobRecord:
    """Return a job; raises `NotFoundError` if there is none with this id."""
    row = one(cursor, f"SELECT {_COLUMNS} {_FROM} WHERE job_id = ?", [job_id])
    if row is None:
        raise NotFoundError(f"Job {job_id} does not exist.")
    return _job(row)


def find_by_request(
    cursor: Cursor, job_type: str, *, dataset_no: int | None, request_id: str
) -> JobRecord | None:
    """Return the job that an earlier, identical call has started, or None."""
    row = one(
        cursor,
        f"SELECT {_COLUMNS} {_FROM} WHERE type = ? AND j.dataset_no IS NOT DISTINCT FROM ? "
        "AND json_extract_string(request, '$.request_id') = ? ORDER BY job_no DESC",
        [job_type, dataset_no, request_id],
    )
    return None if row is None else _job(row)


def unfinished(cursor: Cursor) -> list[JobRecord]:
    """Return the jobs that a former server left running, oldest first."""
    return [
        _job(row)
        for row in rows(cursor, f"SELECT {_COLUMNS} {_FROM} WHERE status = ? ORDER BY job_no", [RUNNING])
    ]


def listing(
    cursor: Cursor,
    *,
    dataset_id: str | None,
    job_types: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    limit: int,
    show_completed: bool,
) -> list[JobRecord]:
    """Return jobs, newest first; an empty `job_types` means all of them."""
    conditions: list[str] = ["true"]
    parameters: list[Any] = []
    if dataset_id is not None:
        conditions.append("d.dataset_id = ?")
        parameters.append(dataset_id)
    if job_types:
        conditions.append("j.type IN (SELECT unnest(?::VARCHAR[]))")
        parameters.append(list(job_types))
    for moment, comparison in ((since, ">="), (until, "<=")):
        if moment is not None:
            conditions.append(f"j.created_at {comparison} ?")
            parameters.append(moment)
    if not show_completed:
        conditions.append("status <> 'Completed'")
    sql = f"SELECT {_COLUMNS} {_FROM} WHERE {' AND '.join(conditions)} ORDER BY job_no DESC LIMIT ?"
    return [_job(row) for row in rows(cursor, sql, [*parameters, min(limit, LISTING_LIMIT)])]


def save_progress(cursor: Cursor, job: JobRecord, state: JobProgress) -> None:
    """Record how far a job is; run it in the transaction that stored what it counts."""
    cursor.execute(
        "UPDATE jobs SET cursor = ?, counts = ?, completed_steps = ?, total_steps = ? WHERE job_no = ?",
        [
            state.cursor,
            orjson.dumps(state.counts).decode(),
            state.completed_steps,
            state.total_steps,
            job.number,
        ],
    )


def finish(cursor: Cursor, job: JobRecord, *, status: str, message: dict[str, Any]) -> None:
    """Give a job its final status and message."""
    cursor.execute(
        "UPDATE jobs SET status = ?, message = ?, finished_at = ? WHERE job_no = ?",
        [status, orjson.dumps(message).decode(), timestamps.now(), job.number],
    )


def request_cancel(cursor: Cursor, job: JobRecord) -> None:
    """Ask a running job to stop before its next chunk; raises `ConflictError` if it has ended."""
    if job.status != RUNNING:
        raise ConflictError(f"Job {job.id} has already ended: {job.status}.")
    cursor.execute("UPDATE jobs SET cancel_requested = true WHERE job_no = ?", [job.number])


def is_cancelled(cursor: Cursor, job: JobRecord) -> bool:
    """Return whether the cancellation of a job was requested."""
    found = cursor.execute("SELECT cancel_requested FROM jobs WHERE job_no = ?", [job.number]).fetchone()
    return found is None or bool(found[0])


def add_errors(cursor: Cursor, job: JobRecord, texts: Sequence[str]) -> None:
    """Append row errors, forgetting the oldest beyond `ERRORS_KEPT`."""
    if not texts:
        return
    first = reserve(cursor, "job_error", count=len(texts))
    cursor.execute(
        "INSERT INTO job_errors SELECT ?, ? + i, text FROM "
        "(SELECT generate_subscripts(texts, 1) - 1 AS i, unnest(texts) AS text FROM (SELECT ?::VARCHAR[] AS texts))",
        [job.number, first, list(texts)],
    )
    cursor.execute(
        "DELETE FROM job_errors WHERE job_no = ? AND error_no NOT IN "
        "(SELECT error_no FROM job_errors WHERE job_no = ? ORDER BY error_no DESC LIMIT ?)",
        [job.number, job.number, ERRORS_KEPT],
    )


def errors(cursor: Cursor, job: JobRecord) -> list[str]:
    """Return the latest row errors of a job in order of their rows."""
    sql = "SELECT text FROM job_errors WHERE job_no = ? ORDER BY error_no"
    return [row[0] for row in cursor.execute(sql, [job.number]).fetchall()]


def id_of(cursor: Cursor, number: int) -> str:
    """Return the public id of a job by its internal number."""
    found = cursor.execute("SELECT job_id FROM jobs WHERE job_no = ?", [number]).fetchone()
    assert found is not None, f"job number {number} is referred to and gone"
    return str(found[0])
