"""Files of a source: one file, a folder, a glob or a list of them, on a disk or in an object store.

A path is anything with `open()`: `pathlib.Path`, a UPath, Airflow's ObjectStoragePath. Text with a scheme
(`s3://bucket/rows.jsonl`) is opened through universal-pathlib, which Airflow 3 brings along.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from airflow_provider_nucleus.exceptions import (
    NucleusConfigError,
    NucleusSourceError,
    NucleusValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

__all__ = [
    "SourceFile",
    "cut_off",
    "find_files",
    "in_folder",
    "in_glob",
    "is_of_storage",
    "open_path",
    "open_plain",
    "to_path",
    "unreadable",
]

_COMPRESSIONS = (".gz", ".zst")
_ROW_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json", ".parquet", ".pq"})
_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"})
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source: `path` to open and the `name` messages use for it."""

    path: Any
    name: str

    @property
    def suffix(self) -> str:
        """The lower-case suffix below any compression suffix: `.jsonl` for `rows.jsonl.gz`."""
        suffixes = [suffix.lower() for suffix in Path(self.name).suffixes]
        while suffixes and suffixes[-1] in _COMPRESSIONS:
            suffixes.pop()
        return suffixes[-1] if suffixes else ""


def to_path(source: Any) -> Any:
    """Return an object with `open()` for a path given as text, `os.PathLike` or already such an object."""
    if hasattr(source, "open"):
        return source
    text = str(source)
    if "://" not in text:
        return Path(text)
    scheme, _, rest = text.partition("://")
    if scheme == "file":
        return Path(rest if rest.startswith("/") else f"/{rest}")
    try:
        from upath import UPath
    except ImportError:
        raise NucleusConfigError(
            f"Cannot open {_display_name(text)}: addresses with a scheme need universal-pathlib.",
            hint="Pass an ObjectStoragePath, or install universal-pathlib and the file system for this scheme.",
        ) from None
    return UPath(text)


def find_files(source: Any) -> list[SourceFile]:
    """List the files of a source in a stable order (by name).

    A folder stands for every row file below it, hidden files and those starting with `_` excepted; a name with `*`, `?`
    or `[` that is not itself a file is a glob. Raises NucleusSourceError when there is nothing to read, or its storage
    does not tell, which may change.
    """
    if isinstance(source, (list, tuple)):
        return [source_file for member in source for source_file in find_files(member)]
    path = to_path(source)
    try:
        return _files_of(path, _display_name(path))
    except ImportError as error:
        raise no_file_system(_display_name(path), error) from None
    except Exception as error:
        if not is_of_storage(error):
            raise
        raise unreadable(_display_name(path), error) from error


def _files_of(path: Any, name: str) -> list[SourceFile]:
    if _test(path, "is_dir"):
        found = [child for child in path.rglob("*") if _is_row_file(child, path)]
        what = f"holds no row files ({', '.join(sorted(_ROW_SUFFIXES))}, also with .gz or .zst)"
        if not found:
            what += _glob_of_labels(path)
    elif any(sign in name for sign in "*?[") and not _test(path, "is_file"):
        found = [child for child in _glob(path) if _test(child, "is_file")]
        what = "matches no file"
    else:
        if hasattr(path, "is_file") and not _test(path, "is_file"):
            raise NucleusSourceError("does not exist or is not a file", source=name)
        return [SourceFile(path, name)]
    if not found:
        raise NucleusSourceError(what, source=name)
    return sorted(
        (SourceFile(child, _display_name(child)) for child in found), key=lambda source_file: source_file.name
    )


def _glob_of_labels(folder: Any) -> str:
    """Return how to name the label files of other tools that lie below a folder, or nothing."""
    for suffix in (".txt", ".xml"):
        for child in folder.rglob(f"*{suffix}"):
            within = _display_name(child.parent)
            return f"; text and XML are read when a glob names them, such as '{within}/*{suffix}'"
    return ""


def in_folder(folder: str, location: str) -> str:
    """Return the path or URL of a location below *folder*; one that lies there already, is absolute or an address stays."""
    folder = folder.rstrip("/")
    if "://" in location or location[:5].lower() == "file:" or location.startswith(("/", f"{folder}/")):
        return location
    return f"{folder}/{location}"


def open_path(path: Any) -> IO[bytes]:
    """Open any path for reading bytes as they lie there; trouble of its storage is a NucleusSourceError, now and later."""
    name = _display_name(path)
    try:
        opened: IO[bytes] = to_path(path).open("rb")
    except ImportError as error:
        raise no_file_system(name, error) from None
    except Exception as error:
        if not is_of_storage(error):
            raise
        raise unreadable(name, error) from error
    return cast("IO[bytes]", _Stored(opened, name))


@contextlib.contextmanager
def open_plain(source_file: SourceFile) -> Generator[IO[bytes]]:
    """Open a file for reading its decompressed bytes; gzip and zstd are recognised by their first bytes, not their names.

    What breaks while decompressing surfaces as NucleusValidationError naming the file, or NucleusSourceError when the file just
    ends: nothing after that point can be trusted, so it is not one bad row.
    """
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(open_path(source_file.path))
        head, raw = _peek(raw, 4)
        if head.startswith(_GZIP_MAGIC):
            plain: IO[bytes] = cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=raw, mode="rb")))
        elif head.startswith(_ZSTD_MAGIC):
            plain = stack.enter_context(_open_zstd(raw, source_file.name))
        else:
            plain = raw
        try:
            yield plain
        except EOFError as error:
            raise cut_off(source_file.name, "the compressed file") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise NucleusValidationError(
                "", f"the compressed file is damaged: {error}", source=source_file.name
            ) from error


def cut_off(name: str, what: str) -> NucleusSourceError:
    """Return the error for a file that ends before its format does."""
    return NucleusSourceError(
        f"{what} is cut off",
        source=name,
        hint="If it is still being written, a later try finds it whole; else bring it here again.",
    )


def is_of_storage(error: Exception) -> bool:
    """Return whether an error is a storage's own, rather than a mistake of the program: stores say in types of theirs that nobody signed in."""
    return isinstance(error, OSError) or type(error).__name__ in _NO_CREDENTIALS


def unreadable(name: str, error: Exception) -> NucleusSourceError:
    """Return the error for a file whose storage fails."""
    refused = "://" in name and (isinstance(error, PermissionError) or not isinstance(error, OSError))
    hint = (
        "An address without a connection is read with the credentials of the worker. For those of an Airflow connection put its id before "
        "an @: s3://aws_default@bucket/key. That takes Airflow's provider of the store, such as apache-airflow-providers-amazon[s3fs]."
    )
    return NucleusSourceError(
        f"cannot be read: {type(error).__name__}: {error}", source=name, hint=hint if refused else None
    )


def no_file_system(name: str, error: ImportError) -> NucleusConfigError:
    """Return the error for an address whose file system is not installed; fsspec says which package has it."""
    return NucleusConfigError(
        f"{name} cannot be opened: {error}.",
        hint="Install that package where tasks run; Airflow's provider of the store brings it, "
        "for example apache-airflow-providers-amazon[s3fs].",
    )


class _Stored(io.RawIOBase):
    """A file in its storage, whose failures are kept apart from those of its content: a reset connection is no damaged file.

    Decoders pass on what is not an OSError; an OSError does not show later where it is from.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def read(self, size: int | None = -1) -> bytes:
        try:
            return self._file.read(-1 if size is None else size)
        except OSError as error:
            raise unreadable(self._name, error) from error

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _open_zstd(raw: IO[bytes], name: str) -> IO[bytes]:
    try:
        import pyarrow as pa
    except ImportError:
        raise NucleusConfigError(
            f"{name} is compressed with zstd, which needs pyarrow.",
            hint="Install airflow-provider-nucleus[parquet].",
        ) from None
    return io.BufferedReader(
        _ZstdReader(pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd"), name), 1 << 20
    )


class _ZstdReader(io.RawIOBase):
    """pyarrow's decompressing stream with the errors of our own tree."""

    def __init__(self, stream: Any, name: str) -> None:
        self._stream = stream
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block = self._stream.read(len(buffer))
        except OSError as error:
            if "runcated" in str(error):
                raise cut_off(self._name, "the compressed file") from error
            raise NucleusValidationError(
                "", f"the compressed file is damaged: {error}", source=self._name
            ) from error
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _peek(raw: IO[bytes], size: int) -> tuple[bytes, IO[bytes]]:
    """Return the first bytes and a stream that still begins with them."""
    if raw.seekable():
        head = raw.read(size)
        raw.seek(0)
        return head, raw
    buffered = io.BufferedReader(raw)  # type: ignore[type-var]
    return buffered.peek(size)[:size], buffered


def _glob(path: Any) -> Iterable[Any]:
    """Expand the glob in a path-like object from its first component without wildcards."""
    base = path
    pattern: list[str] = []
    while any(sign in _display_name(base) for sign in "*?["):
        pattern.insert(0, base.name)
        base = base.parent
    found: Iterable[Any] = base.glob("/".join(pattern))
    return found


def in_glob(pattern: str, place: str) -> bool:
    """Return whether a glob takes a file in, existing or not; both are written with slashes. `**` stands for any folders."""
    return _steps_match(pattern.split("/"), place.split("/"))


def _steps_match(pattern: Sequence[str], steps: Sequence[str]) -> bool:
    if not pattern or not steps:
        return not steps and all(step == "**" for step in pattern)
    if pattern[0] == "**":
        return _steps_match(pattern[1:], steps) or _steps_match(pattern, steps[1:])
    return fnmatch.fnmatchcase(steps[0], pattern[0]) and _steps_match(pattern[1:], steps[1:])


def _is_row_file(path: Any, folder: Any) -> bool:
    inside = _display_name(path)[len(_display_name(folder)) :].strip("/\\").replace("\\", "/").split("/")
    if any(name.startswith((".", "_")) for name in inside):
        return False
    return SourceFile(path, path.name).suffix in _ROW_SUFFIXES and _test(path, "is_file")


def _test(path: Any, question: str) -> bool:
    return bool(getattr(path, question)()) if hasattr(path, question) else False


def _display_name(path: Any) -> str:
    """Return a path without the query of a signed address, which is a credential."""
    text = str(path)
    return text.partition("?")[0] if "://" in text and "&" in text else text
