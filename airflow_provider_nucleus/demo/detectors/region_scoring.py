"""The common end of both detectors: regions that could be an object become detections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.demo.detectors.classifier import classify
from airflow_provider_nucleus.demo.detectors.components import Region, regions
from airflow_provider_nucleus.demo.detectors.detection import CameraCalibration, Detection
from airflow_provider_nucleus.demo.detectors.features import balance, measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LEAST_CONFIDENCE", "LEAST_FILL", "LEAST_METRES", "MOST_METRES", "proposals", "score_regions"]

LEAST_METRES, MOST_METRES = 0.7, 12.0
"""Bounds for the sides of a region, in metres on the ground it stands on."""

LEAST_FILL = 0.25
"""A region that covers less of its box is a line or a fence."""

LEAST_CONFIDENCE = 0.05


def score_regions(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    separation: NDArray[np.floating[Any]],
    calibration: CameraCalibration,
) -> list[Detection]:
    """Return the detections for a foreground mask, the most confident first.

    *separation* says per pixel how many thresholds it is away from background (1 = just passes). Confidence is the
    product of how clearly the region stands out and how much it resembles the nearest class prototype.
    """
    balanced = balance(pixels, top=calibration.top)
    found = []
    for region in proposals(mask, calibration):
        pdf, distance = classify(measure(balanced, region, calibration))
        window = separation[region.top : region.bottom, region.left : region.right][region.mask]
        contrast = 1 - float(np.exp(-float(np.median(window)) / 2))
        likeness = float(np.exp(-0.5 * max(distance - 0.8, 0) ** 2))
        confidence = contrast * likeness * (0.5 + 0.5 * max(pdf.values()))
        if confidence >= LEAST_CONFIDENCE:
            label = max(pdf, key=pdf.__getitem__)
            found.append(
                Detection(
                    label,
                    float(region.left),
                    float(region.top),
                    float(region.right - region.left),
                    float(region.bottom - region.top),
                    round(min(confidence, 0.999), 4),
                    pdf,
                )
            )
    return sorted(found, key=lambda detection: -detection.confidence)


def proposals(mask: NDArray[np.bool_], calibration: CameraCalibration) -> list[Region]:
    """Return the regions that have the size of an object where they stand."""
    return [region for region in regions(mask, least_area=40) if _plausible(region, calibration)]


def _plausible(region: Region, calibration: CameraCalibration) -> bool:
    width, height = region.right - region.left, region.bottom - region.top
    scale = calibration.pixels_per_metre(region.bottom)
    sides = (width / scale, height / scale)
    if region.bottom <= calibration.floor:
        return False
    return (
        min(sides) >= LEAST_METRES
        and max(sides) <= MOST_METRES
        and region.area >= LEAST_FILL * width * height
    )
