"""Bytes that clients uploaded, as files: images, masks."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, BinaryIO, Final

from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.store import moments

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["BlobFiles", "content_type_of", "record_blob", "sync_directory"]

_PIECE: Final = 1 << 20


def sync_directory(folder: Path) -> None:
    """Make renames and new names in a folder survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class BlobFiles:
    """Files named by unguessable tokens, in sub-folders by their first two characters."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, token: str) -> Path:
        """Return where the bytes of a token lie."""
        return self._root / token[:2] / token

    def keep(self, source: BinaryIO) -> tuple[str, int]:
        """Copy a stream to disk, durably, and return its token and size in bytes."""
        token = secrets.token_hex(20)
        path = self.path(token)
        path.parent.mkdir(exist_ok=True)
        size = 0
        with path.with_suffix(".part").open("wb") as file:
            while piece := source.read(_PIECE):
                size += file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        path.with_suffix(".part").replace(path)
        sync_directory(path.parent)
        return token, size

    def remove(self, token: str) -> None:
        """Delete the bytes of a token if they are there."""
        self.path(token).unlink(missing_ok=True)


def record_blob(cursor: Cursor, token: str, *, content_type: str, size: int) -> None:
    """Record a kept blob so that it can be served."""
    moment = moments.now()
    cursor.execute("INSERT INTO blobs VALUES (?, ?, ?, ?)", [token, content_type, size, moment])


def content_type_of(cursor: Cursor, token: str) -> str:
    """Return the content type of a blob; raises :class:`NotFoundError` if there is none with this token."""
    found = cursor.execute("SELECT content_type FROM blobs WHERE token = ?", [token]).fetchone()
    if found is None:
        raise NotFoundError("This file does not exist.")
    return str(found[0])
