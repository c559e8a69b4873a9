"""Spool of validated rows: a temporary file of NDJSON, cut into chunks.

A chunk is a byte range of the spool with a digest over its bytes and over the settings that change what sending it means. Equal
digests mean "the server was given exactly this".
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
    "ChunkPlan",
    "NdjsonBlock",
    "Spool",
    "SpoolWriter",
    "explain_full_disk",
    "plan_chunks",
]

CHUNK_BYTES = 500_000_000
"""Bytes of one chunk at most; the cloud takes 536,870,888 characters."""

ASYNC_CHUNK_ROWS = 200_000
SYNC_CHUNK_ROWS = 40_000
FILE_CHUNK_ROWS = 200

_READ = 1 << 18

DISK_SPACE_HINT = (
    "They take about as much room as the input as JSON: set TMPDIR of the worker to a folder that has it, or "
    "the argument `spool`."
)


class NdjsonBlock(NamedTuple):
    """Consecutive rows as NDJSON, each with its line end, and their number."""

    data: bytes
    rows: int

    def split(self, rows: int) -> tuple[NdjsonBlock, NdjsonBlock]:
        """Return the first `rows` rows and the rest."""
        at = 0
        for _ in range(rows):
            at = self.data.index(b"\n", at) + 1
        return NdjsonBlock(self.data[:at], rows), NdjsonBlock(self.data[at:], self.rows - rows)


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """Plan by which an input is cut into chunks.

    `rows` and `file_rows` are the sizes of chunks without and with local files. `salt` goes into every digest. `is_known(digest)`
    tells whether a chunk needs no sending.
    """

    rows: int
    file_rows: int
    salt: str
    is_known: Callable[[str], bool]


def plan_chunks(
    target: UploadTarget,
    options: UploadOptions,
    *,
    identity: str,
    destination: str,
    is_known: Callable[[str], bool],
) -> ChunkPlan:
    """Return the plan for an upload; `is_known(digest)` tells whether a chunk needs no sending."""
    by_jobs = options.asynchronous or target.kind == "items"
    rows = options.chunk_rows or (ASYNC_CHUNK_ROWS if by_jobs else SYNC_CHUNK_ROWS)
    if by_jobs:
        # Parallel uploads should not start jobs of equal size: an orphan job is recognised by its size first.
        digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
        rows -= int.from_bytes(digest, "big") % (rows // 50 + 1)
    return ChunkPlan(rows, min(FILE_CHUNK_ROWS, rows), destination, is_known)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of the input: `start` and `end` are byte offsets in the spool, equal when the chunk needs no sending."""

    digest: str
    rows: int
    start: int
    end: int

    @property
    def to_send(self) -> bool:
        """True when its bytes are in the spool; they are not when the server has them already."""
        return self.end > self.start


@dataclass(frozen=True, slots=True)
class Spool:
    """A finished spool file and its chunks."""

    path: Path
    chunks: tuple[Chunk, ...]

    @property
    def rows(self) -> int:
        """Rows in all chunks, to send or not."""
        return sum(chunk.rows for chunk in self.chunks)

    def content(self, chunk: Chunk) -> FileContent:
        """Return a chunk as body of a request."""
        return FileContent(
            open=lambda: cast("BinaryIO", _RowRange(self.path.open("rb"), chunk.start, chunk.end)),
            size=chunk.end - chunk.start,
        )

    def lines(self, chunk: Chunk) -> Iterator[bytes]:
        """Yield the rows of a chunk as JSON without line ends."""
        with _RowRange(self.path.open("rb"), chunk.start, chunk.end) as file:
            rest = b""
            while data := file.read(_READ):
                lines = (rest + data).split(b"\n")
                rest = lines.pop()
                yield from lines


class SpoolWriter:
    """Writer of a spool: cuts chunks of `chunk_rows` rows and drops the bytes of those for which `is_known(digest)` holds."""

    def __init__(
        self,
        path: Path,
        *,
        chunk_rows: int,
        salt: str,
        is_known: Callable[[str], bool],
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._path = path
        self._file: IO[bytes] = path.open("wb")
        self._chunk_rows = chunk_rows
        self._chunk_bytes = chunk_bytes
        self._salt = salt.encode()
        self._is_known = is_known
        self._chunks: list[Chunk] = []
        self._start = self._at = self._rows = 0
        self._hash = self._new_hash()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="nucleus-spool")
        self._pending: Future[None] | None = None

    def write(self, block: NdjsonBlock) -> None:
        """Append rows."""
        while block.rows:
            room = self._chunk_rows - self._rows
            fitting, block = (block, NdjsonBlock(b"", 0)) if block.rows <= room else block.split(room)
            self._append_within_limit(fitting)
            if self._rows == self._chunk_rows:
                self._end_chunk()

    def _append_within_limit(self, lines: NdjsonBlock) -> None:
        """Append rows that are few enough for the chunk; several chunks take them when they are too long for one."""
        if self._at - self._start + len(lines.data) <= self._chunk_bytes:
            self._append(lines)
        elif self._rows:
            self._end_chunk()
            self._append_within_limit(lines)
        elif lines.rows > 1:
            for half in lines.split(lines.rows // 2):
                self._append_within_limit(half)
        else:
            self._append(lines)

    def _append(self, lines: NdjsonBlock) -> None:
        self._await_write()
        self._pending = self._pool.submit(self._write_and_hash, lines.data)
        self._at += len(lines.data)
        self._rows += lines.rows

    def finish(self) -> Spool:
        """Cut the last chunk and return the finished spool."""
        if self._rows:
            self._end_chunk()
        try:
            self._file.close()
        except OSError as error:
            raise self._full_disk_error(error) from error
        return Spool(self._path, tuple(self._chunks))

    def close(self) -> None:
        """Close the file, finished or not."""
        self._pool.shutdown()
        # Of what was not finished there may be something left to write, and no room.
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_and_hash(self, data: bytes) -> None:
        # Neither holds the interpreter's lock, so that the next rows are checked meanwhile.
        self._file.write(data)
        self._hash.update(data)

    def _await_write(self) -> None:
        """Wait until the last block is written; NucleusUploadError when the write failed."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            try:
                pending.result()
            except OSError as error:
                raise self._full_disk_error(error) from error

    def _full_disk_error(self, error: OSError) -> NucleusUploadError:
        return NucleusUploadError(
            f"The checked rows could not be kept in {self._path.parent} within {self._at:,} bytes: {error}. Nothing of this input was "
            "sent.",
            hint=DISK_SPACE_HINT,
        )

    def _end_chunk(self) -> None:
        self._await_write()
        digest = base64.urlsafe_b64encode(self._hash.digest()).decode()
        assert len(digest) == DIGEST_CHARS
        if self._is_known(digest):
            self._file.seek(self._start)
            self._file.truncate()
            self._at = self._start
        self._chunks.append(Chunk(digest, self._rows, self._start, self._at))
        self._start, self._rows = self._at, 0
        self._hash = self._new_hash()

    def _new_hash(self) -> Any:
        return hashlib.blake2b(self._salt, digest_size=DIGEST_CHARS * 3 // 4)


class _RowRange:
    """The rows of one chunk as a file: a byte range of the spool."""

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        self._file = file
        self._left = end - start
        file.seek(start)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, empty at the end of the range."""
        size = self._left if size < 0 else min(size, self._left)
        data = self._file.read(size) if size else b""
        self._left -= len(data)
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@contextlib.contextmanager
def explain_full_disk(folder: Path) -> Generator[None]:
    """Turn errors of a full disk into a NucleusUploadError that names the folder; for code that runs before anything is sent."""
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
            hint=DISK_SPACE_HINT,
        ) from error
