"""NDJSON in pieces: cut at line ends, handed to DuckDB without copying a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

import numpy as np
import pyarrow as pa

from airflow_provider_nucleus.local.exact_json import dump_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

__all__ = [
    "LINES_AT_ONCE",
    "LINE_LIMIT",
    "LineChunk",
    "integers",
    "is_text",
    "line_ends",
    "lines_of",
    "read_chunk",
    "rows_of",
    "table_of_lines",
    "texts",
]

LINE_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of the longest line that is read as one object; a longer one is a row's error and skipped."""

LINES_AT_ONCE: Final = 500_000
"""Lines of one chunk: the shortest take three bytes in the file, and hundreds as rows."""

_UNREADABLE: Final = b"!"
_PIECE: Final = 1 << 20
_SHORT: Final = 40
_SHOWN: Final = 1000
"""Bytes that are kept of a line that is not read."""
_BATCH: Final = 8192


@dataclass(frozen=True, slots=True)
class LineChunk:
    """Whole lines of a file and the offset just behind them; with a `problem`, the beginning of one that is not read, and why."""

    data: bytes
    end: int
    problem: str | None = None

    def halved(self) -> Self:
        """Return the first half of the lines; of a single line, the problem that it is too large."""
        ends = line_ends(self.data)
        if len(ends) > 2:
            cut = int(ends[len(ends) // 2])
            return type(self)(self.data[:cut], self.end - len(self.data) + cut)
        reason = f"the row has {len(self.data):,} bytes, which take more memory than this server may use"
        return type(self)(self.data[:_SHOWN], self.end, reason)


def read_chunk(file: BinaryIO, start: int, *, size: int) -> LineChunk:
    """Read about `size` bytes of whole lines from `start`, `LINES_AT_ONCE` at most; empty `data` means the end of the file.

    A line longer than `LINE_LIMIT` is a chunk of its own, with a problem.
    """
    chunk = _read_bytes(file, start, size=size)
    if chunk.data.count(b"\n") <= LINES_AT_ONCE:
        return chunk
    cut = int(line_ends(chunk.data)[LINES_AT_ONCE])
    return LineChunk(chunk.data[:cut], start + cut)


def _read_bytes(file: BinaryIO, start: int, *, size: int) -> LineChunk:
    file.seek(start)
    data = file.read(size)
    if len(data) < size:
        return LineChunk(data, start + len(data))
    cut = data.rfind(b"\n") + 1
    if cut:
        return LineChunk(data[:cut], start + cut)
    rest = file.readline(max(LINE_LIMIT - len(data), 1))
    if rest.endswith(b"\n") or len(data) + len(rest) < LINE_LIMIT:
        return LineChunk(data + rest, start + len(data) + len(rest))
    end = start + len(data) + len(rest)
    while rest and not rest.endswith(b"\n"):
        rest = file.readline(1 << 20)
        end += len(rest)
    problem = f"the row has {end - start:,} bytes; at most {LINE_LIMIT:,} are read"
    return LineChunk(data[:_SHOWN], end, problem)


def lines_of(objects: Iterable[bytes]) -> bytes:
    """Join serialised objects into NDJSON."""
    return b"".join(part + b"\n" for part in objects)


def rows_of(values: Iterable[Any]) -> bytes:
    """Return JSON values as NDJSON, a line each."""
    return lines_of(dump_json(value) for value in values)


def table_of_lines(data: bytes, *, first: int) -> pa.Table:
    """Return a table (n, line) over the bytes, one row per line that is not blank, numbered from `first`.

    Lines that are not UTF-8 are replaced by one that is not JSON. The newline stays at the end of each value: JSON does
    not mind, and the values need no copying. The table comes in batches, which DuckDB reads on all cores.
    """
    if data and not data.endswith(b"\n"):
        data += b"\n"
    if not is_text(data):
        data = b"\n".join(line if is_text(line) else _UNREADABLE for line in data.split(b"\n"))
    offsets = line_ends(data)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    lines = pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)
    # Only short lines are looked at: a long line of blanks is a row that is not JSON.
    short = np.flatnonzero(np.diff(offsets) < _SHORT)
    blank = [index for index in short if not data[offsets[index] : offsets[index + 1]].strip()]
    if blank:
        lines = lines.take(integers(np.delete(np.arange(len(lines)), blank)))
    numbers = integers(np.arange(first, first + len(lines)))
    table = pa.Table.from_arrays([numbers, lines], names=["n", "line"])
    return pa.Table.from_batches(table.to_batches(max_chunksize=_BATCH), table.schema)


def integers(values: npt.NDArray[np.int64]) -> pa.Array:
    """Return whole numbers as an Arrow array."""
    # pa.array() would do, but imports pandas where it is installed, which takes seconds.
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values.astype(np.int64))])


def texts(values: Sequence[str]) -> pa.Array:
    """Return a few texts as an Arrow array."""
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def line_ends(data: bytes) -> npt.NDArray[np.int32]:
    """Return where each line ends, behind its newline; 0 comes first."""
    # In pieces that stay in the processor's cache: twenty times faster than one comparison of the whole.
    octets = np.frombuffer(data, np.uint8)
    ends = [np.zeros(1, np.int32)]
    for start in range(0, len(data), _PIECE):
        found = np.flatnonzero(octets[start : start + _PIECE] == ord("\n"))
        ends.append((found + (start + 1)).astype(np.int32))
    return np.concatenate(ends)


def is_text(data: bytes) -> bool:
    """Say whether bytes are UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
