"""The fast path from lines to checked rows: a chunk of plain boxes, read by Arrow's JSON reader.

Boxes come by the million, and Arrow knows their fields beforehand: it reads a chunk in half the time that DuckDB takes to look
for every field any object may have, and a request of a few rows in a third. It steps aside for `object_rows`, which alone
phrases complaints, for every chunk with something else in it: another type, metadata, a field it does not know, the least fault.
So this may be timid but never wrong; a property test holds the tables of both ways equal (but for the sign of a zero written `-0`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as pj

from airflow_provider_nucleus.dot_ids import DOT_IDS
from airflow_provider_nucleus.local.store.geometry_rules import COORDINATE_LIMIT
from airflow_provider_nucleus.local.store.ingest.ndjson import integers, is_text, line_ends, texts

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["parse_boxes"]

_BOX: Final = ("x", "y", "width", "height")
_TEXTS: Final = (
    "label", "reference_id", "item_id", "dataset_id", "annotation_id", "task_id", "track_reference_id",
)  # fmt: skip
_SCHEMA: Final = pa.schema({
    "type": pa.string(),
    **dict.fromkeys(_TEXTS, pa.string()),
    "confidence": pa.float64(),
    "geometry": pa.struct([(side, pa.float64()) for side in _BOX]),
    "metadata": pa.struct([]),
    **dict.fromkeys(("taxonomy_name", "mask_url", "class_pdf", "embedding_vector", "labels", "annotations"), pa.null()),
})  # fmt: skip
_DOTS: Final = texts(sorted(DOT_IDS))
_BLOCK: Final = 1 << 20
_COLUMNS: Final = """
    SELECT n, type, label, reference_id, item_id, dataset_id, annotation_id, task_id, track_reference_id,
        NULL::VARCHAR AS taxonomy_name, NULL::VARCHAR AS mask_url, {confidence} AS confidence, NULL::VARCHAR AS class_pdf,
        NULL::VARCHAR AS metadata, NULL::VARCHAR AS embedding_vector, NULL::VARCHAR AS labels, NULL::VARCHAR AS segments,
        x, y, width AS w, height AS h, NULL::VARCHAR AS geometry, NULL::VARCHAR AS reason
    FROM boxes"""


def parse_boxes(cursor: Cursor, data: bytes, *, truth: bool, first: int) -> bool:
    """Fill the temporary table `parsed` and return True, if all lines are plain boxes; else do nothing.

    `data` is NDJSON whose rows are numbered from `first`. Ground truth has no confidence.
    """
    boxes = _read(data)
    if boxes is None or not _good(boxes, truth=truth):
        return False
    boxes = boxes.append_column("n", integers(np.arange(first, first + len(boxes))))
    confidence = "NULL::DOUBLE" if truth else "confidence"
    cursor.register("boxes", boxes)
    try:
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE parsed AS {_COLUMNS.format(confidence=confidence)}")
    finally:
        cursor.unregister("boxes")
    return True


def _read(data: bytes) -> pa.Table | None:
    """Return the rows of a chunk, the sides of their boxes as columns; None if Arrow objects or might read them otherwise."""
    lines = _objects(data)
    if not lines or not is_text(data) or (b"\\" in data and b"\\u" in data):
        return None
    try:
        table = pj.read_json(
            pa.BufferReader(data),
            read_options=pj.ReadOptions(use_threads=len(data) > 4 * _BLOCK, block_size=_BLOCK),
            parse_options=pj.ParseOptions(explicit_schema=_SCHEMA, unexpected_field_behavior="error"),
        )
    except pa.ArrowException:
        return None
    if len(table) != lines:
        return None
    sides = {side: pc.struct_field(table["geometry"], side) for side in _BOX}
    return pa.table({**{name: table[name] for name in table.schema.names if name != "geometry"}, **sides})


def _objects(data: bytes) -> int:
    """Return the number of lines if each begins and ends as an object, else 0.

    Such lines hold whole objects, because nothing else may stand between a closing and an opening brace; so if there are as
    many objects as lines, each line is one.
    """
    if not data.endswith(b"}\n"):
        return 0
    ends = line_ends(data)
    octets = np.frombuffer(data, np.uint8)
    whole = np.all(octets[ends[:-1]] == ord("{")) and np.all(octets[ends[1:] - 2] == ord("}"))
    return len(ends) - 1 if whole else 0


def _good(boxes: pa.Table, *, truth: bool) -> bool:
    """Say whether no row has anything to complain about."""
    kinds = boxes["type"].unique()
    if len(kinds) != 1 or kinds[0].as_py() != "box" or boxes["label"].null_count:
        return False
    if boxes["reference_id"].null_count and boxes["item_id"].null_count:
        return False
    if not all(_visible(boxes[name]) for name in _TEXTS):
        return False
    if any(
        pc.any(pc.is_in(boxes[name], value_set=_DOTS)).as_py() for name in ("reference_id", "annotation_id")
    ):
        return False
    if not all(_within(boxes[side], -COORDINATE_LIMIT, COORDINATE_LIMIT) for side in _BOX):
        return False
    if not all(_within(boxes[side], 0, COORDINATE_LIMIT) for side in ("width", "height")):
        return False
    confidence = boxes["confidence"].drop_null()
    low, high = (-math.inf, math.inf) if truth else (0, 1)
    return len(confidence) == 0 or _within(confidence, low, high)


def _visible(column: pa.ChunkedArray) -> bool:
    """Say whether every text of a column has a visible character."""
    if column.null_count == len(column):
        return True
    # Not `pc.equal(column, "")`: to make a text of Python's an Arrow one it imports pandas where that is installed, for a second.
    empty = pc.min(pc.binary_length(column)).as_py() == 0
    return not (empty or pc.any(pc.utf8_is_space(column)).as_py())


def _within(numbers: pa.ChunkedArray, low: float, high: float) -> bool:
    if numbers.null_count or not pc.all(pc.is_finite(numbers)).as_py():
        return False
    ends = pc.min_max(numbers).as_py()
    return bool(low <= ends["min"] and ends["max"] <= high)
