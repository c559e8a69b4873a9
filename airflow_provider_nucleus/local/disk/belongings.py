"""Files of a data directory that are the server's own, recognized by name: nothing else is ever touched.

Blobs, uploads and results have names that no two of them share, so a name says which row a file belongs to, and in a copy
of the directory too.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.disk.durable import PART
from airflow_provider_nucleus.local.errors import DataDirError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = [
    "ASIDE",
    "STORE",
    "blob_name",
    "check_folder",
    "foreign",
    "kept",
    "parts",
    "result_name",
    "spilled",
    "upload_name",
]

STORE: Final = "nucleus.duckdb"
ASIDE: Final = "not-in-the-store"
"""The folder for files that no row of the store refers to; in it everything lies where it lay before."""

_BLOB: Final = re.compile(r"[0-9a-f]{40}")
_UPLOAD: Final = re.compile(r"[\w-]{43}\.ndjson", re.ASCII)
_RESULT: Final = re.compile(r"evalv2_[0-9a-z]{20}(\.[0-9a-f]{8})?")
_LOCK: Final = re.compile(rb"(\d{1,10}\n)?")
_KEY: Final = "api-key"
_KEYS: Final = "keys.json"
_PART: Final = r"(\.[0-9a-f]{8}\.part)?"
_OURS: Final = re.compile(
    rf"lock|{_KEY}{_PART}|{re.escape(_KEYS)}{_PART}|{re.escape(STORE)}(\.wal(\.checkpoint|\.recovery)?|{_PART})"
    rf"|blobs/(?P<two>[0-9a-f]{{2}})/(?P=two)[0-9a-f]{{38}}{_PART}|spool/{_UPLOAD.pattern}{_PART}|spool/spill/duckdb_temp_[\w.-]+"
    rf"|evaluations/{_RESULT.pattern}{_PART}/(about\.json|columns\.bin|\w+\.npy){_PART}",
    re.ASCII,
)
_FOLDERS: Final = ("blobs", "spool", "evaluations", ASIDE)
_SINGLE: Final = ("lock", _KEY, _KEYS)


def blob_name(token: str) -> str:
    """Return where the bytes of a token lie, relative to the data directory."""
    return f"blobs/{token[:2]}/{token}"


def upload_name(token: str) -> str:
    """Return where the upload of a token lies, relative to the data directory."""
    return f"spool/{token}.ndjson"


def result_name(name: str) -> str:
    """Return where the result of an evaluation lies, relative to the data directory."""
    return f"evaluations/{name}"


def kept(root: Path) -> Iterator[Path]:
    """Return the whole blobs, uploads and results below a folder that is laid out like a data directory."""
    return (path for path, name in _places(root) if name == path.name)


def parts(root: Path) -> Iterator[Path]:
    """Return what the server had not finished writing when it was killed."""
    return (path for path, name in _places(root) if name != path.name)


def spilled(root: Path) -> Iterator[Path]:
    """Return the files of memory that DuckDB had spilled when it was killed; only before it is opened."""
    return (root / "spool" / "spill").glob("duckdb_temp_*")


def foreign(root: Path) -> Iterator[str]:
    """Return the files of a data directory that have no name of the server's, or were moved aside, relative to it; links are foreign."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() or not (path.is_dir() or _OURS.fullmatch(name)):
            yield name


def _places(root: Path) -> Iterator[tuple[Path, str]]:
    """Return everything with a name of the server's, and that name: that of a part is what it would have become."""
    named = chain(
        ((path, name) for path, name in _named(root.glob("*.part")) if name in {STORE, _KEY, _KEYS}),
        _matching(_UPLOAD, root.glob("spool/*")),
        _matching(_RESULT, root.glob("evaluations/*")),
        (
            (path, name)
            for path, name in _matching(_BLOB, root.glob("blobs/??/*"))
            if path.parent.name == name[:2]
        ),
    )
    return ((path, name) for path, name in named if not path.is_symlink())


def _matching(pattern: re.Pattern[str], paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    return ((path, name) for path, name in _named(paths) if pattern.fullmatch(name))


def _named(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    for path in paths:
        part = PART.fullmatch(path.name)
        yield path, part["name"] if part else path.name


def check_folder(root: Path) -> None:
    """Raise `DataDirError` unless a folder is missing, empty, or a data directory whose store is there.

    None of its folders may be a link: what lies behind it may be another server's, and would be moved or deleted.
    """
    if not root.is_dir():
        return
    _check_links(root)
    lock = root / "lock"
    if lock.exists() and not (_is_file(lock) and (_is_lock(lock) or (root / STORE).exists())):
        raise _foreign(root, "lock")
    if (root / STORE).exists():
        # Power that fails leaves anything in a lock: what the folder is, the store says.
        if not (lock.exists() and _is_lock(lock)):
            # Imported here: who only looks for leftovers needs no DuckDB.
            from airflow_provider_nucleus.local.disk.store_file import check_store

            check_store(root / STORE)
        return
    found = next(_content(root), None)
    if found is None:
        return
    if next(chain(kept(root), kept(root / ASIDE)), None) or found.startswith(STORE):
        raise DataDirError(
            f"data directory {root} holds {found}, but its store {STORE} is missing. Restore {STORE} from the backup, or "
            "choose another --data-dir; nothing was changed."
        )
    raise _foreign(root, found)


def _check_links(root: Path) -> None:
    own = [root / name for name in (*_FOLDERS, "spool/spill", *(f"{ASIDE}/{name}" for name in _FOLDERS))]
    for path in (*own, *root.glob("blobs/??"), *root.glob(f"{ASIDE}/blobs/??")):
        if path.is_symlink():
            raise DataDirError(
                f"{path} is a link to {path.readlink()}, whose files the server would move and delete as its own. Put the whole data "
                f"directory on the bigger disk and name it with --data-dir, or mount that disk at {path}; nothing was changed."
            )


def _foreign(root: Path, found: str) -> DataDirError:
    return DataDirError(
        f"{root} is no data directory of nucleus-local: it holds {found}. Choose an empty or new folder as --data-dir; "
        "nothing was changed."
    )


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_lock(path: Path) -> bool:
    with path.open("rb") as file:
        return _LOCK.fullmatch(file.read(32)) is not None


def _content(root: Path) -> Iterator[str]:
    """Return what is in a folder without a store beside what a first start leaves that died."""
    unfinished = set(parts(root))
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") or path.name == "lost+found" or path in unfinished:
            continue
        if path.name in _FOLDERS and path.is_dir():
            yield from (str(inner.relative_to(root)) for inner in path.rglob("*") if not inner.is_dir())
        elif path.name not in _SINGLE or not path.is_file():
            yield path.name
