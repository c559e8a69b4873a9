"""Shapes as COCO files write them: segmentations of three kinds and flat keypoint lists.

A segmentation is a list of polygons (flat x, y lists; a list of four numbers is a box), a dictionary of
uncompressed run lengths, or one of compressed run lengths. All become masks of the size of their image.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.evaluation.coco_files.fields import OddRowsError, coordinates
from airflow_provider_nucleus.evaluation.overlap.keypoints import (
    KeypointArrays,
    boxes_around,
    object_areas,
    sigmas_for,
)
from airflow_provider_nucleus.evaluation.overlap.raster import LongOutlineError, rasterize
from airflow_provider_nucleus.evaluation.overlap.rle import (
    Runs,
    concatenate_runs,
    decode_strings,
    from_counts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["keypoints_of_results", "keypoints_of_truth", "masks_of"]


def masks_of(segmentations: Sequence[Any], *, sizes: IndexArray) -> Runs:
    """Convert segmentations to masks; *sizes* holds height and width per row.

    Raises OddRowsError for what is not in plain form, LongOutlineError for a ring that is too long to be drawn.
    """
    polygons: list[int] = []
    plain: list[int] = []
    packed: list[int] = []
    for row, segmentation in enumerate(segmentations):
        if type(segmentation) is list:
            polygons.append(row)
        elif type(segmentation) is dict and type(segmentation.get("counts")) is list:
            plain.append(row)
        elif type(segmentation) is dict and type(segmentation.get("counts")) is str:
            packed.append(row)
        else:
            raise OddRowsError
    for row in plain + packed:
        if segmentations[row].get("size") != sizes[row].tolist():
            raise OddRowsError
    counts = [segmentations[row]["counts"] for row in plain]
    if not set(map(type, chain.from_iterable(counts))) <= {int}:
        raise OddRowsError
    try:
        parts = [
            _from_polygons([segmentations[row] for row in polygons], sizes=sizes[polygons]),
            from_counts(counts, sizes=sizes[plain]),
            decode_strings([segmentations[row]["counts"].encode() for row in packed], sizes=sizes[packed]),
        ]
        if any(part.problem() is not None for part in parts):
            raise OddRowsError
    except LongOutlineError as error:
        raise LongOutlineError(polygons[error.mask], error.length) from None
    except (ValueError, OverflowError):
        raise OddRowsError from None
    order = np.empty(len(segmentations), dtype=np.int64)
    order[np.array(polygons + plain + packed, dtype=np.int64)] = np.arange(len(segmentations))
    return concatenate_runs(parts).take(order)


def _from_polygons(polygons: Sequence[Sequence[Sequence[float]]], *, sizes: IndexArray) -> Runs:
    flat: list[float] = []
    lengths: list[int] = []
    owner: list[int] = []
    for index, rings in enumerate(polygons):
        boxes = bool(rings) and type(rings[0]) is list and len(rings[0]) == 4
        for ring in rings:
            if type(ring) is not list or len(ring) < 4 or len(ring) % 2 or (len(ring) == 4) != boxes:
                raise OddRowsError
            if boxes and not all(type(number) in {int, float} for number in ring):
                raise OddRowsError
            corners = _box_corners(ring) if boxes else ring
            flat.extend(corners)
            lengths.append(len(corners) // 2)
            owner.append(index)
    xy = coordinates(flat).reshape(-1, 2)
    starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    owners = np.array(owner, dtype=np.int64)
    return rasterize(xy, starts, owner=owners, height=sizes[:, 0], width=sizes[:, 1])


def _box_corners(box: Sequence[float]) -> list[float]:
    """Return the outline of x, y, width, height: what COCO makes of a polygon of four numbers."""
    x, y, width, height = box
    if not (width >= 0 and height >= 0):
        raise OddRowsError
    return [x, y, x, y + height, x + width, y + height, x + width, y]


def keypoints_of_truth(
    points: FloatArray, *, labelled: BoolArray, box: FloatArray, area: FloatArray
) -> KeypointArrays:
    """Return the keypoints of ground truth: *points* are [row, keypoint, x y visibility], *box* and *area* NaN where they are not given."""
    x, y = np.ascontiguousarray(points[:, :, 0]), np.ascontiguousarray(points[:, :, 1])
    around = boxes_around(x, y, labelled)
    return KeypointArrays(
        x=x,
        y=y,
        labelled=labelled,
        box=np.where(np.isnan(box), around, box),
        scale=object_areas(area, box=box, around=around),
        sigmas=np.array(sigmas_for(points.shape[1])),
    )


def keypoints_of_results(points: FloatArray) -> KeypointArrays:
    """Return the keypoints of predictions, all of which are there; their box and area are those around all points, as pycocotools has it."""
    x, y = np.ascontiguousarray(points[:, :, 0]), np.ascontiguousarray(points[:, :, 1])
    everything = np.ones(x.shape, dtype=np.bool_)
    box = boxes_around(x, y, everything)
    return KeypointArrays(
        x=x,
        y=y,
        labelled=everything,
        box=box,
        scale=box[:, 2] * box[:, 3],
        sigmas=np.array(sigmas_for(points.shape[1])),
    )
