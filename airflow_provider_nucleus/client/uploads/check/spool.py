"""The validated rows on disk, cut into chunks: what makes sending independent of reading.

A spool is one temporary file of NDJSON lines. A chunk is a stretch of it with a digest over its bytes and the settings that change
what sending it means, so equal digests mean "the server was given exactly this".
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self, cast

from airflow_provider_nucleus.client.content import FileContent
from airflow_provider_nucleus.client.uploads.resume.ledger import DIGEST_CHARS
from airflow_provider_nucleus.exceptions import NucleusUploadError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget

__all__ = [
    "CHUNK_BYTES",
    "Chunk",
    "Cut",
    "Lines",
    "Spool",
    "SpoolWriter",
    "cut_for",
    "lack_of_room_named",
]

CHUNK_BYTES = 500_000_000
"""Bytes of one chunk at most; the cloud takes 536,870,888 characters."""

ASYNC_CHUNK_ROWS = 200_000
SYNC_CHUNK_ROWS = 40_000
FILE_CHUNK_ROWS = 200

_READ = 1 << 18

ROOM_HINT = (
    "They take about as much room as the input as JSON: set TMPDIR of the worker to a folder that has it, or "
    "`spool` of UploadOptions."
)


class Lines(NamedTuple):
    """Consecutive rows as NDJSON, each with its line end, and how many they are."""

    data: bytes
    rows: int

    def split(self, rows: int) -> tuple[Lines, Lines]:
        """Return the first `rows` of them and the others."""
        at = 0
        for _ in range(rows):
            at = self.data.index(b"\n", at) + 1
        return Lines(self.data[:at], rows), Lines(self.data[at:], self.rows - rows)


@dataclass(frozen=True, slots=True)
class Cut:
    """How the input is cut: rows of a chunk, rows of a chunk that needs local files, and what goes into every digest."""

    rows: int
    file_rows: int
    salt: str
    has: Callable[[str], bool]


def cut_for(
    target: UploadTarget,
    options: UploadOptions,
    *,
    identity: str,
    destination: str,
    has: Callable[[str], bool],
) -> Cut:
    """Return how the input is cut; `has` tells by its digest whether a chunk needs no sending."""
    by_jobs = options.asynchronous or target.kind == "items"
    rows = options.chunk_rows or (ASYNC_CHUNK_ROWS if by_jobs else SYNC_CHUNK_ROWS)
    if by_jobs:
        # Uploads side by side should not start jobs of equal size: size is the first thing a lost job is recognised by.
        digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
        rows -= int.from_bytes(digest, "big") % (rows // 50 + 1)
    return Cut(rows, min(FILE_CHUNK_ROWS, rows), destination, has)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of the input: `start` and `end` are byte offsets in the spool, equal when the chunk needs no sending."""

    digest: str
    rows: int
    start: int
    end: int

    @property
    def kept(self) -> bool:
        """Whether its bytes are in the spool; they are not when the server already has them."""
        return self.end > self.start


@dataclass(frozen=True, slots=True)
class Spool:
    """A finished spool."""

    path: Path
    chunks: tuple[Chunk, ...]

    @property
    def rows(self) -> int:
        """Rows in all chunks, kept or not."""
        return sum(chunk.rows for chunk in self.chunks)

    def content(self, chunk: Chunk) -> FileContent:
        """Return a chunk as request body."""
        return FileContent(
            open=lambda: cast("BinaryIO", _Stretch(self.path.open("rb"), chunk.start, chunk.end)),
            size=chunk.end - chunk.start,
        )

    def lines(self, chunk: Chunk) -> Iterator[bytes]:
        """Yield the rows of a chunk as JSON without line ends."""
        with _Stretch(self.path.open("rb"), chunk.start, chunk.end) as file:
            rest = b""
            while piece := file.read(_READ):
                lines = (rest + piece).split(b"\n")
                rest = lines.pop()
                yield from lines


class SpoolWriter:
    """Writes lines and cuts chunks of `chunk_rows` rows; `has(digest)` tells which need not be kept."""

    def __init__(
        self,
        path: Path,
        *,
        chunk_rows: int,
        salt: str,
        has: Callable[[str], bool],
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._path = path
        self._file: IO[bytes] = path.open("wb")
        self._chunk_rows = chunk_rows
        self._chunk_bytes = chunk_bytes
        self._salt = salt.encode()
        self._has = has
        self._chunks: list[Chunk] = []
        self._start = self._at = self._rows = 0
        self._hash = self._new_hash()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="nucleus-spool")
        self._pending: Future[None] | None = None

    def write(self, lines: Lines) -> None:
        """Append lines."""
        while lines.rows:
            room = self._chunk_rows - self._rows
            taken, lines = (lines, Lines(b"", 0)) if lines.rows <= room else lines.split(room)
            self._fit(taken)
            if self._rows == self._chunk_rows:
                self._cut()

    def _fit(self, lines: Lines) -> None:
        """Append lines that are few enough for the chunk, to several when they are too long for it."""
        if self._at - self._start + len(lines.data) <= self._chunk_bytes:
            self._append(lines)
        elif self._rows:
            self._cut()
            self._fit(lines)
        elif lines.rows > 1:
            for half in lines.split(lines.rows // 2):
                self._fit(half)
        else:
            self._append(lines)

    def _append(self, lines: Lines) -> None:
        self._settle()
        self._pending = self._pool.submit(self._put, lines.data)
        self._at += len(lines.data)
        self._rows += lines.rows

    def finish(self) -> Spool:
        """Cut the last chunk and return the finished spool."""
        if self._rows:
            self._cut()
        try:
            self._file.close()
        except OSError as error:
            raise self._no_room(error) from error
        return Spool(self._path, tuple(self._chunks))

    def close(self) -> None:
        """Let go of the file, finished or not."""
        self._pool.shutdown()
        # Of what was not finished there may be something left to write, and no room.
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, data: bytes) -> None:
        # Neither holds the interpreter's lock, so that the next rows are checked meanwhile.
        self._file.write(data)
        self._hash.update(data)

    def _settle(self) -> None:
        """Wait for the lines handed over last; raises what went wrong with them."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            try:
                pending.result()
            except OSError as error:
                raise self._no_room(error) from error

    def _no_room(self, error: OSError) -> NucleusUploadError:
        return NucleusUploadError(
            f"The checked rows could not be kept in {self._path.parent} within {self._at:,} bytes: {error}. Nothing of this input was "
            "sent.",
            hint=ROOM_HINT,
        )

    def _cut(self) -> None:
        self._settle()
        digest = base64.urlsafe_b64encode(self._hash.digest()).decode()
        assert len(digest) == DIGEST_CHARS
        if self._has(digest):
            self._file.seek(self._start)
            self._file.truncate()
            self._at = self._start
        self._chunks.append(Chunk(digest, self._rows, self._start, self._at))
        self._start, self._rows = self._at, 0
        self._hash = self._new_hash()

    def _new_hash(self) -> Any:
        return hashlib.blake2b(self._salt, digest_size=DIGEST_CHARS * 3 // 4)


class _Stretch:
    """Part of a file as a file."""

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        self._file = file
        self._left = end - start
        file.seek(start)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, empty at the end of the stretch."""
        size = self._left if size < 0 else min(size, self._left)
        piece = self._file.read(size) if size else b""
        self._left -= len(piece)
        return piece

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@contextlib.contextmanager
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
