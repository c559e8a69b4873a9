"""The one function that chooses the overlap kernel for two kinds of geometry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes, box_overlap
from airflow_provider_nucleus.evaluation.overlap.cuboids import Cuboids, cuboid_overlap
from airflow_provider_nucleus.evaluation.overlap.keypoints import KeypointArrays, keypoint_similarity
from airflow_provider_nucleus.evaluation.overlap.polygons import Polygons, polygon_overlap
from airflow_provider_nucleus.evaluation.overlap.rle import Runs, mask_overlap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray
    from airflow_provider_nucleus.evaluation.sides.columns import Geometry

__all__ = ["overlap"]


def overlap(
    ground_truth: Geometry,
    prediction: Geometry,
    *,
    rows: NDArray[np.integer],
    other_rows: NDArray[np.integer],
    over_second: BoolArray | None = None,
) -> FloatArray:
    """Overlap of `ground_truth[rows[k]]` with `prediction[other_rows[k]]` for every k, 0 to 1.

    *over_second* marks pairs whose intersection is divided by the prediction alone (COCO crowds; keypoints have no
    such rule and take no notice). Raises TypeError
    when the two kinds of geometry cannot be compared.
    """
    if isinstance(ground_truth, Boxes) and isinstance(prediction, Boxes):
        return box_overlap(
            ground_truth, prediction, rows=rows, other_rows=other_rows, over_second=over_second
        )
    if isinstance(ground_truth, Runs) and isinstance(prediction, Runs):
        return mask_overlap(
            ground_truth, prediction, rows=rows, other_rows=other_rows, over_second=over_second
        )
    if isinstance(ground_truth, KeypointArrays) and isinstance(prediction, KeypointArrays):
        return keypoint_similarity(ground_truth, prediction, rows=rows, other_rows=other_rows)
    if isinstance(ground_truth, Cuboids) and isinstance(prediction, Cuboids):
        return cuboid_overlap(
            ground_truth, prediction, rows=rows, other_rows=other_rows, over_second=over_second
        )
    if isinstance(ground_truth, Boxes | Polygons) and isinstance(prediction, Boxes | Polygons):
        return polygon_overlap(
            _as_polygons(ground_truth),
            _as_polygons(prediction),
            rows=rows,
            other_rows=other_rows,
            over_second=over_second,
        )
    raise TypeError(f"{type(ground_truth).__name__} cannot be compared with {type(prediction).__name__}")


def _as_polygons(shapes: Boxes | Polygons) -> Polygons:
    return Polygons.from_boxes(shapes) if isinstance(shapes, Boxes) else shapes
