"""The fixed-threshold detector: asphalt is grey and of middle brightness, so everything else is an object.

Its thresholds were set on a bright day. It looks at one frame at a time. Where the premise fails it fails with it:
at night everything is darker than asphalt should be, in fog nothing is, at dusk the ground itself is coloured, and
painted lines are brighter than asphalt at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.demo.detectors.components import closed, opened
from airflow_provider_nucleus.demo.detectors.region_scoring import score_regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.demo.detectors.detection import CameraCalibration, Detection

__all__ = ["BRIGHT", "COLOURED", "DARK", "detect_fixed", "segment"]

DARK, BRIGHT = 60.0, 200.0
"""Grey levels (0-255) between which a pixel passes for asphalt in daylight."""

COLOURED = 46.0
"""Difference between the largest and the smallest channel (0-255) from which a pixel counts as painted."""


def detect_fixed(
    frames: Sequence[NDArray[np.uint8]], calibration: CameraCalibration
) -> list[list[Detection]]:
    """Return the detections of each frame (height, width, 3); frames do not influence each other."""
    segmented = zip(frames, segment(frames, calibration), strict=True)
    return [score_regions(pixels, mask, separation, calibration) for pixels, (mask, separation) in segmented]


def segment(
    frames: Sequence[NDArray[np.uint8]], calibration: CameraCalibration
) -> list[tuple[NDArray[np.bool_], NDArray[np.floating[Any]]]]:
    """Return for each frame the foreground mask, and per pixel how many thresholds it is away from asphalt."""
    found = []
    for pixels in frames:
        separation = _separation(pixels)
        mask = separation > 1
        mask[: calibration.top] = False
        found.append((closed(opened(mask, 3), 5), separation))
    return found


def _separation(pixels: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
    red, green, blue = np.moveaxis(pixels.astype(np.float32), 2, 0)
    brightness = (red + green + blue) / 3
    colour = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    too_bright = 1 + (brightness - BRIGHT) / 24
    too_dark = 1 + (DARK - brightness) / 24
    return np.asarray(np.maximum(np.maximum(too_bright, too_dark), colour / COLOURED))
