"""Opening the DuckDB file: how DuckDB is set up for it, and the tables of a new or older one."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb

from airflow_provider_nucleus.local.disk.durable import part_of, sync_directory
from airflow_provider_nucleus.local.disk.store_file import check_tables, refuse_foreign_log
from airflow_provider_nucleus.local.errors import DataDirError
from airflow_provider_nucleus.local.store.tables import ADDED_COLUMNS, SCHEMA_VERSION, TABLES, UPDATES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["open_store"]

log = logging.getLogger(__name__)


def open_store(path: Path, *, memory_limit: str, spill: Path) -> duckdb.DuckDBPyConnection:
    """Open the store, making it if it is missing, and bring its tables up to date.

    Raises `DataDirError` if it cannot be opened, is no store of ours or one of a newer version; it is as before.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": str(spill),
        "preserve_insertion_order": "true",
        # A commit that decides to checkpoint writes no log: readers see its rows before they are on disk, and
        # a kill takes them back. So commits only ever write the log, and we checkpoint between them.
        "checkpoint_threshold": "1TB",
    }
    try:
        if not path.exists():
            _make(path)
        store = duckdb.connect(str(path), config=config)
    except (duckdb.Error, OSError) as error:
        refuse_foreign_log(path, error)
        raise DataDirError(
            f"the store {path} cannot be opened with a memory limit of {memory_limit}: {error}. "
            "Make room on its disk, correct NUCLEUS_LOCAL_MEMORY_LIMIT, restore the directory from a backup, or choose "
            "another --data-dir."
        ) from error
    try:
        check_tables(store, path)
        # DuckDB would keep to what is free when it first spills, for as long as it runs. The disk itself is the limit.
        store.execute("SET GLOBAL max_temp_directory_size = '1000TB'")
        _migrate(store)
    except BaseException as error:
        try:
            store.execute("PRAGMA disable_checkpoint_on_shutdown")
        except duckdb.Error:
            log.exception("the log of the store %s may be moved into its file", path)
        finally:
            store.close()
        if isinstance(error, duckdb.Error):
            raise DataDirError(
                f"the store {path} cannot be brought up to date: {error}. Make room on its disk, or restore the directory "
                "from a backup."
            ) from error
        raise
    return store


def _make(path: Path) -> None:
    """Create an empty store: beside, so that a disk that is full or a kill leaves no half of one under its name."""
    part = part_of(path)
    try:
        duckdb.connect(str(part)).close()
        part.replace(path)
        sync_directory(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _migrate(store: duckdb.DuckDBPyConnection) -> None:
    """Bring the tables up to date, or leave everything as it is and raise."""
    store.execute("BEGIN")
    try:
        _update(store)
    except BaseException:
        # DuckDB has undone it already where it refuses this, and what it has met is what counts.
        with suppress(duckdb.Error):
            store.execute("ROLLBACK")
        raise
    store.execute("COMMIT")


def _update(store: duckdb.DuckDBPyConnection) -> None:
    store.execute("CREATE TABLE IF NOT EXISTS store_version (version INTEGER)")
    found = store.execute("SELECT max(version) FROM store_version").fetchone()
    version = found[0] if found and found[0] is not None else 0
    if version > SCHEMA_VERSION:
        raise DataDirError(
            f"the store was written by a newer version (layout {version}, this one knows {SCHEMA_VERSION}). "
            "Upgrade airflow-provider-nucleus or choose another --data-dir."
        )
    for statement in TABLES:
        store.execute(statement)
    for table, column, kind in ADDED_COLUMNS:
        store.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {kind}")
    for layout, statements in UPDATES.items():
        for statement in statements if 0 < version < layout else ():
            store.execute(statement)
    if version < SCHEMA_VERSION:
        store.execute("INSERT INTO store_version VALUES (?)", [SCHEMA_VERSION])
