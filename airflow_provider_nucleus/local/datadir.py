"""The data directory: who may use it, where things lie in it, and the key stored in it."""

from __future__ import annotations

import fcntl
import os
import secrets
from typing import TYPE_CHECKING, Self

from airflow_provider_nucleus.local.errors import DataDirError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["DataDir"]


class DataDir:
    """An exclusively locked data directory, created if it is missing.

    Raises :class:`DataDirError` if another server holds it or it cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            for folder in (self.blobs, self.spool):
                folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirError(
                f"data directory {root} cannot be written: {error}. Choose another --data-dir."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            raise DataDirError(
                f"data directory {root} is in use by another nucleus-local (process {holder}). "
                "Stop that server or choose another --data-dir; nothing was changed."
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    @property
    def database(self) -> Path:
        """The DuckDB file."""
        return self.root / "nucleus.duckdb"

    @property
    def blobs(self) -> Path:
        """Images, masks and other bytes that were uploaded."""
        return self.root / "blobs"

    @property
    def evaluations(self) -> Path:
        """What evaluations have found, a folder each."""
        return self.root / "evaluations"

    @property
    def spool(self) -> Path:
        """NDJSON uploads that no job has finished yet, and files being received."""
        return self.root / "spool"

    def stored_key(self) -> tuple[str, bool]:
        """Return the key kept in the directory and whether it was made just now."""
        path = self.root / "api-key"
        if path.exists() and (key := path.read_text().strip()):
            return key, False
        key = f"local_{secrets.token_hex(16)}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key + "\n")
        return key, True

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
