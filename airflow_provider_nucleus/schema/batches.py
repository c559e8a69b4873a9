"""Rows of a source in bulk: what keeps uploads fast without a Python object per row.

Readers hand out batches; `RowStream` is the same thing seen row by row. Both rooms that need them (sources and uploads) know
the schema and not each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_nucleus.schema.rows import SourceRow

__all__ = ["BATCH_ROWS", "RowBatch", "RowStream", "batches_of"]

BATCH_ROWS = 2_000
"""Rows collected into one batch when a source only offers single rows."""


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Consecutive rows of one source.

    ``rows[i]`` is the object read from row ``numbers[i]`` (1-based) of `source`; `problems` are the rows in between that could
    not be read. Rows are owned by whoever receives the batch, who may change them. `made_ids` says that their annotation ids
    were made of their content: rows with one id are equal objects, and none is a mistake.
    """

    source: str
    numbers: Sequence[int]
    rows: Sequence[dict[str, Any]]
    problems: Sequence[SourceRow] = field(default=())
    made_ids: bool = False


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
