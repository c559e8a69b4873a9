"""The background-relative detector: regions that differ from the camera's usual picture are objects.

The background of a frame is the per-pixel median of the frames of the same camera that look most alike (same light),
or, when there are too few, a smooth model of the ground: the median of each row. Thresholds follow the noise of the
frame, so that night and fog cost less. Its weakness is the other side: shadows, light cones and narrow gaps join
neighbours into one region, and what stands in most alike frames becomes background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from airflow_provider_nucleus.demo.detectors.components import closed, opened
from airflow_provider_nucleus.demo.detectors.region_scoring import score_regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.demo.detectors.detection import CameraCalibration, Detection

__all__ = [
    "AGREEMENT",
    "ALIKE",
    "FEWEST",
    "FLOOR",
    "MOST",
    "NOISES",
    "SHADOW",
    "Picture",
    "detect_relative",
    "segment",
]

Picture = NDArray[np.floating[Any]]

ALIKE = 12.0
"""Frames whose thumbnails differ by less than this (mean grey levels) were taken in the same light."""

FEWEST, MOST = 3, 7
"""Numbers of alike frames, the frame itself included, that make a background."""

AGREEMENT = 8.0
"""Multiple of the usual deviation that a frame may be from the median of the alike frames and still agree with it."""

NOISES = 5.0
"""Threshold in standard deviations of the noise of the frame."""

FLOOR = 7.0
"""Least threshold in grey levels."""

SHADOW = (0.35, 0.97)
"""Range of the brightness against the background within which an unchanged colour is taken for a shadow."""


def detect_relative(
    frames: Sequence[NDArray[np.uint8]], calibration: CameraCalibration
) -> list[list[Detection]]:
    """Return the detections of each frame (height, width, 3), all of one camera."""
    segmented = zip(frames, segment(frames, calibration), strict=True)
    return [score_regions(pixels, mask, separation, calibration) for pixels, (mask, separation) in segmented]


def segment(
    frames: Sequence[NDArray[np.uint8]], calibration: CameraCalibration
) -> list[tuple[NDArray[np.bool_], Picture]]:
    """Return for each frame the foreground mask, and per pixel the difference from background in thresholds."""
    smooth = [_smooth(pixels) for pixels in frames]
    thumbnails = [_thumbnail(picture) for picture in smooth]
    levels: dict[tuple[int, ...], Picture] = {}
    found = []
    for picture, thumbnail in zip(smooth, thumbnails, strict=True):
        alike = _alike(thumbnail, thumbnails)
        if len(alike) < FEWEST:
            background: Picture = np.broadcast_to(np.median(picture, axis=1, keepdims=True), picture.shape)
        else:
            if alike not in levels:
                levels[alike] = _background([smooth[i] / _level(thumbnails[i]) for i in alike])
            background = levels[alike] * _level(thumbnail)
        found.append(_foreground(picture, background, calibration))
    return found


def _smooth(pixels: NDArray[np.uint8]) -> Picture:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1.2)), dtype=np.float32)


def _thumbnail(picture: Picture) -> Picture:
    height, width, _ = picture.shape
    blocks = picture[: height // 20 * 20, : width // 20 * 20]
    return np.asarray(blocks.reshape(height // 20, 20, width // 20, 20, 3).mean(axis=(1, 3)))


def _level(thumbnail: Picture) -> np.float32:
    """Return the brightness by which frames are brought to the same exposure (1 = full scale)."""
    return np.float32(max(float(thumbnail.mean()), 1.0) / 255)


def _alike(own: Picture, thumbnails: Sequence[Picture]) -> tuple[int, ...]:
    """Return the numbers, in order, of the frames taken in the same light."""
    distances = [float(np.abs(other - own).mean()) for other in thumbnails]
    nearest = [int(i) for i in np.argsort(distances, kind="stable")[:MOST]]
    return tuple(sorted(i for i in nearest if distances[i] < ALIKE))


def _background(pictures: Sequence[Picture]) -> Picture:
    """Return the empty scene, from pictures of it with different things in it."""
    stack = np.stack(pictures)
    middle = np.median(stack, axis=0)
    # Where half of the frames were covered by something the median is a ghost. There, take the frame that looks most
    # like the ground at this row.
    deviation = _largest(np.abs(stack - middle))
    agreeing = (deviation < AGREEMENT * np.median(deviation)).mean(axis=0)
    ground = np.median(middle, axis=1, keepdims=True)
    nearest = _largest(np.abs(stack - ground)).argmin(axis=0)
    choice = np.take_along_axis(stack, nearest[None, :, :, None], axis=0)[0]
    return np.where((agreeing > 0.6)[:, :, None], middle, choice)


def _foreground(
    picture: Picture, background: Picture, calibration: CameraCalibration
) -> tuple[NDArray[np.bool_], Picture]:
    """Return the foreground mask, and per pixel the difference in thresholds."""
    difference = _largest(np.abs(picture - background))
    noise = 1.4826 * float(np.median(difference[calibration.top :]))
    separation = difference / max(NOISES * noise, FLOOR)
    mask = (separation > 1) & ~_shadow(picture, background)
    mask[: calibration.top] = False
    return closed(opened(mask, 3), 7), separation


def _largest(channels: Picture) -> Picture:
    """Return the largest of the three channels (faster than a maximum over an axis of three)."""
    largest: Picture = np.maximum(np.maximum(channels[..., 0], channels[..., 1]), channels[..., 2])
    return largest


def _shadow(picture: Picture, background: Picture) -> NDArray[np.bool_]:
    """Return where the picture is a darker copy of the background, in the same colour or a bluer one.

    What the sun does not reach is lit by the sky alone, so shadows turn blue, most of all when the sun is low.
    """
    red, green, blue = np.moveaxis((picture + 2) / (background + 2), 2, 0)
    mean = (red + green + blue) / 3
    bluer = (blue - red > -0.06) & (blue - red < 0.34) & (green - red > -0.06) & (blue - green > -0.06)
    return np.asarray(bluer & (mean > SHADOW[0]) & (mean < SHADOW[1]))
