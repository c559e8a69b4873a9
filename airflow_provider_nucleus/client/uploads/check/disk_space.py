"""Telling a temporary folder that is full as what it is."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_nucleus.exceptions import NucleusUploadError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["ROOM_HINT", "lack_of_room_named"]

ROOM_HINT = (
    "They take about as much room as the input as JSON: set TMPDIR of the worker to a folder that has it, or "
    "`spool` of UploadOptions."
)


@contextmanager
def lack_of_room_named(folder: Path) -> Generator[None]:
    """Raise NucleusUploadError where the block finds no room in a folder for what it checks, before anything is sent."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        full = (
            error.errno in {errno.ENOSPC, errno.EDQUOT}
            if isinstance(error, OSError)
            else getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        )
        if not full:
            raise
        raise NucleusUploadError(
            f"The checked rows could not be kept in {folder}: {error}. Nothing of this input was sent.",
            hint=ROOM_HINT,
        ) from error
