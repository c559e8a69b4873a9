"""Quarantine file of the bad rows: source, row number, reason, row.

Rows are collected in a local temporary file and published atomically; a file left by an earlier attempt is replaced, even by an
empty one, because outdated reasons mislead. Written as JSONL or, by suffix, as Parquet; to a disk or to any storage whose path
objects have `open()`.
"""

from __future__ import annotations

import contextlib
import json
import math
import secrets
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusUploadError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Quarantine", "quarantine_hint"]

_PARQUET_ROWS = 20_000


class Quarantine:
    """Collection of bad rows; `publish` writes them to `destination`."""

    def __init__(self, destination: Any, folder: Path) -> None:
        self._destination = (
            destination
            if hasattr(destination, "open") or destination is None
            else _destination_path(str(destination))
        )
        self._spool = folder / "quarantine.jsonl"
        self._file: IO[bytes] = self._spool.open("wb")
        self.rows = 0
        self.first_reasons: list[str] = []

    def add(self, source: str, number: int, reason: str, row: Any) -> None:
        """Add one bad row."""
        self.rows += 1
        if len(self.first_reasons) < _FIRST:
            self.first_reasons.append(f"{source} row {number}: {reason}")
        if self._destination is not None:
            line = {"source": source, "row": number, "reason": reason, "data": _jsonable(row)}
            self._file.write(
                json.dumps(line, ensure_ascii=False, default=repr).encode("utf-8", "replace") + b"\n"
            )

    def clear(self) -> None:
        """Remove all rows, for another pass over the input."""
        self._file.seek(0)
        self._file.truncate()
        self.rows = 0
        self.first_reasons = []

    def publish(self) -> str | None:
        """Write the file and return where it is; None when none is wanted, or there is nothing to report or to replace."""
        if self._destination is None or (not self.rows and not _exists(self._destination)):
            return None
        name = str(self._destination)
        try:
            self._file.flush()
            self._write(name)
        except OSError as error:
            raise NucleusUploadError(
                f"Could not write the quarantine file {name}: {error}.",
                hint="Correct the path or its permissions, or make room there and in the folder of temporary files.",
            ) from error
        return name

    def _write(self, name: str) -> None:
        made = self._spool
        if name.endswith((".parquet", ".pq")):
            made = self._spool.with_suffix(".parquet")
            _write_parquet(self._lines(), made)
        _copy_atomically(made, self._destination)

    def close(self) -> None:
        """Close the temporary file."""
        # Of what was not published there may be something left to write, and no room.
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self._spool.open("rb") as file:
            for line in file:
                yield json.loads(line)


def quarantine_hint(quarantine: str | None, advice: str) -> str:
    """Return a hint that says where the bad rows are and adds the advice."""
    return (
        f"The bad rows are in {quarantine}. {advice}"
        if quarantine
        else f"{advice} Set quarantine to get the bad rows in a file."
    )


_FIRST = 10
"""Reasons kept for log and summary."""


def _destination_path(text: str) -> Any:
    if "://" not in text:
        return Path(text)
    try:
        from upath import UPath
    except ImportError:
        raise NucleusConfigError(
            f"Cannot write the quarantine file {text}: addresses with a scheme need universal-pathlib.",
            hint="Pass an ObjectStoragePath.",
        ) from None
    return UPath(text)


def _exists(path: Any) -> bool:
    return bool(path.exists()) if hasattr(path, "exists") else False


def _copy_atomically(made: Path, destination: Any) -> None:
    """Copy to the destination; readers see the whole old file or the whole new one."""
    if isinstance(destination, Path):
        destination.parent.mkdir(parents=True, exist_ok=True)
        beside = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}")
        try:
            # Rows are for whom the umask lets read them, like any file of the worker.
            with beside.open("xb") as target, made.open("rb") as source:
                shutil.copyfileobj(source, target)
            beside.replace(destination)
        finally:
            beside.unlink(missing_ok=True)
        return
    # Object stores show an object only once it was written to its end.
    with made.open("rb") as source, destination.open("wb") as target:
        shutil.copyfileobj(source, target)


def _write_parquet(lines: Iterator[dict[str, Any]], path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise NucleusConfigError(
            "A quarantine file in Parquet needs pyarrow.",
            hint="Install airflow-provider-nucleus[parquet], or name the file .jsonl.",
        ) from None
    schema = pa.schema([
        ("source", pa.string()),
        ("row", pa.int64()),
        ("reason", pa.string()),
        ("data", pa.string()),
    ])
    with pq.ParquetWriter(path, schema) as writer:
        rows: list[dict[str, Any]] = []
        for line in lines:
            rows.append(line | {"data": json.dumps(line["data"], ensure_ascii=False)})
            if len(rows) == _PARQUET_ROWS:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema))


def _jsonable(value: Any, depth: int = 0) -> Any:
    """Return a value that JSON can hold: non-finite numbers, foreign objects and too deep nesting become text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, (str, int)) or value is None:
        return value
    if depth > 64:
        return repr(value)[:1_000]
    if isinstance(value, dict):
        return {str(key): _jsonable(member, depth + 1) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(member, depth + 1) for member in value]
    return repr(value)[:1_000]
