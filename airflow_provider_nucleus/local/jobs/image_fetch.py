"""Fetching the images of appended items, for servers that are told to (`fetch_images`)."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from airflow_provider_nucleus.image_bytes import HEAD, image_format
from airflow_provider_nucleus.local.store.ingest.object_rows import mark_bad

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from airflow_provider_nucleus.local.blobs import BlobFiles
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Fetched", "fetch_images"]

_LARGEST: Final = 100 * 1024 * 1024
_TIMEOUT: Final = 30.0
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The outcome for the image of a row: kept under a token, or a problem."""

    row: int
    token: str | None = None
    content_type: str = ""
    size: int = 0
    problem: str | None = None


class _WebOnly(HTTPRedirectHandler):
    """Follows redirects to http and https alone: the library would go on to ftp as well."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """Return the request to go on with; raises URLError when it would leave the web."""
        if urlsplit(newurl).scheme not in {"http", "https"}:
            raise URLError("it redirects to an address that is not http or https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_WEB: Final = build_opener(_WebOnly)


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
        request = Request(url, headers={"User-Agent": "airflow-provider-nucleus"})  # ruff: ignore[suspicious-url-open-usage] - http(s) only, see above
        with _WEB.open(request, timeout=_TIMEOUT) as response:
            content_type = response.headers.get_content_type()
            data = response.read(_LARGEST + 1)
            # What the answer has declared and not sent: the library returns what came as if it were all.
            missing = response.length or 0
    except (URLError, HTTPException, OSError, ValueError) as error:
        return Fetched(row=row, problem=f"{failed}: {error}")
    if not content_type.startswith("image/"):
        return Fetched(row=row, problem=f"{failed}: it is {content_type}, not an image")
    if len(data) > _LARGEST:
        return Fetched(row=row, problem=f"{failed}: it is larger than {_LARGEST} bytes")
    if missing:
        return Fetched(row=row, problem=f"{failed}: the connection ended {missing} bytes before its end")
    if image_format(data[:HEAD]) is None:
        found = "bytes of no image format" if data else "no bytes"
        return Fetched(row=row, problem=f"{failed}: it has {found}")
    token, size = keep(io.BytesIO(data))
    return Fetched(row=row, token=token, content_type=content_type, size=size)
