"""Rows of a source seen as columns by path, whatever they are read from: what a mapping is carried out on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from itertools import chain, repeat, starmap
from typing import Any, Protocol

from airflow_provider_nucleus.sources.template import as_list, read_path

__all__ = ["ExplodedTable", "RowTable", "Table", "cells_below"]


class Table(Protocol):
    """Some rows of a source; cells that are absent are None."""

    count: int

    def names(self) -> Sequence[str]:
        """Return the top-level names that some row has."""

    def column(self, path: str) -> Any:
        """Return the cells at a path, or for an object in all rows columns by its members."""

    def cells(self, path: str) -> list[Any]:
        """Return the cells at a path."""

    def row(self, at: int) -> dict[str, Any]:
        """Return one row as it was read."""

    def has(self, at: int, name: str) -> bool:
        """Return whether a row has a top-level name, be it without a value."""


class RowTable:
    """Rows that are dictionaries already."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self._rows = rows
        self.count = len(rows)

    def names(self) -> Sequence[str]:
        """Return the top-level names that some row has."""
        return list(dict.fromkeys(chain.from_iterable(self._rows)))

    def column(self, path: str) -> list[Any]:
        """Return the cells at a path."""
        return self.cells(path)

    def cells(self, path: str) -> list[Any]:
        """Return the cells at a path."""
        if "." not in path:
            return [row.get(path) for row in self._rows]
        return [read_path(row, path) for row in self._rows]

    def row(self, at: int) -> dict[str, Any]:
        """Return one row as it was read."""
        return self._rows[at]

    def has(self, at: int, name: str) -> bool:
        """Return whether a row has a top-level name, be it without a value."""
        return name in self._rows[at]


class ExplodedTable:
    """A table with a row for each entry of its lists; everything else of a row is repeated.

    `paths` are lists of one length in each row, or objects of such lists. `bad` has the reasons of rows of `base` that cannot be
    taken apart, and `parents` the row of `base` that each row is from.
    """

    def __init__(self, base: Table, paths: Sequence[str]) -> None:
        self._base = base
        self._entries: dict[str, list[Any]] = {path: [] for path in paths}
        self.parents: list[int] = []
        self.bad: dict[int, str] = {}
        self._names = base.names()
        columns = [base.cells(path) for path in paths]
        lengths = _one_length(columns)
        if lengths is not None:
            self._entries = {
                path: list(chain.from_iterable(column)) for path, column in zip(paths, columns, strict=True)
            }
            self.parents = list(chain.from_iterable(map(repeat, range(len(lengths)), lengths)))
            self.count = len(self.parents)
            return
        for at, values in enumerate(zip(*columns, strict=True)):
            try:
                lists = list(starmap(_entries, zip(paths, values, strict=True)))
                if all(value is None for value in values) and not base.has(at, paths[0].partition(".")[0]):
                    raise ValueError(f"lacks {paths[0]!r}, which explode takes apart")
                _require_one_length(dict(zip(paths, lists, strict=True)))
            except ValueError as error:
                self.bad[at] = str(error)
                continue
            self.parents += [at] * len(lists[0])
            for path, one in zip(paths, lists, strict=True):
                self._entries[path] += one
        self.count = len(self.parents)

    def names(self) -> Sequence[str]:
        """Return the top-level names of the rows, without those of the lists."""
        tops = {path.partition(".")[0] for path in self._entries}
        return [name for name in self._names if name not in tops]

    def column(self, path: str) -> list[Any]:
        """Return the cells at a path."""
        return self.cells(path)

    def cells(self, path: str) -> list[Any]:
        """Return the cells at a path: of the entries where it leads into a list, else of the row they are in."""
        for top, entries in self._entries.items():
            if path == top:
                return entries
            if path.startswith(f"{top}."):
                return cells_below(entries, path[len(top) + 1 :])
        cells = self._base.cells(path)
        return [cells[parent] for parent in self.parents]

    def row(self, at: int) -> dict[str, Any]:
        """Return the row that an entry is in, with that entry alone."""
        row = dict(self._base.row(self.parents[at]))
        for path, entries in self._entries.items():
            row.pop(path.partition(".")[0], None)
            row[path] = entries[at]
        return row

    def has(self, at: int, name: str) -> bool:
        """Return whether a row has a top-level name, be it without a value."""
        return self._base.has(self.parents[at], name)


def cells_below(values: Sequence[Any], path: str) -> list[Any]:
    """Return the cells at a path below each of some values; lists and objects that are all alike are read without walking a path."""
    kinds = set(map(type, values))
    if path.isdecimal() and kinds <= {list, tuple}:
        at = int(path)
        with contextlib.suppress(IndexError):
            return [value[at] for value in values]
    elif "." not in path and kinds == {dict}:
        return [value.get(path) for value in values]
    return RowTable([{"": value} for value in values]).cells(f".{path}")


def _one_length(columns: Sequence[Sequence[Any]]) -> list[int] | None:
    """Return the lengths of the lists of each row; None unless all cells are lists, of one length in a row."""
    if any(set(map(type, column)) != {list} for column in columns):
        return None
    lengths = [list(map(len, column)) for column in columns]
    return lengths[0] if all(one == lengths[0] for one in lengths) else None


def _entries(path: str, value: Any) -> list[Any]:
    """Return the entries of a list, or of an object of lists."""
    value = as_list(value)
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, Mapping):
        members = {name: as_list(member) for name, member in value.items()}
        lists = {name: member for name, member in members.items() if isinstance(member, (list, tuple))}
        if lists:
            _require_one_length({f"{path}.{name}": member for name, member in lists.items()})
            fixed = {name: member for name, member in members.items() if name not in lists}
            return [
                fixed | dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)
            ]
    raise ValueError(f"{path} is no list with an entry per object but {type(value).__name__}")


def _require_one_length(lists: Mapping[str, Sequence[Any]]) -> None:
    if len({len(one) for one in lists.values()}) > 1:
        lengths = ", ".join(f"{name} has {len(one)}" for name, one in lists.items())
        raise ValueError(f"its lists differ in length: {lengths}")
