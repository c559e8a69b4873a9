"""The database file: snapshots, one writer, and a log that does not grow for ever."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import duckdb
import pytest

from airflow_provider_nucleus.local.errors import DataDirError, FullDiskError
from airflow_provider_nucleus.local.store import database, opening
from airflow_provider_nucleus.local.store.database import Database
from tests.local.small_disk import SmallDisk, small_disk

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


def store_with_a_log(tmp_path: Path) -> Path:
    """Return a store as a kill leaves it: a committed row is in its log alone."""
    opened = Database(tmp_path / "n.duckdb", memory_limit="500MB", spill=tmp_path / "spill")
    with opened.write() as cursor:
        cursor.execute("INSERT INTO counters VALUES ('x', 1)")
    killed = tmp_path / "killed"
    killed.mkdir()
    for path in tmp_path.glob("n.duckdb*"):
        shutil.copy(path, killed)
    opened.close()
    return killed / "n.duckdb"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT error('no such luck')",
        "INSERT INTO counters VALUES (NULL, NULL)",
        "CREATE TABLE counters (n INTEGER)",
    ],
)
def test_a_store_that_cannot_be_brought_up_to_date_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
):
    """What went wrong is told as such, no byte of file and log has changed, and the next attempt succeeds."""
    path = store_with_a_log(tmp_path)
    before = {file.name: file.read_bytes() for file in path.parent.glob("n.duckdb*")}
    assert list(before) != ["n.duckdb"]

    with monkeypatch.context() as patch:
        patch.setattr(opening, "TABLES", ("CREATE TABLE half_done (n INTEGER)", statement))
        with pytest.raises(DataDirError, match="cannot be brought up to date") as caught:
            Database(path, memory_limit="500MB", spill=tmp_path / "spill")

    assert isinstance(caught.value.__cause__, duckdb.Error)
    assert str(caught.value.__cause__) in str(caught.value)
    assert "aborted" not in str(caught.value)
    assert {file.name: file.read_bytes() for file in path.parent.glob("n.duckdb*")} == before
    again = Database(path, memory_limit="500MB", spill=tmp_path / "spill")
    assert count(again) == 1
    again.close()


def test_a_store_that_was_given_up_and_cannot_be_brought_up_to_date_is_tried_again(
    db: Database, monkeypatch: pytest.MonkeyPatch
):
    """Whoever comes is told why the store was given up, until it opens."""
    fatal = duckdb.FatalException("No space left on device")
    db._fatal = fatal
    with monkeypatch.context() as patch:
        patch.setattr(opening, "TABLES", ("SELECT error('no such luck')",))
        for _ in range(2):
            with pytest.raises(FullDiskError):
                count(db)

    assert count(db) == 0


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


def _fail(*_: object) -> None:
    raise OSError("no such luck")


@pytest.mark.parametrize("after", ["an action", "the look at the log"])
def test_what_fails_behind_a_commit_is_not_the_callers(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, after: str
):
    """Whoever is told of an error deletes the files of the rows: these are committed, so it is logged."""
    done: list[str] = []
    if after == "the look at the log":
        monkeypatch.setattr(database, "_LOG_LIMIT", 0)
        monkeypatch.setattr(database.shutil, "disk_usage", _fail)
    with db.write() as cursor:
        cursor.execute("INSERT INTO counters VALUES ('x', 1)")
        if after == "an action":
            db.after_commit(_fail)
        db.after_commit(lambda: done.append("next"))

    assert (done, count(db)) == (["next"], 1)
    assert "no such luck" in caplog.text


def test_what_fails_behind_an_undone_write_hides_nothing(db: Database, caplog: pytest.LogCaptureFixture):
    """The caller is told of the first error, and everything else is put back."""
    done: list[str] = []

    def fail() -> None:
        with db.write():
            db.after_undo(_fail)
            db.after_undo(lambda: done.append("next"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert done == ["next"]
    assert "no such luck" in caplog.text


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


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small disk for a store."""
    with small_disk(tmp_path / "disk", megabytes=40) as mounted:
        yield mounted


@pytest.fixture
def full(disk: SmallDisk) -> Iterator[Database]:
    """A store with 10,000 rows on a disk that has no more room for its log to be moved into its file."""
    opened = Database(disk.path / "n.duckdb", memory_limit="60MB", spill=disk.path / "spill")
    with opened.write() as cursor:
        cursor.execute("CREATE TABLE big AS SELECT md5(x::VARCHAR) AS m FROM range(10000) t(x)")
    disk.fill(left=20_000)
    yield opened
    opened.close()


def give_up(db: Database) -> None:
    """Have DuckDB meet the full disk where it does not forgive it."""
    with db.cursor() as cursor:
        cursor.execute("CHECKPOINT")


def size(db: Database) -> int:
    with db.read() as cursor:
        return cursor.execute("SELECT count(*) FROM big").fetchone()[0]


def test_a_commit_without_room_is_undone_alone(full: Database, disk: SmallDisk):
    """Rows that do not fit are not stored and do what was asked for that case; those before are read, those after stored."""
    done: list[str] = []

    def fail() -> None:
        with full.write() as cursor:
            full.after_commit(lambda: done.append("committed"))
            full.after_undo(lambda: done.append("undone"))
            cursor.execute("INSERT INTO big SELECT repeat('x', 100) FROM range(1000)")

    with pytest.raises(FullDiskError):
        fail()
    assert (size(full), done) == (10_000, ["undone"])

    disk.make_room()
    with full.write() as cursor:
        cursor.execute("INSERT INTO big VALUES ('after')")
    assert size(full) == 10_001


def test_a_log_that_does_not_fit_into_the_file_stays(full: Database, monkeypatch: pytest.MonkeyPatch):
    """A commit after which the log cannot be moved for want of room is a commit, and the store stays open."""
    monkeypatch.setattr(database, "_LOG_LIMIT", 1000)
    with full.write() as cursor:
        cursor.execute("INSERT INTO big VALUES ('x')")

    assert size(full) == 10_001


def test_a_log_is_not_moved_without_twice_its_size_of_room(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """For want of room DuckDB would give the store up; one byte more, and the log is moved."""
    log = tmp_path / "n.duckdb.wal"
    free = -1
    monkeypatch.setattr(database, "_LOG_LIMIT", 1000)
    monkeypatch.setattr(
        database.shutil,
        "disk_usage",
        lambda _: shutil._ntuple_diskusage(1, 0, 2 * log.stat().st_size + free),
    )
    with db.write() as cursor:
        cursor.execute("CREATE TABLE big AS SELECT md5(x::VARCHAR) AS m FROM range(1000) t(x)")
    kept = log.stat().st_size
    assert kept > 1000

    free = 0
    with db.write() as cursor:
        cursor.execute("INSERT INTO big VALUES ('x')")
    assert not log.exists() or log.stat().st_size < kept


def test_a_store_is_not_opened_twice(db: Database, monkeypatch: pytest.MonkeyPatch):
    """After a fatal error it is opened anew once nobody holds a connection, and not before."""
    opened: list[str] = []

    def open_store(path: Path, **options: str) -> database.Cursor:
        opened.append(path.name)
        return opening.open_store(path, **options)

    monkeypatch.setattr(database, "open_store", open_store)
    monkeypatch.setattr(database, "_REOPEN_SECONDS", 0.0)
    with db.cursor():
        db._fatal = duckdb.FatalException("No space left on device")
        with pytest.raises(FullDiskError):
            count(db)
        assert opened == []

    assert count(db) == 0
    assert opened == ["n.duckdb"]


def test_a_commit_stays_one_when_the_store_is_given_up_behind_it(
    full: Database, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
):
    """The disk was full when the log was moved: the rows are there, to read without room and to write with it."""
    monkeypatch.setattr(database, "_LOG_LIMIT", 1000)
    # Somebody else took the room between the look and the move.
    monkeypatch.setattr(database.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 0, 1 << 40))
    with full.write() as cursor:
        cursor.execute("INSERT INTO big VALUES ('x')")

    assert size(full) == 10_001

    disk.make_room()
    with full.write() as cursor:
        cursor.execute("INSERT INTO big VALUES ('y')")
    assert size(full) == 10_002


def test_a_store_that_was_given_up_opens_itself_again(full: Database, disk: SmallDisk):
    """Who held a connection is told of the full disk; whoever comes next, with room or without, reads every row."""

    def read_meanwhile() -> None:
        with full.read() as reading:
            with pytest.raises(FullDiskError):
                give_up(full)
            reading.execute("SELECT count(*) FROM big")

    with pytest.raises(FullDiskError):
        read_meanwhile()

    assert size(full) == 10_000
    disk.make_room()
    with full.write() as cursor:
        cursor.execute("INSERT INTO big VALUES ('x')")
    assert size(full) == 10_001


def test_who_holds_a_connection_of_a_store_that_was_given_up_keeps_it_closed(
    full: Database, monkeypatch: pytest.MonkeyPatch
):
    """Two instances of one file would not know each other: newcomers are refused until the last has gone."""
    monkeypatch.setattr(database, "_REOPEN_SECONDS", 0.0)
    with full.session():
        for _ in range(2):
            with pytest.raises(FullDiskError):
                give_up(full)

    assert size(full) == 10_000


def test_spilled_memory_takes_the_room_there_is(disk: SmallDisk):
    """A query that spills fails on a full disk as such, and succeeds once there is room, without a restart."""
    db = Database(disk.path / "n.duckdb", memory_limit="30MB", spill=disk.path / "spill")
    sort = (
        "SELECT count(*) FROM (SELECT md5(x::VARCHAR) AS s FROM range(700000) t(x) ORDER BY s LIMIT 690000)"
    )

    def sorted_rows() -> int:
        with db.read() as cursor:
            return cursor.execute(sort).fetchone()[0]

    disk.fill(left=1_000_000)
    with pytest.raises(FullDiskError):
        sorted_rows()
    disk.make_room()

    assert sorted_rows() == 690_000
    db.close()
