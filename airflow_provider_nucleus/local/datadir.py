"""The data directory: who may use it, where things lie in it, and the key stored in it."""

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING, Self

from airflow_provider_nucleus.local.disk.belongings import STORE, check_folder
from airflow_provider_nucleus.local.errors import DataDirBusyError, DataDirError, FullDiskError
from airflow_provider_nucleus.local.keys import KeyFiles

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["DataDir"]


class DataDir:
    """An exclusively locked data directory, created if it is missing, closed to other users of the machine.

    Raises `DataDirError` if it is not ours, its store is missing, another server holds it or it cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            check_folder(root)
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _close_to_others(root)
            for folder in (self.blobs, self.spool):
                folder.mkdir(exist_ok=True)
            self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirError(
                f"data directory {root} cannot be written: {error}. Choose another --data-dir."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 20, 0).decode(errors="replace").strip().lstrip("0") or "unknown"
            os.close(self._lock)
            raise DataDirBusyError(
                f"data directory {root} is in use by another nucleus-local (process {holder}). "
                "Stop that server or choose another --data-dir; nothing was changed."
            ) from None
        self._sign()

    def _sign(self) -> None:
        """Write down who holds the directory, for whoever is refused."""
        # Every name is as long as the former one, so that a kill leaves no mixture of two.
        name = f"{os.getpid():010}\n".encode()
        try:
            # Over the former name, which has its place on a full disk.
            with os.fdopen(os.dup(self._lock), "r+b") as file:
                file.write(name)
                file.truncate()
        except OSError as error:
            self.close()
            raise DataDirError(
                f"data directory {self.root} cannot be written: {error}. Make room on its disk, or choose another --data-dir."
            ) from error

    @property
    def database(self) -> Path:
        """The DuckDB file."""
        return self.root / STORE

    @property
    def blobs(self) -> Path:
        """Images, masks and other bytes that were uploaded."""
        return self.root / "blobs"

    @property
    def evaluations(self) -> Path:
        """The folder of results of evaluations, a folder each."""
        return self.root / "evaluations"

    @property
    def spool(self) -> Path:
        """NDJSON uploads that no job has finished yet, and files being received."""
        return self.root / "spool"

    def stored_key(self) -> str:
        """Return the main key that is kept in the directory, made now if there is none."""
        files = KeyFiles(self.root)
        if (key := files.main()) is not None:
            return key
        try:
            return files.rotate()
        except FullDiskError as error:
            raise DataDirError(
                f"data directory {self.root} cannot be written: its disk is full. Make room on it, then start again."
            ) from error

    def close(self) -> None:
        """Release the lock; another server may then use the directory."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _close_to_others(root: Path) -> None:
    """Have nobody else of the machine read a directory of ours; one that others own or that is mounted keeps its mode."""
    found = root.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o077 and not root.is_mount():
        root.chmod(stat.S_IMODE(found.st_mode) & ~0o077)
