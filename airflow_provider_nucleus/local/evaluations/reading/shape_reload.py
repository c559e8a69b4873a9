"""The shapes of evaluated objects, read from the store once more: for overlaps that an evaluation does not keep.

What an evaluation keeps of a pair is its exact overlap, and only if that reaches COCO's lowest threshold. Other thresholds,
COCO's drawn polygons and the view from above need the shapes themselves, which are those stored now.
"""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants; values are parameters

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from airflow_provider_nucleus.evaluation.overlap.cuboids import Cuboids
from airflow_provider_nucleus.evaluation.overlap.raster import SCALE, rasterize
from airflow_provider_nucleus.evaluation.sides.columns import columns
from airflow_provider_nucleus.local.engine.ignored_regions import COCO_FIELDS
from airflow_provider_nucleus.local.engine.shape_families import SHAPE_FAMILIES, OverlapKind
from airflow_provider_nucleus.local.engine.shapes import floats, integers, outlines_of
from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError
from airflow_provider_nucleus.local.store.ids import ANNOTATION, ITEM, PREDICTION, numbered

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.overlap.rle import Runs
    from airflow_provider_nucleus.evaluation.sides.columns import Columns, Geometry
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["read_again"]

_OUTLINE_LIMIT: Final = 20_000_000
"""Points of the finer outline of one polygon, all of which are in memory at once."""


def read_again(
    cursor: Cursor, result: EvaluationResult, family: str, *, truth_rows: IndexArray, prediction_rows: IndexArray,
    kind: OverlapKind,
) -> tuple[Columns, Columns]:  # fmt: skip
    """Return some rows of a result as ground truth and predictions that have shapes.

    Raises `ConflictError` when objects are gone, `BadRequestError` when they cannot be drawn.
    """
    tables = tuple(
        _read(cursor, result, family, side=side, rows=rows)
        for side, rows in (("truth", truth_rows), ("prediction", prediction_rows))
    )
    truth, predictions = result.truth.take(truth_rows), result.predictions.take(prediction_rows)
    shapes: tuple[Geometry, Geometry]
    if kind == "raster":
        sizes = _sizes(cursor, result, np.concatenate([truth.image, predictions.image]))
        items = [result.items[side.image] for side in (truth, predictions)]
        shapes = (_drawn(tables[0], items[0], sizes), _drawn(tables[1], items[1], sizes))
    else:
        shapes = SHAPE_FAMILIES[family].shapes(*tables)
        if kind == "bev":
            shapes = (_from_above(shapes[0]), _from_above(shapes[1]))
    return _columns(truth, shapes[0], tables[0], family), _columns(predictions, shapes[1], tables[1], family)


def _read(cursor: Cursor, result: EvaluationResult, family: str, *, side: str, rows: IndexArray) -> pa.Table:
    numbers = np.asarray(result.arrays[f"{side}_number"][rows], dtype=np.int64)
    low, high = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, -1)
    cursor.register(
        "wanted", pa.table({"object_no": numbers, "position": np.arange(numbers.size, dtype=np.int64)})
    )
    try:
        found = cursor.sql(
            f"SELECT * FROM (SELECT object_no, {COCO_FIELDS}, {SHAPE_FAMILIES[family].columns} WHERE object_no BETWEEN ? AND ?) "
            "JOIN wanted USING (object_no) ORDER BY position",
            params=[low, high],
        ).to_arrow_table()
    finally:
        cursor.unregister("wanted")
    if len(found) != numbers.size:
        gone = int(np.setdiff1d(numbers, integers(found, "object_no"))[0])
        name = numbered(ANNOTATION if side == "truth" else PREDICTION, gone)
        raise ConflictError(
            f"{numbers.size - len(found)} objects of evaluation {result.id} are no longer stored ({name} is the first), so "
            "that their overlaps cannot be computed again. Evaluate again."
        )
    return found


def _columns(side: Columns, shape: Geometry, table: pa.Table, family: str) -> Columns:
    """Give rows of a result their shapes back; sizes follow the shape, or COCO's area where it is stated."""
    area: FloatArray | None = None
    if family == "area":
        stated = floats(table, "coco_area")
        area = np.where(np.isfinite(stated) & (stated >= 0), stated, shape.area)
    elif family == "keypoints":
        area = side.area
    return columns(
        shape, side.image, label=side.label, confidence=side.confidence, ordinal=side.ordinal, crowd=side.crowd,
        ignore=side.ignore, area=area,
    )  # fmt: skip


def _from_above(shape: Geometry) -> Geometry:
    assert isinstance(shape, Cuboids)
    return replace(shape, bird_eye=True)


def _sizes(cursor: Cursor, result: EvaluationResult, images: IndexArray) -> dict[int, tuple[int, int]]:
    """Return height and width by item number."""
    wanted = result.items[np.unique(images)].tolist()
    found = cursor.execute(
        "SELECT item_no, height, width FROM items WHERE item_no IN (SELECT unnest(?::BIGINT[]))", [wanted]
    ).fetchall()
    sizes = {number: (height, width) for number, height, width in found if height and width}
    unknown = [number for number in wanted if number not in sizes]
    if unknown:
        raise BadRequestError(
            f"iou=raster draws on the pixels of an item, but {len(unknown)} items have no width and height "
            f"({numbered(ITEM, unknown[0])} is the first). Append them again with both and update=true, or take iou=exact."
        )
    return sizes


def _drawn(table: pa.Table, items: IndexArray, sizes: dict[int, tuple[int, int]]) -> Runs:
    """Draw boxes and polygons on the pixels of their items, as COCO does."""
    rings = outlines_of(table)
    lengths = np.array([len(ring) for ring in rings], dtype=np.int64)
    xy = np.concatenate([np.zeros((0, 2)), *rings])
    starts = np.concatenate(([0], np.cumsum(lengths)))
    for row, ring in enumerate(rings):
        steps = np.abs(np.diff(ring, axis=0, append=ring[:1])).max(axis=1, initial=0).sum() * SCALE
        if not steps <= _OUTLINE_LIMIT:
            raise BadRequestError(
                f"iou=raster: an outline on item {numbered(ITEM, int(items[row]))} is {steps / SCALE:.3g} pixels long, "
                f"{_OUTLINE_LIMIT / SCALE:.3g} can be drawn. Take iou=exact."
            )
    grid = np.array([sizes[number] for number in items.tolist()], dtype=np.int64).reshape(-1, 2)
    return rasterize(xy, starts, owner=np.arange(len(rings)), height=grid[:, 0], width=grid[:, 1])
