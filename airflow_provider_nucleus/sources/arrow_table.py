"""Batches of Arrow seen as columns by path: structs by member, lists by index, cells as JSON has them."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.schema.batches import zip_rows
from airflow_provider_nucleus.sources.tables import cells_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

__all__ = ["ArrowTable", "cells_of"]

_EXACT = 1 << 53
"""Beyond it a number with a fraction is not the one that was written."""


class ArrowTable:
    """A record batch; a column is decoded when it is asked for."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._columns = {name: batch.column(at) for at, name in enumerate(batch.schema.names)}
        self._lists: dict[str, list[list[Any]] | None] = {}
        self.count = batch.num_rows

    def names(self) -> Sequence[str]:
        """Return the names of the columns."""
        return list(self._columns)

    def column(self, path: str) -> Any:
        """Return the cells at a path, or for an object in all rows columns by its members."""
        import pyarrow as pa

        column = self._columns.get(path)
        if column is not None and pa.types.is_struct(column.type) and not column.null_count:
            return {
                column.type.field(at).name: cells_of(column.field(at)) for at in range(column.type.num_fields)
            }
        return self.cells(path)

    def cells(self, path: str) -> list[Any]:
        """Return the cells at a path."""
        if path in self._columns:
            return cells_of(self._columns[path])
        top, _, rest = path.partition(".")
        if top not in self._columns:
            return [None] * self.count
        return self._inside(self._columns[top], top, rest)

    def _inside(self, column: Any, done: str, rest: str) -> list[Any]:
        """Return the cells of a path below a column."""
        import pyarrow as pa

        while rest:
            kind = column.type
            if not pa.types.is_struct(kind):
                break
            # A member whose name has dots wins, as a key does.
            name = rest if kind.get_field_index(rest) >= 0 else rest.partition(".")[0]
            if kind.get_field_index(name) < 0:
                return [None] * self.count
            column = column.field(name) if column.null_count == 0 else _field_of(column, name)
            done, rest = f"{done}.{name}", rest[len(name) + 1 :]
        if not rest:
            return cells_of(column)
        if _is_list(column.type) and rest.isdecimal():
            lists = self._equal_lists(done, column)
            if lists is not None and int(rest) < len(lists):
                return lists[int(rest)]
        return cells_below(cells_of(column), rest)

    def _equal_lists(self, path: str, column: Any) -> list[list[Any]] | None:
        """Return lists of one length as columns by position, None for any others."""
        if path not in self._lists:
            self._lists[path] = None
            count = len(column)
            if count and not column.null_count:
                flat = column.flatten()
                size, rest = divmod(len(flat), count)
                if not rest and size and _all_of(column, size):
                    cells = cells_of(flat)
                    self._lists[path] = [cells[at::size] for at in range(size)]
        return self._lists[path]

    def row(self, at: int) -> dict[str, Any]:
        """Return one row as it was read, without its empty cells."""
        row: dict[str, Any] = {}
        for name, column in self._columns.items():
            cell = cells_of(column.slice(at, 1))[0]
            if cell is not None:
                row[name] = cell
        return row

    def has(self, at: int, name: str) -> bool:  # ruff: ignore[unused-method-argument] - of each row alike
        """Return whether there is a column of this name."""
        return name in self._columns


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _all_of(column: Any, size: int) -> bool:
    """Return whether all lists of a column have this many entries."""
    import pyarrow.compute as pc

    lengths = pc.min_max(pc.list_value_length(column))
    return bool(lengths["min"].as_py() == size == lengths["max"].as_py())


def _field_of(column: Any, name: str) -> Any:
    import pyarrow.compute as pc

    return pc.struct_field(column, name)  # respects the nulls of the parent, which `field` does not


def cells_of(column: Any) -> list[Any]:
    """Return the cells of a column as JSON-ready Python values; ValueError for one that JSON has nothing for."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        if pa.types.is_string(kind.value_type) and len(column.dictionary) <= len(column):
            with contextlib.suppress(ValueError):  # in some text, be it one that no cell refers to
                return _referred(column)
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_struct(kind):
        names = [kind.field(position).name for position in range(kind.num_fields)]
        rows: list[Any] = zip_rows({name: cells_of(_field_of(column, name)) for name in names}, len(column))
        if column.null_count:
            rows = [
                row if valid else None for row, valid in zip(rows, column.is_valid().to_pylist(), strict=True)
            ]
        return rows
    if _is_list(kind):
        return _lists_of(column)
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


def _referred(column: Any) -> list[Any]:
    """Return the cells of a column that refers to texts; each text is made once."""
    texts: list[Any] = column.dictionary.to_pylist()
    indices: list[Any] = column.indices.to_pylist()
    if column.indices.null_count:
        return [None if at is None else texts[at] for at in indices]
    return list(map(texts.__getitem__, indices))


def _lists_of(column: Any) -> list[Any]:
    """Return the cells of a column of lists, which are cut from the cells of all their entries."""
    import pyarrow.compute as pc

    lengths: list[int | None] = pc.list_value_length(column).to_pylist()
    entries = iter(cells_of(column.flatten()))
    return [None if length is None else list(islice(entries, length)) for length in lengths]


def _plain(value: Any) -> Any:
    """Spell what JSON has no type for: decimals as numbers, times in ISO 8601, bytes in base64."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, decimal.Decimal):
        return _number(value)
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _number(value: decimal.Decimal) -> int | float:
    """Return a decimal as number: a whole one exactly, any other as the nearest there is."""
    if value == value.to_integral_value():
        return int(value)
    if abs(value) > _EXACT:
        raise ValueError(
            f"the decimal {value} has more digits than a number of JSON keeps: write it as text, or as whole number"
        )
    return float(value)
