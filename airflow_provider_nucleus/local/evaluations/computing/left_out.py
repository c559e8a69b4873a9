"""Items that a benchmark leaves out because they have no ground truth, and the predictions that go with them."""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants; values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.annotation_table import OBJECT_TABLES

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["LeftOut", "left_out"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Items without ground truth that a benchmark passed over, and how many predictions the evaluated model has on them."""

    items: int = 0
    predictions: int = 0

    def to_wire(self) -> dict[str, int]:
        """Return the counts as they stand among what was excluded."""
        return {
            "itemsWithoutGroundTruth": self.items,
            "predictionsOnItemsWithoutGroundTruth": self.predictions,
        }


def left_out(
    cursor: Cursor, benchmark_no: int | None, *, model_no: int | None, run_no: int | None
) -> LeftOut:
    """Count what a benchmark passed over, of the items that are still there; nothing without a benchmark."""
    if benchmark_no is None:
        return LeftOut()
    # What was left out of a draft may have come in since, with its ground truth.
    items = (
        "SELECT item_no FROM benchmark_left_out JOIN items USING (item_no) WHERE benchmark_no = $benchmark AND item_no NOT IN "
        "(SELECT item_no FROM benchmark_items WHERE benchmark_no = $benchmark)"
    )
    owner = (
        "role = 'run' AND run_no = $owner" if run_no is not None else "role = 'model' AND model_no = $owner"
    )
    predictions = " + ".join(
        f"(SELECT count(*) FROM {table} WHERE item_no IN ({items}) AND set_no IN (SELECT set_no FROM object_sets WHERE {owner}))"
        for table in OBJECT_TABLES
    )
    found = cursor.execute(
        f"SELECT (SELECT count(*) FROM ({items})), {predictions}",
        {"benchmark": benchmark_no, "owner": model_no if run_no is None else run_no},
    ).fetchone()
    assert found is not None
    return LeftOut(*map(int, found))
