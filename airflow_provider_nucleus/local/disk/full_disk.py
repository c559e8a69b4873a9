"""Telling a full disk, or a used-up quota, as what it is, whoever meets it."""

from __future__ import annotations

import errno
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import duckdb

from airflow_provider_nucleus.local.errors import FullDiskError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

__all__ = ["full_disk_named"]

log = logging.getLogger(__name__)
_CODES: Final = (errno.ENOSPC, errno.EDQUOT)
_TEXTS: Final = tuple(os.strerror(code) for code in _CODES)


@contextmanager
def full_disk_named(place: Path | Callable[[], str] | None = None) -> Generator[None]:
    """Turn the errors of the system and of DuckDB about a full disk into `FullDiskError`.

    *place* is what the block writes, on the disk that is full then, or a function that returns it.
    """
    try:
        yield
    except (OSError, duckdb.OperationalError, duckdb.FatalException) as error:
        if not _is_full(error):
            raise
        # Clients get no paths; who frees the disk needs them.
        log.warning("a disk is full%s: %s", _named(place), error)
        raise FullDiskError from error


def _named(place: Path | Callable[[], str] | None) -> str:
    if place is None:
        return ""
    return f", that of {place() if callable(place) else place}"


def _is_full(error: OSError | duckdb.Error) -> bool:
    if isinstance(error, OSError):
        return error.errno in _CODES
    # DuckDB has one error for whatever goes wrong with a file, and the system's words in it.
    return any(text in str(error) for text in _TEXTS)
