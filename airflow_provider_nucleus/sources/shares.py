"""A look out for boxes that are shares of an image's sides where pixels are meant."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_nucleus.schema.batches import ColumnRows

if TYPE_CHECKING:
    from airflow_provider_nucleus.schema.batches import RowBatch

__all__ = ["SharesWatch"]

log = logging.getLogger(__name__)


class SharesWatch:
    """Watch for files whose boxes all lie within 0 to 1, which no box in pixels does; it ends with the first that does not."""

    def __init__(self) -> None:
        self._source = ""
        self._boxes = 0
        self._over = False

    def look(self, batch: RowBatch) -> None:
        """Look at the boxes of a batch, unless its file has shown one in pixels."""
        if batch.source != self._source:
            self.finish()
            self._source, self._boxes, self._over = batch.source, 0, False
        if self._over or not len(batch.rows):
            return
        columns = batch.rows.columns.get("geometry") if isinstance(batch.rows, ColumnRows) else None
        boxes = (
            zip(*(columns[side] for side in _SIDES), strict=True)
            if isinstance(columns, Mapping) and columns.keys() >= set(_SIDES)
            else (
                tuple(geometry.get(side) for side in _SIDES)
                for row in batch.rows
                if isinstance(geometry := row.get("geometry"), dict) and "width" in geometry
            )
        )
        if isinstance(batch.rows, ColumnRows) and not batch.rows.has_all("geometry"):
            return
        before = self._boxes
        for box in boxes:
            numbers = [value for value in box if isinstance(value, (int, float))]
            if len(numbers) == len(_SIDES):
                self._boxes += 1
                if max(numbers) > 1 or min(numbers) < 0:
                    self._over = True
                    return
        # A file of other shapes is not looked through for boxes.
        self._over = self._boxes == before

    def finish(self) -> None:
        """Warn when no box of the file was one in pixels."""
        if self._boxes and not self._over:
            log.warning(
                "%s: all of its %s boxes lie within 0 to 1, as shares of an image's sides do; boxes are in pixels. If they are "
                "shares, say normalized=True and the size of the images in the mapping",
                self._source,
                f"{self._boxes:,}",
            )
        self._boxes = 0


_SIDES = ("x", "y", "width", "height")
