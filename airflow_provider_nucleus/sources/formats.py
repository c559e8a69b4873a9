"""Formats of files, detected by suffix where that says enough, else by the first bytes."""

from __future__ import annotations

from typing import Literal, get_args

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.sources.decode import loads_lenient
from airflow_provider_nucleus.sources.files import SourceFile, open_plain

__all__ = ["Format", "check_format", "detect_format", "is_array"]

Format = Literal["jsonl", "json", "coco", "parquet"]

_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_HEAD = 1 << 16


def check_format(name: str) -> Format | Literal["auto"]:
    """Return a format name that exists, or raise NucleusConfigError."""
    if name != "auto" and name not in get_args(Format):
        raise NucleusConfigError(
            f"Unknown source format {name!r}: choose auto, {', '.join(get_args(Format))}.", field="format"
        )
    return name  # type: ignore[return-value]


def detect_format(source_file: SourceFile) -> Format:
    """Return the format of a file.

    `json` is an array of wire objects, `coco` an array of COCO results or a COCO ground truth, `jsonl` one object a line.
    A file in which nothing can be recognised is read as JSONL, whose reader names the bad lines.
    """
    if (format_of_suffix := _SUFFIXES.get(source_file.suffix)) is not None:
        return format_of_suffix
    with open_plain(source_file) as stream:
        head = stream.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"["):
        return "coco" if b'"image_id"' in head else "json"
    if not head.startswith(b"{"):
        return "jsonl"
    try:
        first = loads_lenient(head.partition(b"\n")[0])
    except ValueError:
        # Not whole on its first line: a pretty-printed or very long document, or a very long row.
        return "jsonl" if b'"reference_id"' in head else "coco"
    return "coco" if isinstance(first, dict) and {"images", "categories"} & first.keys() else "jsonl"


def is_array(source_file: SourceFile) -> bool:
    """Return whether a JSON file is an array."""
    with open_plain(source_file) as stream:
        return stream.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
