"""Object keypoint similarity (OKS), COCO's overlap for keypoints.

OKS = mean over the labelled keypoints of exp(-d^2 / (2 s^2 k^2)), where d is the distance in pixels, s^2 the area
of the ground truth and k = 2 sigma the tolerance of the keypoint. A ground truth without a labelled keypoint is
compared by the distance of every keypoint to its box, grown by its own size on every side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from airflow_provider_nucleus.keypoint_tolerances import tolerances_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray

__all__ = [
    "POINT_AREA",
    "KeypointArrays",
    "boxes_around",
    "keypoint_similarity",
    "object_areas",
    "sigmas_for",
]

POINT_AREA = 1000.0
"""Square pixels an object has whose keypoints have no extent and that states neither area nor box: COCO calls it small."""


@dataclass(frozen=True, slots=True, eq=False)
class KeypointArrays:
    """Keypoints in pixels: [row, keypoint] of *x*, *y* and *labelled*, and per row the box and area they belong to.

    *scale* is the area that distances are measured against (the object's area for ground truth, unused for
    predictions); box columns are x, y, width, height. *sigmas* has one tolerance per keypoint.
    """

    x: FloatArray
    y: FloatArray
    labelled: BoolArray
    box: FloatArray
    scale: FloatArray
    sigmas: FloatArray

    def __len__(self) -> int:
        return int(self.scale.size)

    @property
    def area(self) -> FloatArray:
        """Area of each row: the scale."""
        return self.scale

    def take(self, rows: NDArray[np.integer] | slice) -> Self:
        """Return the chosen rows, in the order of *rows*."""
        return type(self)(
            x=self.x[rows],
            y=self.y[rows],
            labelled=self.labelled[rows],
            box=self.box[rows],
            scale=self.scale[rows],
            sigmas=self.sigmas,
        )

    def problem(self) -> tuple[int, str] | None:
        """Return the first row with a coordinate, box or area that is not finite or a negative size."""
        wrong = ~(np.isfinite(self.x).all(axis=1) & np.isfinite(self.y).all(axis=1))
        wrong |= ~np.isfinite(self.box).all(axis=1) | (self.box[:, 2:] < 0).any(axis=1)
        wrong |= ~np.isfinite(self.scale) | (self.scale < 0)
        if not wrong.any():
            return None
        return int(np.argmax(wrong)), "keypoints, box and area must be finite, sizes >= 0"


def sigmas_for(keypoints: int) -> tuple[float, ...]:
    """Return the tolerances of so many keypoints without names."""
    return tolerances_of([str(position) for position in range(keypoints)]).sigmas


def boxes_around(x: FloatArray, y: FloatArray, labelled: BoolArray) -> FloatArray:
    """Return x, y, width, height around the labelled keypoints of each row; zeros for a row without any."""
    some = labelled.any(axis=1) if labelled.shape[1] else np.zeros(len(labelled), dtype=np.bool_)
    box = np.zeros((len(labelled), 4))
    if not some.any():
        return box
    for column, values in enumerate((x[some], y[some])):
        kept = np.where(labelled[some], values, np.nan)
        low, high = np.nanmin(kept, axis=1), np.nanmax(kept, axis=1)
        box[some, column], box[some, column + 2] = low, high - low
    return box


def object_areas(stated: FloatArray, *, box: FloatArray, around: FloatArray) -> FloatArray:
    """Return the area that distances of each row are measured against, in square pixels: the one that is *stated*, also where it is 0.

    Else it is the first of these that is above 0: that of the object's *box*; that of the box *around* its keypoints; the larger side of
    the latter, squared; `POINT_AREA`, which is within 4 pixels of what passes at a similarity of 0.5. NaN is what is not given.
    """
    area = box[:, 2] * box[:, 3]
    area = np.where(area > 0, area, around[:, 2] * around[:, 3])
    area = np.where(area > 0, area, around[:, 2:].max(axis=1, initial=0.0) ** 2)
    area = np.where(area > 0, area, POINT_AREA)
    return np.where(np.isfinite(stated) & (stated >= 0), stated, area)


def keypoint_similarity(
    ground_truth: KeypointArrays,
    prediction: KeypointArrays,
    *,
    rows: NDArray[np.integer],
    other_rows: NDArray[np.integer],
) -> FloatArray:
    """OKS of `ground_truth[rows[k]]` and `prediction[other_rows[k]]`, for every k.

    Raises ValueError when the two sides have different numbers of keypoints.
    """
    if ground_truth.x.shape[1] != prediction.x.shape[1]:
        raise ValueError(
            f"ground truth has {ground_truth.x.shape[1]} keypoints a row and predictions {prediction.x.shape[1]}"
        )
    labelled = ground_truth.labelled[rows]
    nothing = ~labelled.any(axis=1)
    across = prediction.x[other_rows] - ground_truth.x[rows]
    down = prediction.y[other_rows] - ground_truth.y[rows]
    if nothing.any():
        x, y, width, height = (ground_truth.box[rows[nothing], column][:, None] for column in range(4))
        across[nothing] = _beyond(prediction.x[other_rows[nothing]], x - width, x + width * 2)
        down[nothing] = _beyond(prediction.y[other_rows[nothing]], y - height, y + height * 2)
        labelled[nothing] = True
    variance = (ground_truth.sigmas * 2) ** 2
    scale = ground_truth.scale[rows][:, None] + np.spacing(1)
    error = (across**2 + down**2) / variance / scale / 2
    return _mean_of_labelled(np.exp(-error), labelled)


def _mean_of_labelled(near: FloatArray, labelled: BoolArray) -> FloatArray:
    """Mean over the labelled keypoints, added up in the order NumPy adds that many: the last bit decides ties."""
    result = np.empty(near.shape[0])
    counts = labelled.sum(axis=1)
    for count in np.unique(counts).tolist():
        pairs = np.flatnonzero(counts == count)
        result[pairs] = near[pairs][labelled[pairs]].reshape(pairs.size, count).sum(axis=1) / count
    return result


def _beyond(value: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Distance outside of an interval, 0 inside."""
    return np.asarray(np.maximum(0.0, low - value) + np.maximum(0.0, value - high), dtype=np.float64)
