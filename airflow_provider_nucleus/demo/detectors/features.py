"""Features of a region of the picture, each with a name a person would use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.demo.detectors.components import Region
    from airflow_provider_nucleus.demo.detectors.detection import CameraCalibration

__all__ = ["FEATURES", "balance", "measure"]

FEATURES = ("width", "height", "fill", "saturation", "yellow", "brown", "dark")
"""Order of the numbers that `measure` returns.

width, height: logarithm of the box sides in metres on the ground it stands on; fill: share of the box that the region
covers; saturation: mean of (max - min) / max over RGB; yellow, brown: share of strongly and of weakly coloured orange
pixels; dark: share of pixels under half the region's brightest decile. Colours are first divided by the colour of the
light (`balance`), so that dusk does not paint everything orange.
"""


def balance(pixels: NDArray[np.uint8], *, top: int) -> NDArray[np.floating[Any]]:
    """Return the picture with the ground made grey: each channel divided by its median below row *top*."""
    picture = pixels.astype(np.float32)
    median = np.maximum(np.median(picture[top::4, ::4].reshape(-1, 3), axis=0), 1.0)
    return np.asarray(picture * (median.mean() / median), dtype=np.float32)


def measure(
    balanced: NDArray[np.floating[Any]], region: Region, calibration: CameraCalibration
) -> NDArray[np.floating[Any]]:
    """Return the features of a region, in the order of `FEATURES`."""
    window = balanced[region.top : region.bottom, region.left : region.right][region.mask]
    high, low = window.max(axis=1), window.min(axis=1)
    saturation = (high - low) / np.maximum(high, 1.0)
    red, green, blue = window.T
    warm = (red >= green) & (green >= blue) & (red - blue > 1.5 * (red - green))
    scale = calibration.pixels_per_metre(region.bottom)
    width, height = region.right - region.left, region.bottom - region.top
    bright = max(float(np.percentile(high, 90)), 1.0)
    return np.array([
        np.log(width / scale),
        np.log(height / scale),
        region.area / (width * height),
        saturation.mean(),
        (warm & (saturation > 0.62)).mean(),
        (warm & (saturation > 0.22) & (saturation <= 0.62)).mean(),
        (high < 0.5 * bright).mean(),
    ])
