"""Rows that are already in memory: objects of the schema, or dicts in wire or foreign form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from airflow_provider_nucleus.schema.batches import BATCH_ROWS, RowBatch
from airflow_provider_nucleus.schema.rows import SourceRow

__all__ = ["read_objects"]


def read_objects(objects: Iterable[Any], *, name: str = "rows in memory") -> Iterator[RowBatch]:
    """Yield schema objects (anything with `to_wire()`) and mappings as rows; everything else becomes a problem row."""
    numbered = enumerate(objects, 1)
    while chunk := list(islice(numbered, BATCH_ROWS)):
        numbers: list[int] = []
        rows: list[dict[str, Any]] = []
        problems: list[SourceRow] = []
        for number, one in chunk:
            if hasattr(one, "to_wire"):
                row = one.to_wire()
            elif isinstance(one, Mapping):
                row = dict(one)
            else:
                reason = f"neither a Nucleus object nor a dict but {type(one).__name__}"
                problems.append(SourceRow(name, number, {"raw": repr(one)[:1_000]}, reason))
                continue
            numbers.append(number)
            rows.append(row)
        yield RowBatch(name, numbers, rows, problems)
