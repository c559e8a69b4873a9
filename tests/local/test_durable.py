"""Files that are whole or not there, whatever the layer below does with a write."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import stat
from typing import TYPE_CHECKING

import numpy as np
import pytest
from starlette.requests import Request

from airflow_provider_nucleus.local.blobs import BlobFiles
from airflow_provider_nucleus.local.disk import durable
from airflow_provider_nucleus.local.disk.durable import DurableFile, written
from airflow_provider_nucleus.local.errors import FullDiskError
from airflow_provider_nucleus.local.evaluations.computing.result_files import ResultFiles
from airflow_provider_nucleus.local.http.messages import read_form

if TYPE_CHECKING:
    from pathlib import Path


class ShortDisk(io.FileIO):
    """A file that takes a few bytes at a time, and none beyond `room`."""

    room = 10_000_000
    code = errno.ENOSPC

    def write(self, data: memoryview) -> int:
        free = self.room - self.tell()
        if not free:
            raise OSError(self.code, os.strerror(self.code))
        return super().write(memoryview(data)[: min(1000, free)])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> type[ShortDisk]:
    """Every durable file of the test lies on a short disk."""
    kind = type("Disk", (ShortDisk,), {})
    monkeypatch.setattr(
        durable.os, "fdopen", lambda handle, mode: io.BufferedWriter(kind(handle, mode.strip("b")))
    )
    return kind


def test_short_writes_are_completed(short: type[ShortDisk], tmp_path: Path):
    """A layer that takes a thousand bytes at a time gets all of them."""
    with written(tmp_path / "file") as file:
        file.write(b"x" * 123_456)

    assert (tmp_path / "file").read_bytes() == b"x" * 123_456
    assert file.size == 123_456


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("room", [0, 1, 100_000, 123_455])
def test_without_room_nothing_is_there(
    short: type[ShortDisk], tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int, room: int
):
    """A full disk and a used-up quota are told as such, the log says which, and neither a file nor a part of one is left."""
    short.room, short.code = room, code

    with pytest.raises(FullDiskError), written(tmp_path / "file") as file:
        file.write(b"x" * 123_456)

    assert list(tmp_path.iterdir()) == []
    assert f"a disk is full, that of {tmp_path / 'file'}: " in caplog.text


def test_a_file_that_lacks_bytes_is_never_published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Whatever the layers below report, what counts is the size on disk; the former file stays."""
    (tmp_path / "file").write_bytes(b"former")

    class Lossy(io.BufferedWriter):
        def write(self, data: bytes) -> int:
            super().write(data[:-1])
            return len(data)

    monkeypatch.setattr(durable.os, "fdopen", lambda handle, _mode: Lossy(io.FileIO(handle, "w")))

    with (
        pytest.raises(OSError, match="100 bytes were written and 99 are there"),
        written(tmp_path / "file") as file,
    ):
        file.write(b"x" * 100)

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"former")]


def test_a_full_temporary_folder_is_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """The parts of a request go there, and the system's error names no file."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/small/tmp")

    async def send() -> dict[str, object]:
        await asyncio.sleep(0)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    scope = {"type": "http", "headers": [(b"content-type", b"multipart/form-data; boundary=x")]}
    with pytest.raises(FullDiskError):
        asyncio.run(read_form(Request(scope, send), 1000, field_limit=1000))

    assert "a disk is full, that of /small/tmp: " in caplog.text


def test_bytes_are_on_disk_before_the_name_and_the_name_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The file is synced whole, then renamed, then the folder is synced."""
    seen: list[tuple[str, int, bool]] = []
    sync, path = os.fsync, tmp_path / "file"

    def record(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        seen.append((kind, os.fstat(descriptor).st_size if kind == "file" else 0, path.exists()))
        sync(descriptor)

    monkeypatch.setattr(durable.os, "fsync", record)
    with written(path) as file:
        file.write(b"x" * 100)

    assert seen == [("file", 100, False), ("folder", 0, True)]


def test_an_upload_is_its_owners_alone(tmp_path: Path):
    """Other users of the machine cannot read what clients upload, not even while it arrives."""
    file = DurableFile(tmp_path / "file")
    (part,) = tmp_path.iterdir()
    assert part.stat().st_mode & 0o077 == 0
    file.discard()

    with written(tmp_path / "file") as kept:
        kept.write(b"x")
    assert (tmp_path / "file").stat().st_mode & 0o077 == 0


def test_blobs_of_a_request_that_fails_are_deleted(tmp_path: Path):
    """What was kept before the failure would have no row, and nobody would delete it."""
    blobs = BlobFiles(tmp_path)

    def fail() -> None:
        with blobs.keeping() as keep:
            keep(io.BytesIO(b"one"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("room", [0, 128, 60_000, 79_999])
def test_results_without_room_leave_nothing(short: type[ShortDisk], tmp_path: Path, room: int):
    """Not even the last bytes of a column are lost in silence."""
    short.room = room
    files = ResultFiles(tmp_path / "evaluations")

    with pytest.raises(FullDiskError):
        files.write("evalv2_x", {"column": np.arange(10_000)}, {})

    assert list((tmp_path / "evaluations").iterdir()) == []
