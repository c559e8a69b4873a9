"""Parquet: read batch by batch, only the columns that are needed, and assembled column-wise into wire rows.

A column may hold a wire field (`geometry` as struct), a member of one (a column called `geometry.x`), its JSON text, or
anything a mapping names. Needs pyarrow (extra `parquet`).
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.schema.batches import RowBatch
from airflow_provider_nucleus.schema.rows import SourceRow
from airflow_provider_nucleus.sources.arrow_table import ArrowTable, cells_of
from airflow_provider_nucleus.sources.files import SourceFile, cut_off, open_path
from airflow_provider_nucleus.sources.mapping import WIRE_FIELDS, RowMapping
from airflow_provider_nucleus.sources.parquet_batches import bounded_batches

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import pyarrow as pa

    from airflow_provider_nucleus.sources.conversion import Conversion

__all__ = ["read_as_it_is", "read_parquet"]

ROWS = 3000
"""Rows assembled at a time."""

_MAGIC = b"PAR1"
_SMALLEST = 12
"""Bytes of the magic number twice and the length of the footer."""
_JSON_FIELDS = ("annotations", "class_pdf", "embedding_vector", "geometry", "labels", "metadata")
"""Fields that are an object or a list: a column may hold their JSON text."""
_FLAT_BOX = ("x", "y", "width", "height")
_UNREADABLE = (ArithmeticError, ValueError)
"""Errors of cells: text that is not UTF-8, a time Python has no date for, a decimal that no number of JSON holds."""


def read_parquet(
    source_file: SourceFile,
    conversion: Conversion,
    mapping: RowMapping,
    *,
    kind: str,
    columns: list[str] | None = None,
) -> Iterator[RowBatch]:
    """Yield the mapped rows of a Parquet file; numbers count rows from 1 over all row groups.

    The mapping is carried out here, a column at a time. Only columns of the mapping or the wire are read, or those listed
    in `columns`. Null cells are left out, as an absent key would be. Raises NucleusConfigError without
    pyarrow, NucleusSourceError when the file cannot be read or is cut off, NucleusValidationError when it is damaged or has none
    of the columns.
    """
    with _opened(source_file) as (file, stream):
        yield from _batches(file, stream, source_file, conversion, mapping, kind=kind, columns=columns)


def read_as_it_is(source_file: SourceFile) -> Iterator[RowBatch]:
    """Yield all columns of a Parquet file under their own names; raises as `read_parquet` does."""
    with _opened(source_file) as (file, stream):
        first = 1
        for batch in bounded_batches(file, stream, columns=None, rows=ROWS, name=source_file.name):
            numbers = range(first, first + batch.num_rows)
            yield RowBatch(
                source_file.name,
                numbers,
                [_row_as_it_is(ArrowTable(batch), at) for at in range(min(batch.num_rows, 200))],
            )
            first += batch.num_rows


def _row_as_it_is(table: ArrowTable, at: int) -> dict[str, Any]:
    try:
        return table.row(at)
    except _UNREADABLE as error:
        return {"raw": f"cannot be read: {error}"}


@contextlib.contextmanager
def _opened(source_file: SourceFile) -> Generator[tuple[Any, Any]]:
    """Open a Parquet file; what is wrong with it while it is open is told by its name."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise NucleusConfigError(
            f"{source_file.name} is Parquet, which needs pyarrow.",
            hint="Install airflow-provider-nucleus[parquet].",
        ) from None
    try:
        with open_path(source_file.path) as stream, pq.ParquetFile(stream, pre_buffer=False) as file:
            yield file, stream
    except (pa.ArrowException, OSError) as error:
        # Not its storage's: that would be a NucleusSourceError.
        if _ends_early(source_file):
            raise cut_off(source_file.name, "the Parquet file") from error
        raise NucleusValidationError(
            "", f"cannot be read as Parquet: {error}", source=source_file.name
        ) from error
    finally:
        pa.default_memory_pool().release_unused()


def _batches(
    file: Any,
    stream: Any,
    source_file: SourceFile,
    conversion: Conversion,
    mapping: RowMapping,
    *,
    kind: str,
    columns: list[str] | None,
) -> Iterator[RowBatch]:
    schema = file.schema_arrow
    _require_columns(schema, mapping, source_file.name)
    wanted = columns or _needed(schema, mapping, kind)
    if not wanted:
        raise NucleusValidationError(
            "",
            f"none of its columns ({', '.join(schema.names[:20])}) is a field of Nucleus",
            source=source_file.name,
            hint='Say which column is which: mapping={"fields": {"reference_id": "<column>", ...}}. '
            "`nucleus-local check` suggests one.",
        )
    if twice := sorted({name for name in wanted if schema.names.count(name) > 1}):
        raise NucleusValidationError(
            "",
            f"has several columns of the name {twice[0]!r}, of which only one can be meant",
            source=source_file.name,
        )
    texts = _bytes_as_text(schema, mapping)
    first = 1
    for batch in bounded_batches(file, stream, columns=wanted, rows=ROWS, name=source_file.name):
        for name in texts:
            at = batch.schema.get_field_index(name)
            if at >= 0:
                # Bytes that are no UTF-8 are found where the cell is read, and are its row's problem.
                batch = batch.set_column(at, name, batch.column(at).cast("string", safe=False))
        try:
            converted = _convert(batch, conversion, first, source_file.name)
        except _UNREADABLE:
            yield from _singly(batch, conversion, first, source_file.name)
        else:
            yield converted
        first += batch.num_rows


def _singly(batch: Any, conversion: Conversion, first: int, name: str) -> Iterator[RowBatch]:
    """Read rows of which some cannot be read one by one."""
    for at in range(batch.num_rows):
        try:
            yield _convert(batch.slice(at, 1), conversion, first + at, name)
        except _UNREADABLE as error:
            column = next(
                (
                    field
                    for position, field in enumerate(batch.schema.names)
                    if not _is_readable(batch.column(position).slice(at, 1))
                ),
                "a column",
            )
            problem = SourceRow(
                name, first + at, {"raw": f"column {column}"}, f"{column}: cannot be read: {error}"
            )
            yield RowBatch(name, [], [], [problem])


def _is_readable(column: Any) -> bool:
    try:
        cells_of(column)
    except _UNREADABLE:
        return False
    return True


def _require_columns(schema: pa.Schema, mapping: RowMapping, name: str) -> None:
    """Raise NucleusValidationError when the mapping reads a column that is not there: a typo would leave its field unset."""
    for path in sorted(mapping.source_paths()):
        if path not in schema.names and path.partition(".")[0] not in schema.names:
            fields = [target for target, source in mapping.fields.items() if source == path]
            wanted = f" for {fields[0]}" if fields else ""
            if mapping.makes_box and path in mapping.box_paths() and not fields:
                wanted = f" for boxes as {mapping.box_format or 'xywh'}"
            raise NucleusValidationError(
                "",
                f"has no column {path!r}, which the mapping reads{wanted}; "
                f"its columns are {', '.join(schema.names[:20])}",
                source=name,
                hint="Correct the mapping.",
            )


def _bytes_as_text(schema: pa.Schema, mapping: RowMapping) -> list[str]:
    """Return the columns of bytes that are text, as some writers leave it; those that become members of metadata stay bytes."""
    import pyarrow as pa

    hashes = {path for target, path in mapping.fields.items() if target.startswith("metadata.")}
    return [
        field.name
        for field in schema
        if field.name not in hashes
        and (pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type))
    ]


def _ends_early(source_file: SourceFile) -> bool:
    """Return whether a file begins as Parquet does and does not end so: its last bytes are written last."""
    with open_path(source_file.path) as stream:
        head = stream.read(4)
        if stream.seek(0, os.SEEK_END) < _SMALLEST:
            return _MAGIC.startswith(head)
        stream.seek(-4, os.SEEK_END)
        return head == _MAGIC != stream.read(4)


def _needed(schema: pa.Schema, mapping: RowMapping, kind: str) -> list[str]:
    """Pick the top-level columns to read, in the order of the file."""
    paths = mapping.source_paths()
    needed = {path for path in paths if path in schema.names}
    needed |= {path.partition(".")[0] for path in paths if path not in schema.names}
    mapped = set(mapping.fields)
    for name in schema.names:
        if name in mapped or name.partition(".")[0] in mapped:
            continue
        if name.partition(".")[0] in WIRE_FIELDS or (name in _FLAT_BOX and kind != "items"):
            needed.add(name)
    return [name for name in schema.names if name in needed]


def _convert(batch: pa.RecordBatch, conversion: Conversion, first: int, name: str) -> RowBatch:
    numbers = range(first, first + batch.num_rows)
    return conversion.convert(ArrowTable(batch), numbers, name, json_fields=_JSON_FIELDS)
