"""The DuckDB file from outside: a store of this server, with the log that belongs to it, or a foreign file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import duckdb

from airflow_provider_nucleus.local.errors import DataDirError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_store", "check_tables", "refuse_foreign_log"]

_FOREIGN_LOG: Final = re.compile(
    r"WAL\b.* does not match the database file|WAL does not match database file", re.DOTALL
)
"""The words of DuckDB for it; its errors have no codes."""


def check_store(path: Path) -> None:
    """Look into a store without changing a byte; raises `DataDirError` if it is a foreign file."""
    try:
        with duckdb.connect(str(path), read_only=True) as store:
            check_tables(store, path)
    except duckdb.Error as error:
        refuse_foreign_log(path, error)
        raise DataDirError(
            f"the store {path} cannot be opened: {error}. Restore it from a backup, or choose another --data-dir; "
            "nothing was changed."
        ) from error


def refuse_foreign_log(path: Path, error: Exception) -> None:
    """Raise `DataDirError` if an error of DuckDB is that the log beside a store is of another one, or of another time."""
    if _FOREIGN_LOG.search(str(error)):
        raise DataDirError(
            f"{path}.wal is not the log of the store {path}: a backup was put over files of another store or of a later time, or one "
            f"of the two was restored without the other. Restore {path.name}, and {path.name}.wal if the backup has it, into an empty "
            f"folder; or move {path}.wal away, and with it the last changes of the store that it is of. Nothing was changed."
        ) from error


def check_tables(store: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raise `DataDirError` if an opened DuckDB file holds the tables of something else."""
    names = (
        "SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() WHERE NOT internal"
    )
    found = {row[0] for row in store.execute(names).fetchall()}
    if found and "store_version" not in found:
        raise DataDirError(
            f"{path} is a DuckDB database of something else: it holds {', '.join(sorted(found)[:3])}. "
            "Choose another --data-dir; nothing was changed."
        )
