"""COCO files as JSON values: plain, gzip or zstd, with a byte order mark or without, to the last digit of an id.

NaN and Infinity, which are no JSON and which some tools write, are read here: the judge of their field refuses them with their row, and
where nobody looks at the field they do no harm.
"""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

import orjson

from airflow_provider_nucleus.coco.layouts import HEAD, looks_like
from airflow_provider_nucleus.long_numbers import has_long_numbers

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["CocoFormatError", "collector_paused", "file_name", "lacks", "plain_bytes", "read_document"]

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_MARK = b"\xef\xbb\xbf"


class CocoFormatError(ValueError):
    """A file is not what it should be: names the file, the row and what to correct."""


def file_name(source: Path | bytes) -> str:
    """Return what messages call a source."""
    return "the document" if isinstance(source, bytes) else source.name


def read_document(source: Path | bytes) -> tuple[Any, bytes]:
    """Return the JSON value of a file and the first bytes of its text. Raises CocoFormatError, or OSError when it cannot be opened."""
    name = file_name(source)
    text = plain_bytes(source)
    try:
        return _decoded(text), text[:HEAD]
    except (ValueError, RecursionError) as error:
        if not text.strip():
            raise CocoFormatError(f"{name}: is empty; results without any detection are []") from None
        likeness = looks_like(text)
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CocoFormatError(
            f"{name}: is not JSON: {reason}" + (f"; it looks like {likeness}" if likeness else "")
        ) from None


@contextlib.contextmanager
def collector_paused() -> Generator[None]:
    """Pause the cyclic collector while a document is in memory: a million small objects, none of them part of a cycle."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def plain_bytes(source: Path | bytes) -> bytes:
    """Return the decompressed bytes of a file, without a byte order mark."""
    text = source if isinstance(source, bytes) else source.read_bytes()
    name = file_name(source)
    try:
        if text.startswith(_GZIP):
            text = gzip.decompress(text)
        elif text.startswith(_ZSTD):
            text = _unpacked(text, name)
    except EOFError:
        raise CocoFormatError(f"{name}: the compressed file is cut off") from None
    except (OSError, zlib.error) as error:
        raise CocoFormatError(f"{name}: the compressed file is damaged: {error}") from None
    return text.removeprefix(_MARK)


def _unpacked(text: bytes, name: str) -> bytes:
    try:
        import pyarrow as pa
    except ImportError:
        raise CocoFormatError(
            f"{name}: is compressed with zstd, which needs pyarrow: install airflow-provider-nucleus[parquet]"
        ) from None
    return bytes(pa.CompressedInputStream(pa.BufferReader(text), "zstd").read())


def _decoded(text: bytes) -> Any:
    if not has_long_numbers(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    return json.loads(text.decode())


def lacks(name: str, sections: list[str], head: bytes) -> CocoFormatError:
    """Return the error for a document that lacks sections of a COCO ground truth, with what it looks like."""
    likeness = looks_like(head)
    return CocoFormatError(
        f"{name}: has no {' and no '.join(map(repr, sections))}: it is not a COCO ground truth"
        + (f"; it looks like {likeness}" if likeness else "")
        + ". A COCO ground truth is an object with the lists images, categories and annotations."
    )
