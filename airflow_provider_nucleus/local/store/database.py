"""Access to the DuckDB file: many readers on their own snapshots, one writer at a time."""

from __future__ import annotations

import queue
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import duckdb

from airflow_provider_nucleus.local.errors import DataDirError
from airflow_provider_nucleus.local.store.tables import SCHEMA_VERSION, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Cursor", "Database", "count_of", "one", "rows"]

Cursor = duckdb.DuckDBPyConnection
_LOG_LIMIT: Final = 64 * 1024 * 1024


class Database:
    """The embedded store. Safe to use from any thread.

    Readers get a snapshot and are never blocked by a writer; writers take turns, because DuckDB would
    otherwise abort one of two transactions that touch the same rows.
    """

    def __init__(self, path: Path, *, memory_limit: str, spill: Path) -> None:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "preserve_insertion_order": "true",
            # A commit that decides to checkpoint writes no log: readers see its rows before they are on disk, and
            # a kill takes them back. So commits only ever write the log, and we checkpoint between them.
            "checkpoint_threshold": "1TB",
        }
        try:
            self._root = duckdb.connect(str(path), config=config)
        except duckdb.Error as error:
            raise DataDirError(
                f"the store {path} cannot be opened with a memory limit of {memory_limit}: {error}. "
                "Correct NUCLEUS_LOCAL_MEMORY_LIMIT, restore the directory from a backup, or choose another --data-dir."
            ) from error
        self._log = path.with_name(f"{path.name}.wal")
        self._writer = threading.Lock()
        self._after_commit: list[Callable[[], None]] = []
        self._idle: queue.LifoQueue[Cursor] = queue.LifoQueue()
        self._migrate()

    def _migrate(self) -> None:
        self._root.execute("CREATE TABLE IF NOT EXISTS store_version (version INTEGER)")
        found = self._root.execute("SELECT max(version) FROM store_version").fetchone()
        version = found[0] if found and found[0] is not None else 0
        if version > SCHEMA_VERSION:
            raise DataDirError(
                f"the store was written by a newer version (layout {version}, this one knows {SCHEMA_VERSION}). "
                "Upgrade airflow-provider-nucleus or choose another --data-dir."
            )
        self._root.execute("BEGIN")
        for statement in TABLES:
            self._root.execute(statement)
        if version < SCHEMA_VERSION:
            self._root.execute("INSERT INTO store_version VALUES (?)", [SCHEMA_VERSION])
        self._root.execute("COMMIT")

    @contextmanager
    def cursor(self) -> Generator[Cursor]:
        """Lend a connection of its own, outside any transaction."""
        try:
            cursor = self._idle.get_nowait()
        except queue.Empty:
            cursor = self._root.cursor()
        try:
            yield cursor
        except BaseException:
            cursor.close()
            raise
        self._idle.put(cursor)

    @contextmanager
    def session(self) -> Generator[Cursor]:
        """Lend a connection whose temporary tables are gone afterwards, outside any transaction."""
        cursor = self._root.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    @contextmanager
    def read(self) -> Generator[Cursor]:
        """Lend a connection inside one snapshot: every query in the block sees the same rows."""
        with self.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield cursor
            finally:
                cursor.execute("ROLLBACK")

    @contextmanager
    def write(self, cursor: Cursor | None = None) -> Generator[Cursor]:
        """Run the block as the only writer: committed (durably) when it ends, undone if it raises.

        ``cursor`` is a connection of the caller, outside any transaction; without it one is lent.
        """
        with ExitStack() as stack:
            stack.enter_context(self._writer)
            lent = stack.enter_context(self.cursor()) if cursor is None else cursor
            self._after_commit.clear()
            with _transaction(lent):
                yield lent
            for action in self._after_commit:
                action()
            self._checkpoint(lent)

    def _checkpoint(self, cursor: Cursor) -> None:
        """Move a log that has grown large into the database file."""
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
            # Readers of older rows can be in the way; the next commit tries again.
            with suppress(duckdb.TransactionException):
                cursor.execute("CHECKPOINT")

    def after_commit(self, action: Callable[[], None]) -> None:
        """Have something done if and when the current writer's transaction is committed."""
        self._after_commit.append(action)

    def close(self) -> None:
        """Wait for the writer, then write everything into the file and close it."""
        with self._writer:
            while not self._idle.empty():
                self._idle.get().close()
            self._root.close()


@contextmanager
def _transaction(cursor: Cursor) -> Generator[None]:
    cursor.execute("BEGIN")
    try:
        yield
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")


def rows(
    cursor: Cursor, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> list[dict[str, Any]]:
    """Return every row of a query as a dictionary."""
    result = cursor.execute(sql, parameters)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def one(
    cursor: Cursor, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> dict[str, Any] | None:
    """Return the first row of a query as a dictionary, or None."""
    result = cursor.execute(sql, parameters)
    names = [column[0] for column in result.description]
    row = result.fetchone()
    return None if row is None else dict(zip(names, row, strict=True))


def count_of(cursor: Cursor, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> int:
    """Return the one number a statement answers with, for example how many rows it has changed; 0 without an answer."""
    row = cursor.execute(sql, parameters).fetchone()
    return int(row[0]) if row else 0
