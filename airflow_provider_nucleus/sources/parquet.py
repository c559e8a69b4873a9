"""Parquet: read batch by batch, only the columns that are needed, and assembled column-wise into wire rows.

A column may hold a wire field (`geometry` as struct), a member of one (a column called `geometry.x`), its JSON text, or
anything a mapping names. Needs pyarrow (extra `parquet`).
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.schema.batches import ColumnRows, RowBatch, zip_rows
from airflow_provider_nucleus.schema.rows import SourceRow
from airflow_provider_nucleus.sources.decode import loads
from airflow_provider_nucleus.sources.files import SourceFile, cut_off, open_path
from airflow_provider_nucleus.sources.mapping import WIRE_FIELDS, RowMapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

__all__ = ["read_parquet"]

ROWS = 3000
"""Rows assembled at a time."""

_MAGIC = b"PAR1"
_SMALLEST = 12
"""Bytes of the magic number twice and the length of the footer."""
_JSON_FIELDS = frozenset({"annotations", "class_pdf", "embedding_vector", "geometry", "labels", "metadata"})
_FLAT_BOX = ("x", "y", "width", "height")


def read_parquet(
    source_file: SourceFile,
    mapping: RowMapping,
    *,
    kind: str,
    columns: list[str] | None = None,
    columnwise: bool = True,
) -> Iterator[RowBatch]:
    """Yield the rows of a Parquet file; numbers count rows from 1 over all row groups.

    With `columnwise` the fields of the mapping are applied here, a column at a time; else the columns keep their names for the
    mapping to be applied row by row (templates need that). Only columns of the mapping or the wire are read, or those listed
    in `columns`. Null cells are left out, as an absent key would be. Raises NucleusConfigError without
    pyarrow, NucleusSourceError when the file cannot be read or is cut off, NucleusValidationError when it is damaged or has none
    of the columns.
    """
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
            yield from _batches(file, source_file, mapping, kind=kind, columns=columns, columnwise=columnwise)
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
    source_file: SourceFile,
    mapping: RowMapping,
    *,
    kind: str,
    columns: list[str] | None,
    columnwise: bool,
) -> Iterator[RowBatch]:
    wanted = columns or _needed(file.schema_arrow, mapping, kind)
    if not wanted:
        raise NucleusValidationError(
            "",
            f"none of its columns ({', '.join(file.schema_arrow.names[:20])}) is a field of Nucleus",
            source=source_file.name,
            hint='Say which column is which: mapping={"fields": {"reference_id": "<column>", ...}}.',
        )
    _require_columns(file.schema_arrow, mapping, source_file.name)
    plan = _plan(wanted, mapping, columnwise=columnwise)
    first = 1
    for batch in file.iter_batches(batch_size=ROWS, columns=wanted, use_threads=False):
        last = first + batch.num_rows - 1
        try:
            converted = _convert(batch, plan, first, source_file.name)
        except (
            UnicodeDecodeError,
            OverflowError,
        ) as error:  # text that is not UTF-8, a time Python has no date for
            raise NucleusValidationError(
                "",
                f"holds a value in rows {first:,} to {last:,} that cannot be read: {error}",
                source=source_file.name,
            ) from error
        yield converted
        first = last + 1


def _require_columns(schema: pa.Schema, mapping: RowMapping, name: str) -> None:
    """Raise NucleusValidationError when the mapping reads a column that is not there: a typo would leave its field unset."""
    for path in sorted(mapping.source_paths()):
        if path not in schema.names and path.partition(".")[0] not in schema.names:
            fields = [target for target, source in mapping.fields.items() if source == path]
            raise NucleusValidationError(
                "",
                f"has no column {path!r}, which the mapping reads{f' for {fields[0]}' if fields else ''}; "
                f"its columns are {', '.join(schema.names[:20])}",
                source=name,
                hint="Correct the mapping.",
            )


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


Plan = dict[str, Any]


def _plan(columns: list[str], mapping: RowMapping, *, columnwise: bool) -> Plan:
    """Lay out the row as a tree whose leaves are source columns (as text) or constants (as one-element tuples)."""
    plan: Plan = {}
    read = mapping.source_paths()
    for name in columns:
        top = name.partition(".")[0]
        if columnwise and (name in read or (mapping.fields and top not in WIRE_FIELDS | set(_FLAT_BOX))):
            continue
        _place(plan, name.split(".") if top in WIRE_FIELDS and name not in read else [name], name)
    if columnwise:
        for target, path in mapping.fields.items():
            _place(plan, target.split("."), (path[1:],) if path.startswith("=") else path)
        _complete(plan)
    return plan


def _complete(plan: Plan) -> None:
    """Do for all rows at once what `complete_row` does for one: gather flat boxes, and say that they are boxes."""
    if "geometry" not in plan and all(name in plan for name in _FLAT_BOX):
        plan["geometry"] = {name: plan.pop(name) for name in _FLAT_BOX}
    geometry = plan.get("geometry")
    if "type" not in plan and isinstance(geometry, dict) and "x" in geometry:
        plan["type"] = ("box",)


def _place(plan: Plan, path: list[str], leaf: Any) -> None:
    for name in path[:-1]:
        inner = plan.get(name)
        if not isinstance(inner, dict):
            inner = plan[name] = {}
        plan = inner
    plan[path[-1]] = leaf


def _convert(batch: pa.RecordBatch, plan: Plan, first: int, name: str) -> RowBatch:
    columns = {field: batch.column(position) for position, field in enumerate(batch.schema.names)}
    count = batch.num_rows
    problems: list[SourceRow] = []
    plan = _opened(plan, columns)
    values = {field: _leaf_or_tree(node, columns, count) for field, node in plan.items()}
    # Only cells of a column can be JSON text; what was assembled from several is an object already.
    texts = [field for field in _JSON_FIELDS & plan.keys() if isinstance(plan[field], str)]
    for field in texts:
        values[field] = [_decoded(value, field) for value in values[field]]
    rows: Sequence[dict[str, Any]] = ColumnRows(values, count)
    numbers: Any = range(first, first + count)
    bad = {at for field in texts for at, value in enumerate(values[field]) if isinstance(value, _Bad)}
    if bad:
        for at in sorted(bad):
            reason = next(value.reason for value in rows[at].values() if isinstance(value, _Bad))
            readable = {
                key: value.raw if isinstance(value, _Bad) else value for key, value in rows[at].items()
            }
            problems.append(SourceRow(name, first + at, readable, reason))
        numbers = [first + at for at in range(count) if at not in bad]
        rows = [row for at, row in enumerate(rows) if at not in bad]
    return RowBatch(name, numbers, rows, problems)


def _opened(plan: Plan, columns: Mapping[str, Any]) -> Plan:
    """Take a geometry that is a struct in every row apart into its members, for boxes to be checked by column."""
    import pyarrow as pa

    node = plan.get("geometry")
    column = columns.get(node) if isinstance(node, str) else None
    if column is None or not pa.types.is_struct(column.type) or column.null_count:
        return plan
    members = {field.name: f"{node}.{field.name}" for field in column.type}
    # A dot parts the steps of a path; names that have one stay as they are.
    return plan if any(path.count(".") != 1 for path in members.values()) else plan | {"geometry": members}


def _leaf_or_tree(node: Any, columns: Mapping[str, Any], count: int) -> Any:
    """Return the cells of a leaf, or columns by member."""
    if isinstance(node, dict):
        return {name: _leaf_or_tree(inner, columns, count) for name, inner in node.items()}
    if isinstance(node, tuple):
        return [node[0]] * count
    if node in columns:
        return _values(columns[node])
    top, _, rest = node.partition(".")
    if top not in columns:
        return [None] * count
    column: Any = columns[top]
    for name in rest.split("."):
        kind = column.type
        if not (hasattr(kind, "get_field_index") and kind.get_field_index(name) >= 0):
            return [None] * count
        column = column.field(name) if column.null_count == 0 else _field_of(column, name)
    return _values(column)


def _field_of(column: Any, name: str) -> Any:
    import pyarrow.compute as pc

    return pc.struct_field(column, name)  # respects the nulls of the parent, which `field` does not


def _values(column: Any) -> list[Any]:
    """Return the cells of a column as JSON-ready Python values."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_struct(kind):
        names = [kind.field(position).name for position in range(kind.num_fields)]
        rows: list[Any] = zip_rows({name: _values(_field_of(column, name)) for name in names}, len(column))
        if column.null_count:
            rows = [
                row if valid else None for row, valid in zip(rows, column.is_valid().to_pylist(), strict=True)
            ]
        return rows
    cells: list[Any] = column.to_pylist()
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_string(kind)
    ):
        return cells
    if pa.types.is_map(kind):
        return [None if cell is None else {str(key): _plain(value) for key, value in cell} for cell in cells]
    return [_plain(cell) for cell in cells]


def _plain(value: Any) -> Any:
    """Spell what JSON has no type for: decimals as numbers, times in ISO 8601, bytes in base64."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


@dataclass(frozen=True, slots=True)
class _Bad:
    """A cell that could not be decoded: why, and its text."""

    reason: str
    raw: str


def _decoded(value: Any, field: str) -> Any:
    """Decode a cell that holds the JSON text of an object or list."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return loads(value.encode())
    except ValueError as error:
        return _Bad(f"{field} is not JSON: {error}", value[:10_000])
