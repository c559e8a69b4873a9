"""Records of blobs: which tokens may be served, and as what type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.store import timestamps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.local.blobs import Kept
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["content_type_of", "record_blobs"]


def record_blobs(cursor: Cursor, blobs: Iterable[Kept]) -> None:
    """Record kept blobs so that they can be served."""
    moment = timestamps.now()
    for blob in blobs:
        cursor.execute(
            "INSERT INTO blobs VALUES (?, ?, ?, ?)", [blob.token, blob.content_type, blob.size, moment]
        )


def content_type_of(cursor: Cursor, token: str) -> str:
    """Return the content type of a blob; raises `NotFoundError` if there is none with this token."""
    found = cursor.execute("SELECT content_type FROM blobs WHERE token = ?", [token]).fetchone()
    if found is None:
        raise NotFoundError("This file does not exist.")
    return str(found[0])
