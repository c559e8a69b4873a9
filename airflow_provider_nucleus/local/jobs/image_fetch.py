"""Fetching the images of appended items, for servers that are told to (`fetch_images`)."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from airflow_provider_nucleus.local.pictures import examine
from airflow_provider_nucleus.local.remote_files import RemoteFileError, read_web
from airflow_provider_nucleus.local.store.ingest.object_rows import mark_bad

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_nucleus.local.blobs import BlobFiles
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Fetched", "fetch_images"]

_LARGEST: Final = 100 * 1024 * 1024
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The outcome for the image of a row: kept under a token, or a problem."""

    row: int
    token: str | None = None
    content_type: str = ""
    size: int = 0
    phash: str | None = None
    problem: str | None = None


def fetch_images(cursor: Cursor, blobs: BlobFiles) -> list[Fetched]:
    """Fetch the http(s) images of the good rows of `parsed`; rows whose image does not come get their reason."""
    wanted = cursor.execute(
        "SELECT n, image_url FROM parsed WHERE reason IS NULL AND regexp_matches(image_url, '^https?://')"
    ).fetchall()
    with blobs.keeping() as keep, ThreadPoolExecutor(_AT_ONCE) as pool:
        fetched = list(pool.map(lambda pair: _fetch(pair[0], pair[1], keep), wanted))
    mark_bad(cursor, [(entry.row, entry.problem) for entry in fetched if entry.problem is not None])
    return fetched


def _fetch(row: int, url: str, keep: Callable[[BinaryIO], tuple[str, int]]) -> Fetched:
    failed = f'Failure when processing the image "{url}"'
    try:
        found = read_web(url, limit=_LARGEST)
    except RemoteFileError as error:
        return Fetched(row=row, problem=f"{failed}: {error}")
    if not found.content_type.startswith("image/"):
        return Fetched(row=row, problem=f"{failed}: it is {found.content_type}, not an image")
    picture = examine(io.BytesIO(found.data))
    if picture.problem is not None:
        return Fetched(row=row, problem=f"{failed}: {picture.problem}")
    token, size = keep(io.BytesIO(found.data))
    return Fetched(row=row, token=token, content_type=found.content_type, size=size, phash=picture.phash)
