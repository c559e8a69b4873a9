"""Masks behind addresses: fetched before they are compared, where the server may, and kept from then on.

What an address holds later changes nothing: a mask that is uploaded again, with `update`, is fetched again.
"""

from __future__ import annotations

import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.image_bytes import PNG
from airflow_provider_nucleus.local.blobs import Kept
from airflow_provider_nucleus.local.pictures import examine
from airflow_provider_nucleus.local.remote_files import RemoteFileError, RemoteFiles
from airflow_provider_nucleus.local.store.catalog.blob_records import record_blobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from airflow_provider_nucleus.local.jobs.execution import JobContext
    from airflow_provider_nucleus.local.settings import Settings

__all__ = ["fetch_masks", "places"]

_LARGEST: Final = 32 * 1024 * 1024
_AT_ONCE: Final = 8
_PATIENCE: Final = 20
"""Times in a row that a host may fail before the other masks are not asked of it."""


@dataclass(frozen=True, slots=True)
class _RemoteMask:
    """A mask whose bytes are elsewhere."""

    number: int
    address: str


def places(settings: Settings) -> RemoteFiles:
    """Return where the settings allow masks to be read from."""
    return RemoteFiles(
        web=settings.fetch_masks,
        stores=settings.fetch_masks,
        roots=tuple(Path(root) for root in settings.file_roots.split(":") if root),
    )


def fetch_masks(context: JobContext, condition: str, parameters: Sequence[object] = ()) -> dict[int, str]:
    """Fetch the masks that a condition on `masks` selects and whose bytes are elsewhere.

    Returns, by object number, why one was not fetched. Each batch is committed, so that an interrupted job goes on with the rest.
    """
    services = context.services
    source = places(services.settings)
    with services.db.read() as cursor:
        wanted = list(
            starmap(
                _RemoteMask,
                cursor.execute(
                    f"SELECT object_no, mask_url FROM masks WHERE blob IS NULL AND {condition} ORDER BY item_no",
                    list(parameters),
                ).fetchall(),
            )
        )
    problems: dict[int, str] = {}
    hosts = _Hosts(source, context.stopping.is_set)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for start in range(0, len(wanted), _AT_ONCE):
            batch = wanted[start : start + _AT_ONCE]
            with services.blobs.keeping() as keep:
                found = list(pool.map(lambda mask: _fetch(mask, hosts, keep), batch))
                problems |= {
                    mask.number: got for mask, got in zip(batch, found, strict=True) if isinstance(got, str)
                }
                kept = [(mask, got) for mask, got in zip(batch, found, strict=True) if isinstance(got, Kept)]
                with services.db.write() as cursor:
                    context.check(cursor)
                    record_blobs(cursor, [blob for _, blob in kept])
                    for mask, blob in kept:
                        # It may have been replaced meanwhile.
                        cursor.execute(
                            "UPDATE masks SET blob = ? WHERE object_no = ? AND mask_url = ? AND blob IS NULL",
                            [blob.token, mask.number, mask.address],
                        )
    return problems


class _Hosts:
    """The places that masks come from; one that only fails is not asked for ever."""

    def __init__(self, source: RemoteFiles, stopped: Callable[[], bool]) -> None:
        self._source = source
        self._stopped = stopped
        self._failures = Counter[str]()

    def read(self, address: str) -> bytes:
        """Return the bytes behind an address; raises `RemoteFileError`."""
        host = address.partition("://")[2].partition("/")[0]
        if self._failures[host] >= _PATIENCE:
            raise RemoteFileError(f"{host} failed {_PATIENCE} times in a row and is not asked again")
        try:
            data = self._source.read(address, limit=_LARGEST, stopped=self._stopped)
        except RemoteFileError:
            # Paths have no host: each of them fails at once.
            self._failures[host] += bool(host)
            raise
        self._failures[host] = 0
        return data


def _fetch(mask: _RemoteMask, hosts: _Hosts, keep: Callable[[BinaryIO], tuple[str, int]]) -> Kept | str:
    """Return the kept bytes of a mask, or why there are none."""
    where = f"the mask is behind a remote address ({mask.address})"
    try:
        data = hosts.read(mask.address)
    except RemoteFileError as error:
        return f"{where}: {error}"
    picture = examine(io.BytesIO(data), PNG)
    if picture.problem is not None:
        return f"{where}, which holds no PNG: {picture.problem}"
    return Kept(*keep(io.BytesIO(data)), "image/png")
