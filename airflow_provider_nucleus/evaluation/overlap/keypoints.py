"""Object keypoint similarity (OKS), COCO's overlap for keypoints.

OKS = mean over the labelled keypoints of exp(-d^2 / (2 s^2 k^2)), where d is the distance in pixels, s^2 the area
of the ground truth and k = 2 sigma the tolerance of the keypoint. A ground truth without a labelled keypoint is
compared by the distance of every keypoint to its box, grown by its own size on every side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray

__all__ = ["PERSON_SIGMAS", "UNIFORM_SIGMA", "KeypointArrays", "keypoint_similarity", "sigmas_for"]

PERSON_SIGMAS = tuple(
    tenths / 10.0
    for tenths in (
        0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89,
    )
)  # fmt: skip
"""The published sigmas of COCO's 17 person keypoints, from nose to right ankle, rounded the way COCO's code does."""

UNIFORM_SIGMA = 0.05
"""Tolerance of every keypoint when none is published (Nucleus keypoints carry none): about COCO's mean."""


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


def sigmas_for(keypoints: int) -> FloatArray:
    """Return COCO's sigmas for 17 keypoints and the uniform default for any other number."""
    if keypoints == len(PERSON_SIGMAS):
        return np.array(PERSON_SIGMAS)
    return np.full(keypoints, UNIFORM_SIGMA)


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
