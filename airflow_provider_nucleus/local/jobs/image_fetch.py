"""Fetching the images of appended items, for servers that are told to (`fetch_images`)."""

from __future__ import annotations

import io
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from airflow_provider_nucleus.local.pictures import examine
from airflow_provider_nucleus.local.remote_files import RemoteFileError, SlowFileError, read_web
from airflow_provider_nucleus.local.store.ingest.object_rows import mark_bad

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_nucleus.local.blobs import BlobFiles
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Fetched", "fetch_images"]

_LARGEST: Final = 100 * 1024 * 1024
_PATIENCE: Final = 4
"""Times that a host may be too slow before the other images of a chunk are not asked of it."""
_STANDSTILL: Final = 90.0
"""Seconds without one image after which the rest is given up: a host may send the head of an answer for days."""
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


def fetch_images(cursor: Cursor, blobs: BlobFiles, check: Callable[[], None]) -> list[Fetched]:
    """Fetch the http(s) images of the good rows of `parsed`; rows whose image does not come get their reason.

    `check` raises when the job is to stop, and is asked every second. A host that is too slow a few times is not asked again.
    """
    wanted = cursor.execute(
        "SELECT n, image_url FROM parsed WHERE reason IS NULL AND regexp_matches(image_url, '^https?://')"
    ).fetchall()
    slow = _SlowHosts()
    with blobs.keeping() as keep:
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            waiting = {pool.submit(_fetch, n, url, keep, slow): (n, url) for n, url in wanted}
            fetched = _collected(waiting, check)
        finally:
            # Those that are under way end at their next block, and keep nothing.
            slow.stopped = True
            pool.shutdown(wait=False, cancel_futures=True)
    mark_bad(cursor, [(entry.row, entry.problem) for entry in fetched if entry.problem is not None])
    return fetched


def _collected(
    waiting: Mapping[Future[Fetched], tuple[int, str]], check: Callable[[], None]
) -> list[Fetched]:
    left, fetched, last = set(waiting), list[Fetched](), time.monotonic()
    while left:
        done, left = wait(left, timeout=1.0)
        fetched += [future.result() for future in done]
        if done:
            last = time.monotonic()
        check()
        if time.monotonic() - last > _STANDSTILL:
            reason = f"no image came for {_STANDSTILL:.0f} seconds"
            return fetched + [
                Fetched(
                    row=waiting[future][0],
                    problem=f'Failure when processing the image "{waiting[future][1]}": {reason}',
                )
                for future in left
            ]
    return fetched


class _SlowHosts:
    """Hosts that send too slowly, by how often they did, and whether to stop altogether."""

    def __init__(self) -> None:
        self.stopped = False
        self._times = Counter[str]()

    def add(self, host: str) -> None:
        """Note that an image took longer than it may."""
        self._times[host] += 1

    def skips(self, host: str) -> bool:
        """Return whether a host was too slow often enough."""
        return self._times[host] >= _PATIENCE


def _fetch(row: int, url: str, keep: Callable[[BinaryIO], tuple[str, int]], slow: _SlowHosts) -> Fetched:
    failed = f'Failure when processing the image "{url}"'
    host = url.split("/")[2]
    if slow.skips(host):
        return Fetched(
            row=row, problem=f"{failed}: its host was too slow {_PATIENCE} times and is not asked again"
        )
    try:
        found = read_web(url, limit=_LARGEST, stopped=lambda: slow.stopped)
    except SlowFileError as error:
        slow.add(host)
        return Fetched(row=row, problem=f"{failed}: {error}")
    except RemoteFileError as error:
        return Fetched(row=row, problem=f"{failed}: {error}")
    if not found.content_type.startswith("image/"):
        return Fetched(row=row, problem=f"{failed}: it is {found.content_type}, not an image")
    picture = examine(io.BytesIO(found.data))
    if picture.problem is not None:
        return Fetched(row=row, problem=f"{failed}: {picture.problem}")
    if slow.stopped:
        return Fetched(row=row, problem=f"{failed}: it came too late")
    token, size = keep(io.BytesIO(found.data))
    return Fetched(row=row, token=token, content_type=found.content_type, size=size, phash=picture.phash)
