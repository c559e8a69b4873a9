"""Rows of a source in bulk: what keeps uploads fast without a Python object per row.

Readers hand out batches; `RowStream` is the same thing seen row by row. Both rooms that need them (sources and uploads) know
the schema and not each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from airflow_provider_nucleus.schema.rows import SourceRow

__all__ = ["BATCH_ROWS", "ColumnRows", "RowBatch", "RowStream", "Tree", "batches_of", "zip_rows"]

BATCH_ROWS = 2_000
"""Rows collected into one batch when a source only offers single rows."""


Tree = Mapping[str, "list[Any] | Tree"]
"""Columns by field; a field that is an object has the columns of its members. Cells that are None are absent."""


class ColumnRows(Sequence[dict[str, Any]]):
    """Rows that are still columns, which is how they are read fast and can be checked fast.

    They become dictionaries, once, when somebody looks at them as rows; from then on changes are seen.
    """

    def __init__(self, columns: Tree, count: int) -> None:
        self.columns = columns
        self._count = count
        self._rows: list[dict[str, Any]] | None = None

    @property
    def untouched(self) -> bool:
        """True when the columns are what the rows are: nobody has had the rows to change."""
        return self._rows is None

    def has_all(self, *names: str) -> bool:
        """Return whether every row has these fields."""
        return all(
            name in self.columns and (isinstance(column := self.columns[name], Mapping) or None not in column)
            for name in names
        )

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._made())

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, at: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self._made()[at]

    def _made(self) -> list[dict[str, Any]]:
        if self._rows is None:
            self._rows = zip_rows(self.columns, self._count)
        return self._rows


def zip_rows(columns: Tree, count: int) -> list[dict[str, Any]]:
    """Turn columns into rows; cells that are None are left out, which costs only where there are any."""
    values = {
        name: zip_rows(column, count) if isinstance(column, Mapping) else column
        for name, column in columns.items()
    }
    full = {name: column for name, column in values.items() if None not in column}
    names = tuple(full)
    rows: list[dict[str, Any]] = (
        [dict(zip(names, cells, strict=True)) for cells in zip(*full.values(), strict=True)]
        if full
        else [{} for _ in range(count)]
    )
    for name in values.keys() - full.keys():
        for row, value in zip(rows, values[name], strict=True):
            if value is not None:
                row[name] = value
    return rows


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Consecutive rows of one source.

    `rows[i]` is the object read from row `numbers[i]` (1-based) of `source`; `problems` are the rows in between that could
    not be read. Rows are owned by whoever receives the batch, who may change them. `made_ids` says that their annotation ids
    were made of their content: rows with one id are equal objects, and none is a mistake. `left_out` counts by reason the rows in
    between that were asked to be left out.
    """

    source: str
    numbers: Sequence[int]
    rows: Sequence[dict[str, Any]]
    problems: Sequence[SourceRow] = field(default=())
    made_ids: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)


class RowStream(Iterator[SourceRow]):
    """An iterator of rows that can also be drained in batches.

    Use one or the other: both consume the same batches.
    """

    def __init__(self, batches: Iterator[RowBatch]) -> None:
        self._batches = batches
        self._rows: Iterator[SourceRow] = iter(())

    def batches(self) -> Iterator[RowBatch]:
        """Yield what has not been read yet, in batches."""
        yield from self._batches

    def __next__(self) -> SourceRow:
        while True:
            row = next(self._rows, None)
            if row is not None:
                return row
            self._rows = _single_rows(next(self._batches))

    def close(self) -> None:
        """Stop reading and close the files behind the stream."""
        close: Callable[[], None] | None = getattr(self._batches, "close", None)
        if close is not None:
            close()


def _single_rows(batch: RowBatch) -> Iterator[SourceRow]:
    """Merge good and unreadable rows of a batch into the order of the source."""
    problems = iter(batch.problems)
    waiting = next(problems, None)
    for number, row in zip(batch.numbers, batch.rows, strict=True):
        while waiting is not None and waiting.number < number:
            yield waiting
            waiting = next(problems, None)
        yield SourceRow(batch.source, number, row)
    if waiting is not None:
        yield waiting
        yield from problems


def batches_of(rows: Iterator[SourceRow], *, size: int = BATCH_ROWS) -> Iterator[RowBatch]:
    """Read any row iterator in batches of about `size` rows; a `RowStream` in the batches it has."""
    if isinstance(rows, RowStream):
        yield from rows.batches()
        return
    source = ""
    numbers: list[int] = []
    good: list[dict[str, Any]] = []
    bad: list[SourceRow] = []
    for row in rows:
        if (row.source != source or len(numbers) >= size) and (numbers or bad):
            yield RowBatch(source, numbers, good, bad)
            numbers, good, bad = [], [], []
        source = row.source
        if row.problem is None:
            numbers.append(row.number)
            good.append(row.data)
        else:
            bad.append(row)
    if numbers or bad:
        yield RowBatch(source, numbers, good, bad)
