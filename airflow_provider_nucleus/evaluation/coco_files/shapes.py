"""Shapes as COCO files write them: segmentations of three kinds and flat keypoint lists.

A segmentation is a list of polygons (flat x, y lists; a list of four numbers is a box), a dictionary of
uncompressed run lengths, or one of compressed run lengths. All become masks of the size of their image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.evaluation.overlap.keypoints import KeypointArrays, sigmas_for
from airflow_provider_nucleus.evaluation.overlap.raster import rasterize
from airflow_provider_nucleus.evaluation.overlap.rle import (
    Runs,
    concatenate_runs,
    decode_strings,
    from_counts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray

__all__ = ["keypoints_of_results", "keypoints_of_truth", "masks_of"]


def masks_of(segmentations: Sequence[Any], *, sizes: IndexArray, name: Callable[[int], str]) -> Runs:
    """Convert segmentations to masks; *sizes* holds height and width per row, *name* names a row in errors."""
    polygons: list[int] = []
    plain: list[int] = []
    packed: list[int] = []
    for row, segmentation in enumerate(segmentations):
        if isinstance(segmentation, list):
            polygons.append(row)
        elif isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), list):
            plain.append(row)
        elif isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), str):
            packed.append(row)
        else:
            raise ValueError(  # ruff: ignore[type-check-without-type-error]
                f"{name(row)}: the segmentation is neither a list of polygons nor a dictionary with counts"
            )
    for row in plain + packed:
        size = segmentations[row].get("size")
        if size is not None and list(size) != sizes[row].tolist():
            raise ValueError(
                f"{name(row)}: the mask is {size} (height, width), its image is {sizes[row].tolist()}; masks cover the"
                " whole image"
            )
    parts = [
        _from_polygons(
            [segmentations[row] for row in polygons], sizes=sizes[polygons], rows=polygons, name=name
        ),
        from_counts([segmentations[row]["counts"] for row in plain], sizes=sizes[plain]),
        decode_strings([segmentations[row]["counts"].encode() for row in packed], sizes=sizes[packed]),
    ]
    order = np.empty(len(segmentations), dtype=np.int64)
    order[np.array(polygons + plain + packed, dtype=np.int64)] = np.arange(len(segmentations))
    return concatenate_runs(parts).take(order)


def _from_polygons(
    polygons: Sequence[Sequence[Sequence[float]]],
    *,
    sizes: IndexArray,
    rows: Sequence[int],
    name: Callable[[int], str],
) -> Runs:
    flat: list[float] = []
    lengths: list[int] = []
    owner: list[int] = []
    for index, rings in enumerate(polygons):
        for ring in rings:
            if not isinstance(ring, list) or len(ring) < 4 or len(ring) % 2:
                raise ValueError(f"{name(rows[index])}: a polygon is a flat list of at least two x, y pairs")
            corners = _box_corners(ring) if len(rings[0]) == 4 else ring
            flat.extend(corners)
            lengths.append(len(corners) // 2)
            owner.append(index)
    try:
        xy = np.array(flat, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a polygon holds something that is not a number: {error}") from None
    starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    owners = np.array(owner, dtype=np.int64)
    if not np.isfinite(xy).all():
        ring_at = int(np.searchsorted(starts, np.argmin(np.isfinite(xy).all(axis=1)), side="right")) - 1
        raise ValueError(f"{name(rows[owner[ring_at]])}: a polygon coordinate is not finite")
    return rasterize(xy, starts, owner=owners, height=sizes[:, 0], width=sizes[:, 1])


def _box_corners(box: Sequence[float]) -> list[float]:
    """Return the outline of x, y, width, height: what COCO makes of a polygon of four numbers."""
    x, y, width, height = box
    return [x, y, x, y + height, x + width, y + height, x + width, y]


def keypoints_of_truth(
    keypoints: Sequence[Sequence[float]], *, box: FloatArray, area: FloatArray, name: Callable[[int], str]
) -> KeypointArrays:
    """Convert flat x, y, visibility lists; visibility above 0 means the keypoint is labelled."""
    table = _table(keypoints, name=name)
    return KeypointArrays(
        x=np.ascontiguousarray(table[:, :, 0]),
        y=np.ascontiguousarray(table[:, :, 1]),
        labelled=table[:, :, 2] > 0,
        box=box,
        scale=area,
        sigmas=sigmas_for(table.shape[1]),
    )


def keypoints_of_results(
    keypoints: Sequence[Sequence[float]], *, name: Callable[[int], str]
) -> KeypointArrays:
    """Convert the keypoints of predictions; their box and area are those around all points, as pycocotools has it."""
    table = _table(keypoints, name=name)
    x, y = np.ascontiguousarray(table[:, :, 0]), np.ascontiguousarray(table[:, :, 1])
    if table.shape[0]:
        left, right, top, bottom = x.min(axis=1), x.max(axis=1), y.min(axis=1), y.max(axis=1)
    else:
        left = right = top = bottom = np.zeros(0)
    return KeypointArrays(
        x=x,
        y=y,
        labelled=np.ones(x.shape, dtype=np.bool_),
        box=np.stack([left, top, right - left, bottom - top], axis=1),
        scale=(right - left) * (bottom - top),
        sigmas=sigmas_for(table.shape[1]),
    )


def _table(keypoints: Sequence[Sequence[float]], *, name: Callable[[int], str]) -> FloatArray:
    width = len(keypoints[0]) if len(keypoints) else 3
    for row, flat in enumerate(keypoints):
        if not isinstance(flat, list) or len(flat) != width or width == 0 or width % 3:
            raise ValueError(
                f"{name(row)}: keypoints must be a flat list of {width // 3} x, y, visibility triples"
            )
    return np.array(keypoints, dtype=np.float64).reshape(len(keypoints), width // 3, 3)
