"""Documents of judging as files: measurements, judgements, policies and baseline records at a path or any URL that Airflow knows.

A name that ends in `.gz` is gzip. On a disk a document is there whole or not at all; on an object store a put is whole by nature.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import uuid
import zlib
from pathlib import Path
from typing import Any, Final

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_nucleus.client.local_files import local_path
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError

__all__ = ["json_text", "local_document", "read_bytes", "read_json", "write_json"]

_COLUMNS: Final = "\x00matches\x00"

_READS = 4
"""Reads of a document that others write while it is read."""


def local_document(place: Any) -> Path | None:
    """Return a place on a disk of this machine as path, None when it is elsewhere."""
    text = str(place)
    if "://" not in text:
        return Path(text).expanduser()
    return Path(local_path(text)) if text.startswith("file://") else None


def read_bytes(place: Any) -> bytes:
    """Return the content of a document, unpacked; FileNotFoundError where there is none.

    NucleusConfigError for an address that nothing here can read, NucleusSourceError for a file that is out of reach or cut off.
    """
    text = str(place)
    try:
        content = _content(text)
        return gzip.decompress(content) if text.endswith(".gz") else content
    except FileNotFoundError:
        raise
    except (ValueError, ImportError) as error:
        raise NucleusConfigError(
            f"{text} cannot be read: {error}.",
            hint="Name a path, or an address whose provider package is installed where tasks run "
            "(apache-airflow-providers-amazon[s3fs] for s3).",
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise NucleusSourceError(str(error).rstrip(".") or type(error).__name__, source=text) from error
    except Exception as error:
        raise NucleusSourceError(
            f"it cannot be read: {type(error).__name__}: {error}", source=text
        ) from error


def _content(place: str) -> bytes:
    local = local_document(place)
    if local is not None:
        return local.read_bytes()
    for tries_left in reversed(range(_READS)):
        try:
            with ObjectStoragePath(place).open("rb") as file:  # type: ignore[no-untyped-call]
                return bytes(file.read())
        except OSError as error:
            # Another task wrote it between the two requests of an object store's reader: what is there now is whole.
            if error.errno != errno.EBUSY or not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def read_json(place: Any) -> Any:
    """Return what a JSON document holds; as `read_bytes`, and NucleusConfigError for what is no JSON."""
    content = read_bytes(place)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NucleusConfigError(
            f"{place} is no JSON document: {error}.", hint="Was it written by a task of this package?"
        ) from error


def json_text(value: Any) -> str:
    """Return a JSON document for people and tools: indented, the long columns of `matches` on a line each."""
    columns = value.get("matches") if isinstance(value, dict) else None
    if not isinstance(columns, dict):
        return json.dumps(value, indent=2, allow_nan=False)
    text = json.dumps({**value, "matches": _COLUMNS}, indent=2, allow_nan=False)
    placeholder = json.dumps(_COLUMNS)
    lines = (
        f"    {json.dumps(name)}: {json.dumps(column, allow_nan=False, separators=(',', ':'))}"
        for name, column in columns.items()
    )
    return text.replace(placeholder, "{\n" + ",\n".join(lines) + "\n  }")


def write_json(place: Any, value: Any) -> None:
    """Write a JSON document and make its folder; ValueError for NaN and infinity, which JSON does not have."""
    text = str(place)
    content = json_text(value).encode()
    if text.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    local = local_document(text)
    if local is None:
        with ObjectStoragePath(text).open("wb") as file:  # type: ignore[no-untyped-call]
            file.write(content)
        return
    local.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: two tasks that write the same document at once must not share the unfinished one.
    part = local.with_name(f".{local.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("wb") as unfinished:
            unfinished.write(content)
            unfinished.flush()
            os.fsync(unfinished.fileno())  # else a machine that dies may leave an empty file under the name
        part.replace(local)
    finally:
        part.unlink(missing_ok=True)
