"""JSONL: one object a line, read in blocks, so that memory is set by the block and not by the file."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.long_numbers import has_long_numbers
from airflow_provider_nucleus.schema.batches import RowBatch
from airflow_provider_nucleus.schema.rows import SourceRow
from airflow_provider_nucleus.sources.decode import loads, loads_lenient, loads_short
from airflow_provider_nucleus.sources.files import SourceFile, open_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LONGEST_LINE", "read_jsonl"]

BLOCK = 1 << 20
LONGEST_LINE = 64 << 20
"""A longer line is no row but a file of another format; reading on would take all memory."""

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_jsonl(source_file: SourceFile) -> Iterator[RowBatch]:
    """Yield the objects of a JSONL file (plain, gzip or zstd); numbers are line numbers.

    Blank lines are skipped. A line that is not a JSON object becomes a problem row. Raises NucleusValidationError when the file
    itself is damaged or is not line-wise, NucleusSourceError when it cannot be read.
    """
    with open_plain(source_file) as stream:
        first = 1
        for lines in _blocks_of_lines(stream, source_file.name):
            yield _parse(lines, first, source_file.name)
            first += len(lines)


def _blocks_of_lines(stream: IO[bytes], name: str) -> Iterator[list[bytes]]:
    rest = b""
    start = True
    while block := stream.read(BLOCK):
        if start:
            if block.startswith(_UTF16):
                raise NucleusValidationError(
                    "", "is text in UTF-16", source=name, hint="JSON is UTF-8: save the file as that."
                )
            block = block.removeprefix(_BOM)
            start = False
        lines = (rest + block).split(b"\n") if b"\n" in block else [rest + block]
        rest = lines.pop()
        if len(rest) > LONGEST_LINE:
            raise NucleusValidationError(
                "",
                f"has a line longer than {LONGEST_LINE >> 20} MiB, so it is not JSONL",
                source=name,
                hint="Say which format it has: format='coco', 'json' or 'parquet'.",
            )
        if lines:
            yield lines
    if rest:
        yield [rest]


def _parse(lines: list[bytes], first: int, name: str) -> RowBatch:
    decode = loads if has_long_numbers(b"\n".join(lines)) else loads_short
    try:
        rows = list(map(decode, lines))
    except ValueError:
        pass
    else:
        if set(map(type, rows)) <= {dict}:
            return RowBatch(name, range(first, first + len(rows)), rows)
    return _parse_singly(lines, first, name)


def _parse_singly(lines: list[bytes], first: int, name: str) -> RowBatch:
    """Parse a block that holds blank or bad lines."""
    numbers: list[int] = []
    rows: list[dict[str, Any]] = []
    problems: list[SourceRow] = []
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        try:
            row = _parse_line(line)
        except ValueError as error:
            problems.append(bad_row(name, number, line, str(error)))
        else:
            numbers.append(number)
            rows.append(row)
    return RowBatch(name, numbers, rows, problems)


def _parse_line(line: bytes) -> dict[str, Any]:
    try:
        row = loads(line)
    except ValueError as error:
        try:
            row = loads_lenient(line)
        except ValueError:
            raise ValueError(f"not JSON: {error}") from None
    if not isinstance(row, dict):
        raise ValueError(f"not a JSON object but {_kind(row)}")  # ruff: ignore[type-check-without-type-error]
    return row


def _kind(value: Any) -> str:
    names = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def bad_row(source: str, number: int, raw: bytes, problem: str) -> SourceRow:
    """Return a row that could not be read, with as much of its text as a quarantine file should carry."""
    return SourceRow(source, number, {"raw": raw[:RAW_SHOWN].decode("utf-8", "replace")}, problem)


RAW_SHOWN = 10_000
"""Bytes of an unreadable line that are kept."""
