"""Files that are whole and durable under their name, or not there: every file the server keeps is written here."""

from __future__ import annotations

import errno
import os
import re
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.disk.full_disk import full_disk_named

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["PART", "DurableFile", "part_of", "sync_directory", "written"]

PART: Final = re.compile(r"(?P<name>.+?)\.[0-9a-f]{8}\.part")
"""The name of a part, as `part_of` makes it; `name` is what it would have become."""


def part_of(path: Path) -> Path:
    """Return a name beside a path for what is not whole yet; no two are the same."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")


def sync_directory(folder: Path) -> None:
    """Make renames and new names in a folder survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DurableFile:
    """A file on its way: a part beside its place until `publish`, gone with `discard`.

    Only its owner may read it. Raises `FullDiskError` when the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.size = 0
        """Bytes written so far."""
        self._path = path
        self._part = part_of(path)
        with full_disk_named(self._path):
            handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # Buffered: a short write is completed or raises, where a raw one returns a count.
        self._file = os.fdopen(handle, "wb")

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes and return how many they are."""
        with full_disk_named(self._path):
            size = memoryview(data).nbytes
            self._file.write(data)
            self.size += size
            return size

    def finish(self) -> None:
        """Bring everything to disk; raises OSError if what is there is not what was written."""
        with full_disk_named(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            found = os.fstat(self._file.fileno()).st_size
            self._file.close()
            if found != self.size:
                raise OSError(errno.EIO, f"{self.size} bytes were written and {found} are there", self._part)

    def publish(self) -> None:
        """Give a finished file its name, in place of what had it before."""
        with full_disk_named(self._path):
            self._part.replace(self._path)
            sync_directory(self._path.parent)

    def discard(self) -> None:
        """Delete what has no name yet; nothing happens to a published file."""
        # Closing writes what is still buffered, for which there may be no room; it is not wanted any more.
        with suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


@contextmanager
def written(path: Path) -> Generator[DurableFile]:
    """Lend a file that is published when the block ends, and leaves nothing if it raises."""
    file = DurableFile(path)
    try:
        yield file
        file.finish()
        file.publish()
    finally:
        file.discard()
