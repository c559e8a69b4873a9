"""Matching of objects that are stored one by one: boxes and polygons with each other, cuboids, keypoints."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.sides.columns import columns
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy, Vocabulary
from airflow_provider_nucleus.local.engine.ignored_regions import (
    COCO_FIELDS,
    CROWD,
    NO_POINTS,
    crowds,
    without_points,
)
from airflow_provider_nucleus.local.engine.match_rows import match_rows
from airflow_provider_nucleus.local.engine.row_names import RowNames
from airflow_provider_nucleus.local.engine.shape_families import SHAPE_FAMILIES
from airflow_provider_nucleus.local.engine.shapes import floats, integers
from airflow_provider_nucleus.local.engine.sides import PARTITION_ROWS, Side, item_spans
from airflow_provider_nucleus.local.engine.span_matches import SpanMatches

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import IntArray
    from airflow_provider_nucleus.evaluation.sides.columns import Columns, Geometry
    from airflow_provider_nucleus.local.engine.sides import Span
    from airflow_provider_nucleus.local.requests.match_options import MatchOptions
    from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ObjectFamily"]


@dataclass(frozen=True, slots=True)
class ObjectFamily:
    """Types of object that are compared with each other, under one name; `rows` of them in one step."""

    name: str
    types: tuple[str, ...]
    rows: int = PARTITION_ROWS

    def spans(self, cursor: Cursor, sets: ComparedSets) -> list[Span]:
        """Cut the work into spans of items."""
        return item_spans(cursor, sets, table="objects", condition=self._of_types, rows=self.rows)

    def match(
        self, cursor: Cursor, sets: ComparedSets, *, span: Span, options: MatchOptions, first: int
    ) -> SpanMatches:
        """Match a span; its rows are numbered from `first`."""
        tables = [self._read(cursor, set_no, span) for set_no in (sets.truth, sets.predictions)]
        shapes = SHAPE_FAMILIES[self.name].shapes(*tables)
        vocabulary = Vocabulary.of(*(table.column("label").unique().to_pylist() for table in tables))
        rule = LabelMatchPolicy.from_names(
            options.allowed_label_matches, vocabulary, class_agnostic=options.class_agnostic
        )
        truth, predictions = (
            _side(table, shape, span=span, vocabulary=vocabulary, truth=role == "truth")
            for table, shape, role in zip(tables, shapes, ("truth", "predictions"), strict=True)
        )
        if options.crowd_as_objects:
            truth = replace(truth, columns=truth.columns.without_crowds())
        found = match(truth.columns, predictions.columns, rule=rule)
        return SpanMatches(
            match_rows(truth, predictions, found, vocabulary=vocabulary, family=self.name, first=first),
            ignored_regions=_regions(tables[0], truth.columns),
        )

    @property
    def _of_types(self) -> str:
        return f"type IN ({', '.join(repr(kind) for kind in self.types)})"

    def _read(self, cursor: Cursor, set_no: int | None, span: Span) -> pa.Table:
        # The ordinal, which decides between equal overlaps, is the rank of the annotation id among the item's objects.
        return cursor.sql(
            "SELECT object_no, item_no, annotation_id, type AS kind, label, confidence, row_number() OVER (PARTITION BY item_no ORDER BY "
            f"annotation_id, object_no) - 1 AS ordinal, {COCO_FIELDS}, {SHAPE_FAMILIES[self.name].columns} "
            f"WHERE set_no = ? AND item_no BETWEEN ? AND ? AND {self._of_types} ORDER BY item_no, object_no",
            params=[-1 if set_no is None else set_no, span.first, span.last],
        ).to_arrow_table()


def _regions(table: pa.Table, truth: Columns) -> dict[tuple[str, str], int]:
    """Count the rows in which nothing is counted by type of object and reason."""
    marked = {CROWD: truth.crowd, NO_POINTS: truth.ignore & ~truth.crowd}
    return {
        (kind, reason): count
        for reason, mask in marked.items()
        for kind, count in Counter(table.column("kind").filter(pa.array(mask)).to_pylist()).items()
    }


def _side(table: pa.Table, shape: Geometry, *, span: Span, vocabulary: Vocabulary, truth: bool) -> Side:
    item = integers(table, "item_no")
    side = columns(
        shape,
        # Items are numbered over all datasets; the engine wants codes of 32 bits.
        item - span.first,
        label=_codes(table, vocabulary),
        confidence=floats(table, "confidence"),
        ordinal=integers(table, "ordinal"),
        crowd=crowds(table) if truth else None,
        ignore=without_points(shape) if truth else None,
        ids=RowNames(table),
    )
    return Side(integers(table, "object_no"), item, side)


def _codes(table: pa.Table, vocabulary: Vocabulary) -> IntArray:
    column = table.column("label").combine_chunks().dictionary_encode()
    codes = vocabulary.encode(column.dictionary.to_pylist())
    return codes[column.indices.to_numpy()] if len(codes) else np.zeros(0, dtype=np.int32)
