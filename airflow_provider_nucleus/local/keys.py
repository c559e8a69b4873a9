"""Keys of a server: the main one, and named ones that may be read-only; kept as digests, looked up anew whenever they change.

The main key is given with the settings, or generated and kept in `api-key`, where its owner can read it again. Of a named
one `keys.json` has the SHA-256 alone: it is shown once. Generated keys have 128 random bits, which need no slow digest.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.disk.durable import written
from airflow_provider_nucleus.local.errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from pathlib import Path

__all__ = ["MAIN", "SESSION_SECONDS", "AccessKey", "KeyFiles", "KeyRing"]

MAIN: Final = "main"
"""The name of the main key, which may do everything and cannot be removed."""

SESSION_SECONDS: Final = 12 * 3600
"""Seconds for which a browser stays signed in."""

log = logging.getLogger(__name__)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """The record of a key: its name, what it may do, and the digest by which it is recognised."""

    name: str
    read_only: bool
    digest: str
    created_at: str = ""


def _read_entry(entry: Mapping[str, Any]) -> AccessKey:
    """Return the record of a named key; raises ValueError or TypeError for one that would not do what it looks like."""
    key = AccessKey(**entry)
    if not (isinstance(key.name, str) and _NAME.fullmatch(key.name)) or key.name == MAIN:
        raise ValueError(f"{key.name!r} is no name of a key")
    if not isinstance(key.read_only, bool):
        raise TypeError(f"read_only of the key {key.name!r} must be true or false, got {key.read_only!r}")
    if not (isinstance(key.digest, str) and _SHA256.fullmatch(key.digest)):
        raise ValueError(f"the digest of the key {key.name!r} is no SHA-256 in hexadecimal")
    return key


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


class KeyFiles:
    """The files of keys in a data directory, whether or not a server runs on it."""

    def __init__(self, root: Path) -> None:
        self.main_path = root / "api-key"
        self.named_path = root / "keys.json"
        self._root = root

    def main(self) -> str | None:
        """Return the main key that is kept, None if there is none; raises `KeyFileError` if its file cannot be read."""
        try:
            return self.main_path.read_text().strip() or None
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise KeyFileError(
                f"{self.main_path} cannot be read: {error}. Restore it, or delete it: the next start makes a new key."
            ) from error

    def rotate(self) -> str:
        """Make a new main key in place of the one that is kept, and return it."""
        key = f"local_{secrets.token_hex(16)}"
        with self._changing(), written(self.main_path) as file:
            file.write(f"{key}\n".encode())
        return key

    def named(self) -> list[AccessKey]:
        """Return the named keys; raises `KeyFileError` if their file cannot be read."""
        try:
            entries = json.loads(self.named_path.read_bytes())["keys"]
            return [_read_entry(entry) for entry in entries]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise KeyFileError(
                f"{self.named_path} cannot be read: {error}. Restore it, or delete it and add the keys again."
            ) from error

    def add(self, name: str, *, read_only: bool) -> str:
        """Add a named key and return it: from then on only its digest is there."""
        if name == MAIN or not _NAME.fullmatch(name):
            raise KeyFileError(
                f"{name!r} is no name of a key: up to 64 letters, digits, dots, dashes and underscores, and not {MAIN!r}."
            )
        key = f"{'read' if read_only else 'local'}_{secrets.token_hex(16)}"
        with self._changing():
            keys = self.named()
            if any(entry.name == name for entry in keys):
                raise KeyFileError(
                    f"There is a key {name!r} already: remove it first, or choose another name."
                )
            made = datetime.now(UTC).isoformat(timespec="seconds")
            self._write([
                *keys,
                AccessKey(name=name, read_only=read_only, digest=_digest(key), created_at=made),
            ])
        return key

    def remove(self, name: str) -> None:
        """Remove a named key: it opens nothing any more, from the next request on."""
        with self._changing():
            keys = self.named()
            if not any(entry.name == name for entry in keys):
                raise KeyFileError(
                    f"There is no key {name!r}. There are {', '.join(e.name for e in keys) or 'none'}."
                )
            self._write([entry for entry in keys if entry.name != name])

    def _write(self, keys: Iterable[AccessKey]) -> None:
        with written(self.named_path) as file:
            file.write(json.dumps({"keys": [asdict(entry) for entry in keys]}, indent=1).encode())

    @contextmanager
    def _changing(self) -> Generator[None]:
        """Take turns with others that change keys: the directory itself is the lock, which a server does not hold."""
        descriptor = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class KeyRing:
    """The keys that a running server knows now. Safe to use from any thread.

    `given` is the main key; if it is the one that is kept in the directory, a new one kept there takes its place.
    """

    def __init__(self, files: KeyFiles, given: str) -> None:
        self._files = files
        self._given = given
        self._kept = files.main() == given
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._keys: tuple[AccessKey, ...] = ()

    def find(self, offered: str) -> AccessKey | None:
        """Return the key that was offered, None if it is none; takes as long whichever it is."""
        digest, found = _digest(offered), None
        for key in self._current():
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def session(self, key: AccessKey) -> str:
        """Return what a browser that has shown a key keeps instead of it: it opens what is read, for a time."""
        return self._signed(key, int(time.time()) + SESSION_SECONDS)

    def signed_in(self, session: str) -> AccessKey | None:
        """Return the key of a session; None if it has ended, is made up, or its key is no longer one."""
        name, _, rest = session.rpartition(".")[0].rpartition(".")
        if not (rest.isascii() and rest.isdigit() and len(rest) < 12) or int(rest) < time.time():
            return None
        found = None
        for key in self._current():
            if key.name == name and hmac.compare_digest(
                self._signed(key, int(rest)).encode(), session.encode(errors="replace")
            ):
                found = key
        return found

    def _signed(self, key: AccessKey, until: int) -> str:
        # Signed with the digest, so that it ends with its key, and lives through a restart.
        text = f"{key.name}.{until}"
        return f"{text}.{hmac.new(key.digest.encode(), text.encode(), 'sha256').hexdigest()}"

    def _current(self) -> tuple[AccessKey, ...]:
        seen = _state(self._files.named_path), _state(self._files.main_path) if self._kept else None
        with self._lock:
            if seen != self._seen:
                main = (self._main() if self._kept else None) or self._given
                own = AccessKey(name=MAIN, read_only=False, digest=_digest(main))
                self._keys = (own, *self._named())
                self._seen = seen
            return self._keys

    def _main(self) -> str | None:
        try:
            return self._files.main()
        except KeyFileError:
            log.exception("the main key stays as it was")
            return None

    def _named(self) -> list[AccessKey]:
        try:
            return self._files.named()
        except KeyFileError:
            log.exception("only the main key is taken")
            return []


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
