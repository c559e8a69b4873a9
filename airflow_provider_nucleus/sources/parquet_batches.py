"""Batches of a Parquet file whose decoded size is bounded: a few kilobytes on disk can stand for gigabytes of repeated values.

What the footer says decides. Rows are few at a time where values are large; columns of texts that are kept once and referred to are
read as such, and decoded a block at a time; a column that unpacks to more than its bytes can honestly hold is refused.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

__all__ = ["bounded_batches"]

_BYTES = 64 << 20
"""Decoded bytes of one column in one batch, about."""
_VALUES = 2_000_000
"""Values of one nested column in one batch, on average."""
_UNPACKED = 256 << 20
_RATIO = 1_000
_FEW = 2
"""Texts that each occur this often are kept as references: there are fewer to make then."""
_DICTIONARIES = frozenset({"PLAIN_DICTIONARY", "RLE_DICTIONARY"})


def bounded_batches(
    file: Any, stream: Any, *, columns: Sequence[str] | None, rows: int, name: str
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an opened Parquet file, at most *rows* at a time; *stream* is what it was opened on.

    Raises NucleusValidationError for a column that unpacks to a thousand times its size and more than 256 MB.
    """
    repeated: set[str] = set()
    at_once = []
    for position in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(position)
        least = rows
        for chunk in _chunks(group, columns):
            _check(chunk, name)
            least = min(least, _rows_at_once(chunk, group.num_rows, rows, repeated))
        at_once.append(least)
    if not repeated and all(least == rows for least in at_once):
        yield from file.iter_batches(batch_size=rows, columns=columns, use_threads=False)
        return
    import pyarrow.parquet as pq

    # Not closed: the stream is the caller's.
    reader = pq.ParquetFile(
        stream, read_dictionary=sorted(repeated), pre_buffer=False, metadata=file.metadata
    )
    for position, least in enumerate(at_once):
        for batch in reader.iter_batches(
            batch_size=least, row_groups=[position], columns=columns, use_threads=False
        ):
            yield from _decoded(batch, file.schema_arrow)


def _chunks(group: Any, columns: Sequence[str] | None) -> Iterator[Any]:
    for position in range(group.num_columns):
        chunk = group.column(position)
        top = chunk.path_in_schema.partition(".")[0]
        if columns is None or top in columns or chunk.path_in_schema in columns:
            yield chunk


def _check(chunk: Any, name: str) -> None:
    unpacked, packed = chunk.total_uncompressed_size, max(chunk.total_compressed_size, 1)
    if unpacked > _UNPACKED and unpacked > _RATIO * packed:
        raise NucleusValidationError(
            "",
            f"its column {chunk.path_in_schema} has {packed:,} bytes that unpack to {unpacked:,}",
            source=name,
            hint="Write the file again with smaller row groups, if it is yours.",
        )


def _rows_at_once(chunk: Any, count: int, most: int, repeated: set[str]) -> int:
    """Return how many rows of a column chunk may be decoded at once; texts that are referred to are noted in *repeated*."""
    unpacked, nested = chunk.total_uncompressed_size, "." in chunk.path_in_schema
    least = most
    if count and unpacked:
        least = min(least, int(_BYTES * count / unpacked))
    if count and nested:
        least = min(least, int(_VALUES * count / max(chunk.num_values, 1)))
    # Every value may be the largest there is, which is as large as the chunk at most.
    if (
        chunk.physical_type == "BYTE_ARRAY"
        and _DICTIONARIES.intersection(chunk.encodings)
        and unpacked * most > _BYTES
    ):
        if nested:
            least = min(least, _BYTES // unpacked)
        else:
            repeated.add(chunk.path_in_schema)
    return max(least, 1)


def _decoded(batch: pa.RecordBatch, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield a batch in blocks of bounded size.

    Columns that refer to texts are decoded, but for those that refer to a few over and over.
    """
    import pyarrow as pa

    starts = _starts(batch)
    for start, end in zip(starts, [*starts[1:], batch.num_rows], strict=True):
        block = batch.slice(start, end - start)
        arrays = [
            column.dictionary_decode().cast(schema.field(field.name).type)
            if pa.types.is_dictionary(column.type)
            and not pa.types.is_dictionary(schema.field(field.name).type)
            and not (
                pa.types.is_string(schema.field(field.name).type)
                and len(column.dictionary) * _FEW <= len(column)
            )
            else column
            for field, column in zip(block.schema, block.columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=block.schema.names)


def _starts(batch: pa.RecordBatch) -> list[int]:
    """Return where blocks begin whose texts are of bounded size."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # Neither NumPy, which PyArrow does without, nor `fill_null`, which imports pandas: a second of each first batch.
    lengths = [
        (pc.binary_length(column.dictionary), column.indices)
        for column in batch.columns
        if pa.types.is_dictionary(column.type)
    ]
    if sum(pc.max(sizes).as_py() or 0 for sizes, _ in lengths) * batch.num_rows < _BYTES:
        return [0] if batch.num_rows else []
    cells = [pc.take(sizes, indices).to_pylist() for sizes, indices in lengths]
    starts, before = [0], 0
    for at, end in enumerate(
        accumulate(sum(size or 0 for size in sizes) for sizes in zip(*cells, strict=True))
    ):
        if at and end // _BYTES != before:
            starts.append(at)
        before = end // _BYTES
    return starts
