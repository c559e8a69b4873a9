"""Calibrations of the two demonstration cameras: all that detectors are given about a scene."""

from __future__ import annotations

from math import cos

from airflow_provider_nucleus.demo.detectors.detection import CameraCalibration
from airflow_provider_nucleus.demo.scenes.places import places

__all__ = ["calibrations"]

_ROWS = {"dock-east": (112, 158), "yard-north": (118, 158)}
"""Per camera: the row above which nothing reaches, and the row where the ground begins."""


def calibrations() -> dict[str, CameraCalibration]:
    """Return the calibration of each camera by its name."""
    found = {}
    for place in places():
        camera = place.camera
        top, floor = _ROWS[place.name]
        found[place.name] = CameraCalibration(
            horizon=camera.horizon, per_metre=cos(camera.pitch) / camera.height, top=top, floor=floor
        )
    return found
