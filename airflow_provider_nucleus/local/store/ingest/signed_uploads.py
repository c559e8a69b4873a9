"""Signed URLs and the files that arrive through them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.errors import ConflictError, GoneError, NotFoundError
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.database import one

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "SignedUpload",
    "assign",
    "expect",
    "mark_received",
    "new_file",
    "received",
    "remove",
    "require_open",
    "spool_path",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedUpload:
    """An NDJSON file that has arrived: `token` is of the address, `file` names the file, `lines` counts its lines."""

    token: str
    file: str
    lines: int


def new_file() -> str:
    """Return the name of a file that is to arrive; no two are the same."""
    return secrets.token_urlsafe(32)


def spool_path(folder: Path, name: str) -> Path:
    """Return where a file lies, by its own token."""
    return folder / f"{name}.ndjson"


def expect(cursor: Cursor, dataset: DatasetRecord, request_id: str, *, lifetime: float) -> str:
    """Hand out a token for an upload, valid for `lifetime` seconds."""
    token = secrets.token_urlsafe(32)
    cursor.execute(
        "INSERT INTO uploads VALUES (?, ?, ?, ?, NULL, NULL, NULL)",
        [token, dataset.number, request_id, timestamps.now() + timedelta(seconds=lifetime)],
    )
    return token


def require_open(cursor: Cursor, token: str) -> None:
    """Check that a token may be uploaded to; raises if it is unknown, expired or already in use by a job."""
    row = one(cursor, "SELECT expires_at, job_no FROM uploads WHERE token = ?", [token])
    if row is None:
        raise NotFoundError("This upload URL does not exist.")
    if row["job_no"] is not None:
        raise ConflictError("A job is already reading this upload; ask for a new signed URL.")
    if row["expires_at"] < timestamps.now():
        raise GoneError("This upload URL has expired; ask for a new signed URL.")


def mark_received(cursor: Cursor, token: str, *, file: str, lines: int) -> str | None:
    """Record which file is the upload of a token, complete on disk; return the one that was until now, None if there was none."""
    row = one(cursor, "SELECT coalesce(file, token) AS file, lines FROM uploads WHERE token = ?", [token])
    cursor.execute("UPDATE uploads SET file = ?, lines = ? WHERE token = ?", [file, lines, token])
    return None if row is None or row["lines"] is None else str(row["file"])


def received(cursor: Cursor, dataset: DatasetRecord, request_id: str) -> SignedUpload | None:
    """Return the newest complete upload of a request id that no job reads yet, or None."""
    row = one(
        cursor,
        "SELECT token, coalesce(file, token) AS file, lines FROM uploads WHERE dataset_no = ? AND request_id = ? AND lines IS NOT NULL "
        "AND job_no IS NULL ORDER BY expires_at DESC LIMIT 1",
        [dataset.number, request_id],
    )
    return None if row is None else SignedUpload(**row)


def assign(cursor: Cursor, upload: SignedUpload, job_no: int) -> None:
    """Give a complete upload to a job: from now on nobody may replace it."""
    cursor.execute("UPDATE uploads SET job_no = ? WHERE token = ?", [job_no, upload.token])


def remove(cursor: Cursor, name: str) -> None:
    """Forget the upload whose file this is; the file itself is the caller's to delete."""
    cursor.execute("DELETE FROM uploads WHERE coalesce(file, token) = ?", [name])
