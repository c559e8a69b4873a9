"""Names of the rows of a table of objects, for messages; looked up only when one is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from airflow_provider_nucleus.local.store.ids import ITEM, numbered

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RowNames"]


class RowNames(Sequence[str]):
    """Annotation id and item of each row of a table with `annotation_id` and `item_no`."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[at] for at in range(*row.indices(len(self)))]
        named, item = (self._table.column(name)[row].as_py() for name in ("annotation_id", "item_no"))
        return f"{named} on item {numbered(ITEM, item)}"
