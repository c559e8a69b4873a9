"""Access to the DuckDB file: many readers on their own snapshots, one writer at a time."""

from __future__ import annotations

import logging
import queue
import shutil
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import duckdb

from airflow_provider_nucleus.local.disk.full_disk import full_disk_named
from airflow_provider_nucleus.local.errors import DataDirError, MemoryLimitError
from airflow_provider_nucleus.local.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["Cursor", "Database", "count_of", "one", "rows"]

Cursor = duckdb.DuckDBPyConnection
log = logging.getLogger(__name__)
_LOG_LIMIT: Final = 64 * 1024 * 1024
_REOPEN_SECONDS: Final = 5.0
"""Longest wait, in seconds, until nothing holds a connection any more to a store that DuckDB has given up."""


class Database:
    """The embedded store. Safe to use from any thread.

    Readers get a snapshot and are never blocked by a writer; writers take turns, because DuckDB would
    otherwise abort one of two transactions that touch the same rows.

    Raises `MemoryLimitError` for a query that takes more memory than it may. A full disk raises `FullDiskError` and undoes no more than the transaction that met it. After a fatal error
    DuckDB refuses every further statement: the store is then opened anew as soon as nobody holds a connection.
    """

    def __init__(self, path: Path, *, memory_limit: str, spill: Path) -> None:
        self._path = path
        self._memory_limit = memory_limit
        self._spill = spill
        self._root = open_store(path, memory_limit=memory_limit, spill=spill)
        self._log = path.with_name(f"{path.name}.wal")
        self._writer = threading.Lock()
        self._after_commit: list[Callable[[], None]] = []
        self._after_undo: list[Callable[[], None]] = []
        self._idle: queue.LifoQueue[Cursor] = queue.LifoQueue()
        # Who changes what follows holds the condition.
        self._changed = threading.Condition()
        self._lent = 0
        self._fatal: duckdb.FatalException | None = None

    def _borrow(self, *, fresh: bool) -> Cursor:
        with self._changed:
            if self._fatal is not None:
                self._reopen(self._fatal)
            cursor = None
            if not fresh:
                with suppress(queue.Empty):
                    cursor = self._idle.get_nowait()
            cursor = cursor or self._root.cursor()
            self._lent += 1
            return cursor

    def _give_back(self, cursor: Cursor, *, reusable: bool, error: BaseException | None = None) -> None:
        with self._changed:
            if isinstance(error, duckdb.FatalException):
                self._fatal = error
            if reusable:
                self._idle.put(cursor)
            else:
                cursor.close()
            self._lent -= 1
            self._changed.notify_all()

    def _reopen(self, fatal: duckdb.FatalException) -> None:
        """Open the store that DuckDB has given up anew; every committed row is there, in the file or in its log."""
        # As long as one connection is open DuckDB hands out the old, refusing instance.
        if not self._changed.wait_for(lambda: self._lent == 0 or self._fatal is None, _REOPEN_SECONDS):
            raise fatal
        if self._fatal is None:
            return
        self._close_all()
        try:
            self._root = open_store(self._path, memory_limit=self._memory_limit, spill=self._spill)
        except DataDirError:
            log.exception("the store cannot be opened again yet")
            raise fatal from None
        self._fatal = None
        log.warning("the store was opened again after: %s", fatal)

    def _close_all(self) -> None:
        while not self._idle.empty():
            self._idle.get().close()
        self._root.close()

    @contextmanager
    def _lend(self, *, fresh: bool) -> Generator[Cursor]:
        with full_disk_named(self._path):
            cursor = self._borrow(fresh=fresh)
            try:
                yield cursor
            except BaseException as error:
                self._give_back(cursor, reusable=False, error=error)
                if isinstance(error, duckdb.OutOfMemoryException):
                    log.warning("a query takes more memory than there is: %s", error)
                    raise MemoryLimitError from error
                raise
            self._give_back(cursor, reusable=not fresh)

    def cursor(self) -> AbstractContextManager[Cursor]:
        """Lend a connection of its own, outside any transaction."""
        return self._lend(fresh=False)

    def session(self) -> AbstractContextManager[Cursor]:
        """Lend a connection whose temporary tables are gone afterwards, outside any transaction."""
        return self._lend(fresh=True)

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

        `cursor` is a connection of the caller, outside any transaction; without it one is lent.
        """
        with ExitStack() as stack:
            stack.enter_context(self._writer)
            lent = stack.enter_context(self.cursor()) if cursor is None else cursor
            self._after_commit.clear()
            self._after_undo.clear()
            try:
                with _transaction(lent):
                    yield lent
            except BaseException:
                _do_all(self._after_undo)
                raise
            # What is committed stays so: an error from here on would have the caller take it for undone.
            _do_all([*self._after_commit, lambda: self._checkpoint(lent)])

    def _checkpoint(self, cursor: Cursor) -> None:
        """Move a log that has grown large into the database file; what is committed stays so, whatever comes of it."""
        size = self._log.stat().st_size if self._log.exists() else 0
        # For want of room DuckDB would give the whole store up, and a log that goes on growing is no harm.
        if size <= _LOG_LIMIT or shutil.disk_usage(self._path.parent).free < 2 * size:
            return
        try:
            cursor.execute("CHECKPOINT")
        except duckdb.TransactionException:
            # Readers of older rows can be in the way; the next commit tries again.
            pass
        except duckdb.Error as error:
            log.warning("the log of the store could not be moved into its file: %s", error)
            if isinstance(error, duckdb.FatalException):
                with self._changed:
                    self._fatal = error

    def after_commit(self, action: Callable[[], None]) -> None:
        """Have something done if and when the current writer's transaction is committed; its errors are only logged."""
        self._after_commit.append(action)

    def after_undo(self, action: Callable[[], None]) -> None:
        """Have something done if the current writer's transaction is undone, or cannot be committed; errors are logged."""
        self._after_undo.append(action)

    def close(self) -> None:
        """Wait for the writer, then write everything into the file and close it."""
        with self._writer:
            self._close_all()


def _do_all(actions: Iterable[Callable[[], None]]) -> None:
    """Do what follows a transaction; what goes wrong with one is logged and keeps nothing from the others."""
    for action in actions:
        try:
            action()
        except Exception:
            log.exception("what was to follow a transaction of the store failed")


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
