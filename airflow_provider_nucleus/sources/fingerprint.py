"""Fingerprints of an input, which show without reading it whether it is still the same."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.sources.files import SourceFile, find_files, unreadable
from airflow_provider_nucleus.sources.open_rows import is_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["fingerprint"]


def fingerprint(source: Any, *settings: object) -> str | None:
    """Return a digest over names, sizes and versions (checksum, else modification time) of all files of a source.

    `settings` are mixed in: what else decides which rows come out, such as the mapping. Rows in memory are digested by content.
    None for rows that can only be read once. Raises NucleusSourceError when a file is not there or its status cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    if is_in_memory(source):
        if not isinstance(source, (list, tuple)):
            return None
        _update(digest, (one.to_wire() if hasattr(one, "to_wire") else one for one in source))
    else:
        _update(digest, ((source_file.name, *_version(source_file)) for source_file in find_files(source)))
    _update(digest, settings)
    return digest.hexdigest()


def _update(digest: Any, values: Iterable[object]) -> None:
    for value in values:
        digest.update(json.dumps(value, sort_keys=True, default=repr).encode())
        digest.update(b"\x00")


def _version(source_file: SourceFile) -> tuple[int, str]:
    """Return the size in bytes and the finest version mark the storage offers."""
    try:
        status = source_file.path.stat()
    except OSError as error:
        raise unreadable(source_file.name, error) from error
    info: dict[str, Any] = {}
    if isinstance(status, dict):  # ObjectStoragePath
        info = status
    elif hasattr(status, "as_info"):  # UPath
        info = status.as_info()
    mark = info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("crc32c")
    if mark is None:
        mark = getattr(status, "st_mtime_ns", None) or getattr(status, "st_mtime", None)
    return int(status.st_size), str(mark)
