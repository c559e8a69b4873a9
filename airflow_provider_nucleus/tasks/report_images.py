"""Images of a report, read where their addresses say.

Rows come from anywhere; who writes them must not choose which files of a worker are read, nor which hosts of its network. A location is
read from a disk only below a folder that the caller named, from object stores with Airflow's connections, and by http where the
address does not lead to this machine's own link (a metadata service).
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

import requests
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_nucleus.client.local_files import LocalFiles
from airflow_provider_nucleus.exceptions import NucleusError

__all__ = ["ImageReader"]

MOST_BYTES: Final = 64 * 1024 * 1024
_SECONDS: Final = 30
_DISKS: Final = {"", "file"}


class ImageReader:
    """Reads images by their locations; OSError or ValueError says why one cannot be read. *folder* is where local ones lie."""

    def __init__(self, folder: str | None) -> None:
        self._files = LocalFiles(folder)

    def __call__(self, location: str) -> bytes:
        """Return the bytes of an image."""
        scheme = urlsplit(location).scheme.lower() if "://" in location else ""
        if scheme in {"http", "https"}:
            return _fetched(location)
        if scheme in _DISKS:
            return self._local(location)
        with ObjectStoragePath(location).open("rb") as file:  # type: ignore[no-untyped-call]
            content = file.read(MOST_BYTES + 1)
        return _bounded(bytes(content))

    def _local(self, location: str) -> bytes:
        try:
            content = self._files.content(location)
        except NucleusError as error:
            raise ValueError(error.message.removeprefix(f"{location}: ")) from None
        with content.open() as file:
            return _bounded(file.read(MOST_BYTES + 1))


def _bounded(content: bytes) -> bytes:
    if len(content) > MOST_BYTES:
        raise ValueError(f"the image has more than {MOST_BYTES // 1024 // 1024} MB")
    return content


def _fetched(address: str) -> bytes:
    parts = urlsplit(address)
    for found in socket.getaddrinfo(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)):
        if ipaddress.ip_address(str(found[4][0]).partition("%")[0]).is_link_local:
            raise ValueError("nothing is fetched from addresses of the local link")
    with requests.get(address, timeout=_SECONDS, stream=True, allow_redirects=False) as answer:
        if answer.status_code != requests.codes.ok:
            raise ValueError(f"the server of the image answered {answer.status_code}")
        return _bounded(answer.raw.read(MOST_BYTES + 1, decode_content=True))
