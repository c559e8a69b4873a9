"""The database file: snapshots, one writer, and a log that does not grow for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_nucleus.local.store import database
from airflow_provider_nucleus.local.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """An empty store."""
    opened = Database(tmp_path / "n.duckdb", memory_limit="500MB", spill=tmp_path / "spill")
    yield opened
    opened.close()


def count(db: Database) -> int:
    with db.read() as cursor:
        return cursor.execute("SELECT count(*) FROM counters").fetchone()[0]


def test_commits_never_checkpoint_by_themselves(db: Database, tmp_path: Path):
    """DuckDB shows the rows of a checkpointing commit before they are on disk, so commits only write the log."""
    with db.write() as cursor:
        cursor.execute("CREATE TABLE big (m VARCHAR)")
    for _ in range(5):
        with db.write() as cursor:
            cursor.execute("INSERT INTO big SELECT md5(x::VARCHAR) FROM range(120000) t(x)")

    assert (tmp_path / "n.duckdb.wal").stat().st_size > 16 * 1024 * 1024


def test_large_logs_are_moved_into_the_file(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Beyond the limit the log is emptied between commits."""
    monkeypatch.setattr(database, "_LOG_LIMIT", 1000)
    with db.write() as cursor:
        cursor.execute("CREATE TABLE big AS SELECT md5(x::VARCHAR) AS m FROM range(10000) t(x)")
    log = tmp_path / "n.duckdb.wal"

    assert not log.exists() or log.stat().st_size < 1000


def test_failed_writes_leave_nothing_and_run_nothing(db: Database):
    """An error undoes the block and what was to happen after it."""
    done: list[str] = []

    def fail() -> None:
        with db.write() as cursor:
            cursor.execute("INSERT INTO counters VALUES ('x', 1)")
            db.after_commit(lambda: done.append("after"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with db.write() as cursor:
        cursor.execute("INSERT INTO counters VALUES ('y', 1)")

    assert (done, count(db)) == ([], 1)


def test_readers_keep_their_snapshot_and_are_not_blocked(db: Database):
    """A reader sees what was there when it began, while and after a writer commits."""
    with db.read() as reading:
        before = reading.execute("SELECT count(*) FROM counters").fetchone()
        with db.write() as cursor:
            cursor.execute("INSERT INTO counters VALUES ('x', 1)")
            during = reading.execute("SELECT count(*) FROM counters").fetchone()
        after = reading.execute("SELECT count(*) FROM counters").fetchone()

    assert before == during == after == (0,)
    assert count(db) == 1


def test_sessions_leave_no_temporary_tables(db: Database):
    """What one upload parses is gone for the next."""
    with db.session() as cursor:
        cursor.execute("CREATE TEMP TABLE parsed AS SELECT 1")

    with db.session() as cursor, pytest.raises(Exception, match="parsed"):
        cursor.execute("SELECT * FROM parsed")
